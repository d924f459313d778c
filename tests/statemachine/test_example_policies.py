"""The policies that a new user begins with: each backs up servers of its kind, as its comments say."""

import re
from dataclasses import replace

import pytest
from moto.ec2.models import ec2_backends

from quiesce.policy.file import read_policy_file
from sandbox.windows.vss import VssWriter
from tests.support.environment import ACCOUNT, BUCKET, REGION
from tests.support.project import ROOT

POLICIES = ROOT / "policies"
SQL = ("SqlServerWriter", "{a65faa63-5ea8-4ebc-9dbd-a0c4db26912a}")
EXCHANGE = ("Microsoft Exchange Writer", "{76fe1ac4-15f7-4bcd-987e-8e1acb462fb7}")
NTDS = ("NTDS", "{b2014c9e-8711-4c5c-a5a9-3cf384484757}")
# What a server of the policy's kind is tagged with, and the writer that it has.
KINDS = {
    "sql-nightly": ({"Backup": "sql"}, SQL),
    "exchange-nightly": ({"Backup": "exchange"}, EXCHANGE),
    "files-nightly": ({"Backup": "files"}, None),
    "domain-controllers": ({"Role": "domain-controller"}, NTDS),
    "everything-else": ({"backup-policies": "everything-else weekly"}, None),
}
# Two schedules, scripts, VSS, an excluded night and targets by tag.
WHOLE = re.search(
    r"<!-- whole policy: begin -->\n```yaml\n(.*?)```", (ROOT / "docs/use/policies.md").read_text(), re.DOTALL
)


def put(cloud, name, content):
    cloud.s3.put_object(Bucket=BUCKET, Key=f"policies/{name}.yaml", Body=content)
    cloud.put_scripts(name)
    return {"policy": name}


def a_server(cloud, tags, writer=None, name="SERVER1"):
    server = cloud.add_server(name)
    pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
    cloud.ec2.create_tags(Resources=[server.instance_id], Tags=pairs)
    if writer:
        known = server.windows.guest.vss.writers
        known.append(replace(VssWriter.of_windows(), name=writer[0], writer_id=writer[1], notified=[]))
    return server


def test_there_is_an_example_for_each_kind_of_server_and_no_other():
    assert {path.stem for path in POLICIES.iterdir()} == set(KINDS)


@pytest.mark.parametrize(("name", "tags", "writer"), [(name, *kind) for name, kind in KINDS.items()], ids=KINDS)
def test_an_example_backs_up_servers_of_its_kind_application_consistently(machine, cloud, name, tags, writer):
    server = a_server(cloud, tags, writer)
    a_server(cloud, {"Backup": "something else"}, name="OTHER")
    run = machine.run_policy(put(cloud, name, (POLICIES / f"{name}.yaml").read_bytes()))
    assert (run.status, run.output["reason"]) == ("SUCCEEDED", "its server is backed up"), run
    assert run.output["by_consistency"] == {"application": 1}
    [record] = cloud.records().values()
    assert (record["instance_id"], record["status"]) == (server.instance_id, "Successful")
    assert cloud.mails() == []


@pytest.mark.parametrize("name", ["sql-nightly", "exchange-nightly", "domain-controllers"])
@pytest.mark.chapter("6.3.3 verify")
def test_an_example_that_requires_a_writer_fails_where_it_is_missing(machine, cloud, name):
    a_server(cloud, KINDS[name][0])
    run = machine.run_policy(put(cloud, name, (POLICIES / f"{name}.yaml").read_bytes()))
    assert run.error == "PolicyRunFailed"
    assert [subject for subject, _ in cloud.mails()] == [f"Failed: policy {name}"]


def test_a_linux_server_with_the_tag_of_everything_else_is_left_out_with_a_note(machine, cloud):
    name = "everything-else"
    a_server(cloud, KINDS[name][0])
    linux = a_server(cloud, KINDS[name][0], name="LINUX")
    described = ec2_backends[ACCOUNT][REGION].get_instance(linux.instance_id)
    described.platform, described.platform_details = None, "Linux/UNIX"
    run = machine.run_policy(put(cloud, name, (POLICIES / f"{name}.yaml").read_bytes()))
    assert run.output["by_status"] == {"Successful": 1}
    assert f"left out, no Windows server: {linux.instance_id}" in run.output["notes"]


def test_a_policy_with_all_that_a_night_needs_has_less_than_20_lines(machine, cloud):
    assert WHOLE
    text = WHOLE[1]
    assert len(text.splitlines()) < 20
    policy = read_policy_file(text.encode(), "orders", "docs")
    [target] = policy.targets
    settings = policy.settings_of(0)
    assert (len(policy.schedules), len(policy.closed), bool(target.tags)) == (2, 1, True)
    assert "off" not in (settings.scripts, settings.vss)
    a_server(cloud, {"Backup": "orders"})
    a_server(cloud, {"Backup": "orders", "Stage": "test"}, name="TEST")
    run = machine.run_policy(put(cloud, "orders", text.encode()))
    assert (run.output["status"], run.output["by_consistency"]) == ("Successful", {"application": 1})
