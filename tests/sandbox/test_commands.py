"""`make sandbox` deploys the stack and prints commands, which are such as the machines take."""

import json
import re
import shlex
import sys
from types import SimpleNamespace

import pytest

from quiesce.aws.bucket import progress_key
from quiesce.backup.input import read_request
from quiesce.recovery.input import read_recovery_request
from sandbox.demo import __main__ as demo
from sandbox.demo.commands import commands
from tests.support.factories.run import INSTANCE
from tests.support.project import ROOT
from tests.unit.cli.test_commands_on_pages import parse

OUTPUTS = {"BackupMachineArn": "arn:backup", "RecoverMachineArn": "arn:recover", "BucketName": "bucket"}


def inputs(machine):
    words = [shlex.split(command) for command in commands(OUTPUTS, INSTANCE)]
    return [json.loads(each[-1]) for each in words if "--input" in each and machine in each]


def test_each_input_that_is_printed_is_one_that_its_machine_takes():
    [backup] = inputs("arn:backup")
    assert read_request(backup).instance_id == INSTANCE
    dry, real = (read_recovery_request(each, "UTC") for each in inputs("arn:recover"))
    assert (dry.mode, real.mode, real.at) == ("dry-run", "instance", "latest")
    assert f"aws s3 cp s3://bucket/{progress_key(real.recovery_id)} -" in commands(OUTPUTS, INSTANCE)


class PretendedSandbox:
    """A local AWS that only says when it is there."""

    endpoint = "http://127.0.0.1:4566"

    def __init__(self, did):
        self.did = did

    def __enter__(self):
        self.did.append("started")
        return self

    def __exit__(self, *_error):
        self.did.append("ended")


def test_make_sandbox_deploys_by_itself_prints_the_commands_to_try_and_stays_until_ctrl_c(monkeypatch, capsys):
    """That the demo's deployment is the real one is what test_demo shows."""
    did = []

    def deploy(aws):
        did.append("deployed")
        return OUTPUTS

    def wait():
        did.append("waits")
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "Sandbox", lambda *_place, **_settings: PretendedSandbox(did))
    monkeypatch.setattr(demo, "_deploy", deploy)
    monkeypatch.setattr(demo, "_prepare", lambda _aws, _bucket: SimpleNamespace(instance_id=INSTANCE))
    monkeypatch.setattr(demo, "threading", SimpleNamespace(Event=lambda: SimpleNamespace(wait=wait)))
    monkeypatch.setattr(demo.signal, "signal", lambda *_: None)
    [recipe] = re.findall(
        r"^sandbox:.*\n\t@python -m sandbox\.demo (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    monkeypatch.setattr(sys, "argv", ["sandbox.demo", *recipe.split()])
    with pytest.raises(SystemExit):
        demo.main()
    assert did == ["started", "deployed", "waits", "ended"]
    said = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert f"export AWS_ENDPOINT_URL={PretendedSandbox.endpoint}" in said
    assert [line for line in said if line.startswith("aws ")] == commands(OUTPUTS, INSTANCE)
    asked = [line.partition(" -m quiesce_cli ")[2] for line in said if line.startswith(sys.executable)]
    assert asked == ["status", "serve --allow-start"]
    for line in asked:
        parse(f"quiesce {line}")
