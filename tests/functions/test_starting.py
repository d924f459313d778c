"""Each function starts by itself: what it imports does not rely on what another has imported before."""

import subprocess
import sys

from tests.support.environment import ENVIRONMENT

# One interpreter has what is not ours; each function then starts in a process of its own, where nothing of ours is.
START = """
import importlib, os, sys, unittest.mock
import boto3, pydantic, aws_lambda_powertools, ruamel.yaml
boto3.client = unittest.mock.MagicMock()
for step in sys.argv[1:]:
    if not (process := os.fork()):
        try:
            importlib.import_module(f"functions.{step}.app").handler
        except BaseException as error:
            print(step, repr(error), flush=True)
        os._exit(0)
    os.waitpid(process, 0)
"""


def start(project, *steps):
    environment = ENVIRONMENT | {"PYTHONPATH": "src"}
    command = [sys.executable, "-c", START, *steps]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=True).stdout


def test_each_function_starts_where_no_other_has(pytestconfig):
    steps = sorted(path.parent.name for path in (pytestconfig.rootpath / "functions").glob("*/app.py"))
    assert len(steps) > 10
    assert start(pytestconfig.rootpath, *steps) == ""


def test_a_function_that_does_not_is_named(pytestconfig):
    assert start(pytestconfig.rootpath, "froze").startswith("froze ModuleNotFoundError")
