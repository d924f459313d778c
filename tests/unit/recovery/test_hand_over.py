"""The hand-over of a recovered server: every item of the list has its state, and says what to do where it is yours."""

from typing import Any

import pytest

from quiesce.recovery.hand_over import Handed, hand_over
from quiesce.recovery.requests import MAX_TAGS, kept_tags, launch_request
from quiesce.recovery.surroundings import Holder, OtherServer
from tests.support.factories.recovery import VPC, a_point, a_recovery_plan, a_source
from tests.support.factories.run import INSTANCE

NEW = OtherServer("i-0aaaaaaaaaaaaaaaa", "running", VPC, "10.0.1.23", "")
KNOWN = {"usage_operation": "RunInstances:0002", "private_ip": "10.0.1.17", "tags": {"Name": "FILES01", "Owner": "me"}}
ITEMS = [
    "old server",
    "session of the backup",
    "DNS",
    "static address inside Windows",
    "Elastic IP",
    "target groups",
    "licence",
    "domain trust",
    "BitLocker key",
    "policies that name the old server",
    "tags",
    "metadata options",
    "tenancy, host and placement",
    "CPU options",
    "further network interfaces",
    "termination protection",
]


def plan(source: dict[str, Any] | None = None, **fields: Any) -> Any:
    point = a_point(source=a_source(**{**KNOWN, **(source or {})}))
    return a_recovery_plan(point, **fields).model_copy(update={"source": point.source})


def tasks(a_plan: Any, **handed: Any) -> dict[str, tuple[str, str]]:
    found = hand_over(a_plan, Handed(**{"new": NEW, "old": None, "holder": None, **handed}), "eu-central-1")
    return {task.what: (task.state, task.words) for task in found.checklist}


def test_every_item_of_the_list_is_there_whatever_its_state() -> None:
    assert list(tasks(plan())) == ITEMS


@pytest.mark.parametrize(
    ("region", "console"),
    [
        ("eu-central-1", "https://eu-central-1.console.aws.amazon.com/"),
        ("cn-north-1", "https://cn-north-1.console.amazonaws.cn/"),
        ("us-gov-west-1", "https://us-gov-west-1.console.amazonaws-us-gov.com/"),
        ("eusc-de-east-1", "https://eusc-de-east-1.console.amazonaws-eusc.eu/"),
    ],
)
def test_console_and_session_manager_are_one_click_away_in_every_partition(region: str, console: str) -> None:
    found = hand_over(plan(), Handed(NEW, None, None), region)
    assert found.console == f"{console}ec2/home?region={region}#InstanceDetails:instanceId={NEW.instance_id}"
    assert found.session_manager == f"{console}systems-manager/session-manager/{NEW.instance_id}?region={region}"
    assert (found.server, found.private_ip) == (f"FILES01 ({NEW.instance_id})", "10.0.1.23")


def test_where_no_agent_was_waited_for_session_manager_is_not_promised() -> None:
    assert hand_over(plan(agent="none"), Handed(NEW, None, None), "eu-central-1").session_manager == ""


@pytest.mark.parametrize(
    ("holder", "words"),
    [
        (None, "nobody has 10.0.1.17 in subnet-0123456789abcdef0"),
        (Holder("eni-1", INSTANCE, ""), f"10.0.1.17 is held by the old server FILES01 ({INSTANCE})"),
        (Holder("eni-1", "i-9", ""), "10.0.1.17 is held by i-9"),
        (Holder("eni-1", "", ""), "10.0.1.17 is held by eni-1"),
    ],
)
def test_who_holds_the_old_address_is_said(holder: Any, words: str) -> None:
    assert hand_over(plan(), Handed(NEW, None, holder), "eu-central-1").old_address == words


@pytest.mark.parametrize(
    ("old", "state", "words"),
    [
        (None, "not needed", f"FILES01 ({INSTANCE}) does not exist any more"),
        (OtherServer(INSTANCE, "running", VPC), "yours", "is running: stop it, or make sure that the two do not meet"),
        (OtherServer(INSTANCE, "stopped", VPC), "yours", "never start it beside the new one"),
    ],
)
def test_the_old_server_is_yours_as_long_as_it_is_there(old: Any, state: str, words: str) -> None:
    found = tasks(plan(), old=old)["old server"]
    assert (found[0], words in found[1]) == (state, True)


def test_what_names_the_old_address_is_yours_unless_the_new_server_has_it() -> None:
    found = tasks(plan())
    assert found["DNS"][0] == found["static address inside Windows"][0] == "yours"
    assert "10.0.1.17 is now 10.0.1.23" in found["DNS"][1]
    found = tasks(plan({"private_ip": NEW.private_ip}))
    assert found["DNS"][0] == found["static address inside Windows"][0] == "not needed"


def test_a_public_address_and_target_groups_come_with_the_command_to_type() -> None:
    assert tasks(plan())["Elastic IP"] == ("not needed", "the old server had no public address")
    state, words = tasks(plan({"public_ip": "203.0.113.9"}))["Elastic IP"]
    assert state == "yours"
    assert words.endswith(f"aws ec2 associate-address --public-ip 203.0.113.9 --instance-id {NEW.instance_id}")
    assert f"--targets Id={NEW.instance_id}" in tasks(plan())["target groups"][1]


def test_policies_that_name_the_old_id_come_with_the_line_to_change() -> None:
    what = "policies that name the old server"
    lines = [f"s3://bucket/policies/files.yaml, line 7: - instance_id: {INSTANCE}"]
    state, words = tasks(plan(), policy_lines=lines)[what]
    assert state == "yours"
    assert words == f"until you write {NEW.instance_id} there, the new server is not backed up: {lines[0]}"
    assert tasks(plan())[what][0] == "not needed"
    assert tasks(plan(), unread="AccessDenied: no")[what] == (
        "yours",
        f"they can't be read (AccessDenied: no): look for {INSTANCE} in them",
    )


@pytest.mark.parametrize(
    ("source", "what", "state"),
    [
        ({}, "licence", "done"),
        ({"usage_operation": "RunInstances:0800"}, "licence", "yours"),
        ({}, "tags", "done"),
        ({"tags": {f"tag-{n}": "x" for n in range(49)}}, "tags", "yours"),
        ({"tenancy": "dedicated"}, "tenancy, host and placement", "done"),
        ({"tenancy": "host", "host_id": "h-1"}, "tenancy, host and placement", "yours"),
        ({"placement_group": "cluster"}, "tenancy, host and placement", "yours"),
        ({"interfaces": ["eni-9"]}, "further network interfaces", "yours"),
        ({}, "further network interfaces", "not needed"),
        ({"metadata_options": {"HttpTokens": "required"}}, "metadata options", "done"),
        ({"cpu_options": {"CoreCount": 1, "ThreadsPerCore": 1}}, "CPU options", "done"),
        ({}, "termination protection", "yours"),
    ],
)
def test_what_was_recorded_is_done_or_yours(source: dict[str, Any], what: str, state: str) -> None:
    assert tasks(plan(source))[what][0] == state


def test_on_another_instance_type_the_cpu_options_of_the_old_one_are_not_needed() -> None:
    found = tasks(plan({"cpu_options": {"CoreCount": 1}}, overrides={"instance_type": "m7i.large"}))
    assert found["CPU options"] == ("not needed", "those of m7i.large: its type is another one")


def test_termination_protection_is_yours_with_the_command_for_the_new_server() -> None:
    command = f"aws ec2 modify-instance-attribute --disable-api-termination --instance-id {NEW.instance_id}"
    assert tasks(plan())["termination protection"][1].endswith(command)


def test_a_recovery_point_that_does_not_say_it_leaves_all_of_it_to_you() -> None:
    found = tasks(plan({"usage_operation": "", "private_ip": "", "tags": {}}))
    [settings] = [what for what in found if what.startswith("tags, metadata options, tenancy")]
    assert found[settings][0] == "yours"


def test_the_launch_has_what_was_recorded() -> None:
    options = {"HttpTokens": "required", "HttpPutResponseHopLimit": 2}
    a_plan = plan({"metadata_options": options, "tenancy": "dedicated"}).model_copy(
        update={"cpu_options": {"CoreCount": 2, "ThreadsPerCore": 1}}
    )
    request = launch_request(a_plan, "stack", ["sg-1"])
    assert request["MetadataOptions"] == options
    assert request["Placement"] == {"Tenancy": "dedicated"}
    assert request["CpuOptions"] == {"CoreCount": 2, "ThreadsPerCore": 1}
    tags = {tag["Key"]: tag["Value"] for tag in request["TagSpecifications"][0]["Tags"]}
    assert (tags["Owner"], tags["Name"]) == ("me", "FILES01")
    assert "Owner" not in {tag["Key"] for tag in request["TagSpecifications"][1]["Tags"]}


def test_the_inputs_tags_stand_over_the_old_servers_and_all_fit() -> None:
    many = {f"tag-{n:02}": "old" for n in range(50)}
    a_plan = plan({"tags": many}, overrides={"tags": {"tag-07": "new"}})
    tags = {tag["Key"]: tag["Value"] for tag in launch_request(a_plan, "stack", [])["TagSpecifications"][0]["Tags"]}
    assert tags["tag-07"] == "new"
    assert len(tags) == MAX_TAGS
    assert "tag-07" not in kept_tags(a_plan)


def test_a_plan_of_an_older_version_launches_as_it_did() -> None:
    old = a_recovery_plan()
    assert old.source is None
    assert set(launch_request(old, "stack", ["sg-1"])) == {
        *("ImageId", "InstanceType", "MinCount", "MaxCount", "SubnetId", "SecurityGroupIds"),
        *("ClientToken", "TagSpecifications", "KeyName"),
    }
