"""Commands of the demo, which a person may interrupt."""

import signal
import subprocess
import sys
from pathlib import Path

from tests.sandbox.processes import running_with

PROJECT = Path(__file__).parents[2]
MARK = "0.0047"  # sleep adds its arguments: a mark by which the test finds the process
SCRIPT = f"""
import os
from pathlib import Path
from sandbox.demo.terminal import run
run("sleeper", ["sh", "-c", "sleep 60 {MARK} & wait"], dict(os.environ), Path("."))
"""


def test_an_interrupted_command_ends_with_all_that_it_has_started():
    command = [sys.executable, "-c", SCRIPT]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "  sleeper ...\n"
        while not _sleepers():
            assert process.poll() is None, process.stderr.read()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert not _sleepers()


def _sleepers():
    return [line for line in running_with(f"sleep 60 {MARK}") if line.startswith("sleep")]
