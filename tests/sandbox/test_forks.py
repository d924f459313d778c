"""Processes forked from one that has imported what functions share: as good as one that was started anew."""

import os
import signal
import subprocess
import sys

import pytest

from sandbox.aws import forks
from sandbox.aws.interpreter import make_runtime_folder
from tests.sandbox.processes import running_with

WAITS = """
import os, signal, sys
print(sorted(os.environ), "boto3" in sys.modules, flush=True)
signal.pause()
"""


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forks")
    with pytest.MonkeyPatch.context() as apart:
        apart.setattr(forks, "_templates", {})  # those of the running sandbox stay
        yield make_runtime_folder(folder)
        forks.end_all()
    assert not running_with(str(folder))


@pytest.fixture
def start(runtime, tmp_path):
    """Start an environment whose handler's module is this text; its runtime API answers nothing."""

    def start(text, stack="one", pauses=1.0):
        (tmp_path / "app.py").write_text(text)
        own = {"LAMBDA_TASK_ROOT": str(tmp_path), "_HANDLER": "app.handler", "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9"}
        given = {"STACK": stack}
        started.append(forks.template(runtime, (), given, pauses).start(own | given))
        return started[-1]

    started = []
    yield start
    for fork in started:
        fork.stdout.close()


def test_a_process_has_its_own_variables_and_what_was_imported_before(start):
    fork = start(WAITS)
    assert fork.stdout.readline().decode() == (
        "['AWS_LAMBDA_RUNTIME_API', 'LAMBDA_TASK_ROOT', 'STACK', '_HANDLER'] True\n"
    )
    assert fork.poll() is None
    fork.terminate()
    assert fork.wait(10) == fork.poll() == -signal.SIGTERM
    fork.kill()  # which is not there any more: no other's process


def test_a_process_whose_end_is_not_told_yet_can_be_ended_again():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    output, theirs = os.pipe()
    os.close(theirs)
    fork = forks.Fork(output)
    fork.pid = gone.pid
    fork.kill()
    fork.stdout.close()


def test_what_a_process_says_before_it_ends_and_its_exit_code_are_known(start):
    fork = start("print('why', flush=True)\nraise SystemExit(3)")
    assert fork.wait(10) == 1
    assert fork.stdout.read().decode().startswith("why")


def test_a_process_that_goes_on_is_no_end(start):
    fork = start(WAITS)
    fork.stdout.readline()
    with pytest.raises(subprocess.TimeoutExpired):
        fork.wait(0)


def test_a_template_that_has_ended_is_told_and_started_again(start):
    fork = start(WAITS, "two")
    fork.stdout.readline()
    kept = next(made for (_, variables), made in forks._templates.items() if "two" in variables)
    os.kill(kept._process.pid, signal.SIGKILL)
    assert fork.wait(10) == forks.LOST
    with pytest.raises(BrokenPipeError):
        kept.start({})
    os.kill(fork.pid, signal.SIGKILL)
    assert start(WAITS, "two").stdout.readline()


def test_layers_and_variables_have_a_template_each_and_functions_share_it(start, runtime):
    assert forks.template(runtime, (), {"STACK": "one"}) is forks.template(runtime, (), {"STACK": "one"})
    assert start(WAITS).stdout.readline()
    assert len(forks._templates) <= 2


def test_a_pause_of_a_function_is_as_long_as_the_sandbox_wants_it(start):
    pauses = "import time\nbegan = time.monotonic()\ntime.sleep(20)\nprint(time.monotonic() - began < 20, flush=True)\n"
    assert start(pauses, "short", pauses=0.001).stdout.readline() == b"True\n"
