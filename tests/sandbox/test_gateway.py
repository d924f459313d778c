"""Start and end of the sandbox: pinned names, one per process, nothing left behind."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.aws.hooks import HOOKS, MissingHookError, check_hooks
from sandbox.gateway import Sandbox
from tests.sandbox.processes import running_with

PROJECT = Path(__file__).parents[2]


def test_every_hooked_name_is_there(running_sandbox):
    check_hooks(HOOKS)


def test_a_name_that_is_gone_is_named():
    with pytest.raises(MissingHookError, match=r"sandbox\.disks\.sparse_disk\.Cylinder"):
        check_hooks({"sandbox.disks.sparse_disk": "SparseDisk Cylinder"})


def test_a_second_sandbox_in_the_process_is_refused(running_sandbox, tmp_path):
    with pytest.raises(RuntimeError, match="One sandbox per process"), Sandbox(tmp_path):
        pass


def test_the_callers_own_aws_settings_stay_out(running_sandbox):
    assert "AWS_PROFILE" not in os.environ
    assert os.environ["AWS_CONFIG_FILE"] == os.devnull


def test_the_command_starts_a_server_says_how_to_reach_it_and_ends_without_a_trace(tmp_path):
    command = [sys.executable, "-m", "sandbox", "--home", str(tmp_path / "home")]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        output = ""
        while "Ctrl-C" not in output:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            output += line
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=20)
    assert (process.returncode, rest, errors) == (0, "", "")
    assert "export AWS_ENDPOINT_URL=http://127.0.0.1:" in output
    assert "i-" in output
    assert not running_with(str(tmp_path))


def test_a_taken_port_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "sandbox", "--home", str(tmp_path), "--port", port]
        ended = subprocess.run(command, cwd=PROJECT, check=False, capture_output=True, text=True)
    assert ended.returncode == 1
    assert f"Port {port} is taken" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_functions_end_with_the_sandbox_and_not_only_with_the_process(tmp_path):
    script = f"""
from pathlib import Path
from sandbox.gateway import Sandbox
from tests.support.deployment import deploy
with Sandbox(Path({str(tmp_path)!r})) as aws:
    function = deploy(aws, Path("tests/sandbox/probe"), "probe")["FunctionName"]
    aws.client("lambda").invoke(FunctionName=function)
    print("running", flush=True)
    input()
print("ended", flush=True)
input()
"""
    bootstrap = f"lambda_bootstrap.py 1.0 {tmp_path}"
    command = [sys.executable, "-c", script]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=PROJECT, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout.readline() == "running\n", process.stderr.read()
        assert running_with(bootstrap)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "ended\n"
        assert not running_with(bootstrap)
        process.communicate("\n", timeout=20)
