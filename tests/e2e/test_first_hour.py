"""The first hour of a newcomer, as docs/use/first-hour.md has it: its commands in their order, on the local AWS."""

import re

from sandbox.aws.snapshots import RULES
from tests.support.command_line import type_command
from tests.support.project import ROOT

PAGE = (ROOT / "docs" / "use" / "first-hour.md").read_text()
PLACEHOLDER = "i-0123456789abcdef0"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def commands():
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    assert lines[0].startswith("pipx install")
    assert all(line.startswith("quiesce ") for line in lines[1:])
    return [line.removeprefix("quiesce ") for line in lines[1:]]


def test_the_page_names_each_command_of_the_first_hour():
    names = {" ".join(line.split()[:2]) if line.startswith("policy") else line.split()[0] for line in commands()}
    assert names == {"doctor", "policy check", "policy put", "run", "points", "status", "recover"}


def test_a_newcomer_gets_from_nothing_to_a_recovered_server(aws, quiesce, tmp_path, monkeypatch):
    monkeypatch.setattr(RULES, "volume_interval_s", 0.0)
    monkeypatch.chdir(tmp_path)
    server = aws.servers.add("FIRST")
    [policy] = blocks("yaml")
    (tmp_path / "first.yaml").write_text(policy.replace(PLACEHOLDER, server.instance_id))
    printed = {}
    for line in commands():
        typed = line.replace(PLACEHOLDER, server.instance_id)
        printed[line] = type_command(*typed.split())
        # Other tests leave policies and points of servers that are gone: doctor, points and status say so.
        expected = (0, 1) if line in ("doctor", "points", "status") else (0,)
        assert printed[line].code in expected, (typed, printed[line].out, printed[line].err)
    aws.client("s3").delete_object(Bucket=quiesce.outputs["BucketName"], Key="policies/first.yaml")
    assert printed["run first"].out.startswith("Successful: ")
    assert "consistency   application" in printed["run first"].out
    assert "quiesce recover first-" in printed["points"].out
    assert printed[commands()[-2]].out.startswith("The plan  (nothing was created)")
    assert printed[commands()[-1]].out.startswith("Recovered: ")
