"""The doctor machine: what a server lacks is said, with the remedy; what nobody could ask is never good."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from moto.iam.aws_managed_policies import aws_managed_policies_data

from sandbox.windows.examination import DISABLED, FAILED, RUNNING, SYSTEM_WRITER, Writer
from sandbox.windows.inventory import POOL, Disk, Drive, disks_of, volume_guid
from sandbox.windows.vss import ShadowStorage
from tests.support.cloud import client
from tests.support.environment import ACCOUNT, BUCKET, REGION, TABLE
from tests.support.factories.policy import a_policy
from tests.support.project import ROOT, template
from tests.support.wire import answer_garbled, refused, unreachable

MIB = 2**20
PAGE = (ROOT / "docs" / "operate" / "ready.md").read_text()
READY, NOT, UNKNOWN = "yes", "no", "not known"


WEB, OF_SNAPSHOTS, OF_AGENTS = "quiesce-server-web", "AWSEC2VssSnapshotPolicy", "AmazonSSMManagedInstanceCore"
ASSUMED_BY_EC2 = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}


@cache
def managed() -> dict[str, dict[str, Any]]:
    """Return the documents of AWS's managed policies, as moto has them from AWS, by name."""
    return {name: policy["Document"] for name, policy in json.loads(aws_managed_policies_data).items()}


def allow(name: str, document: Any) -> None:
    client("iam").put_role_policy(RoleName=WEB, PolicyName=name, PolicyDocument=json.dumps(document))


@pytest.fixture
def server(server, cloud):
    """A server with an instance profile, whose role has what AWS tells people to give it."""
    iam, trusted = client("iam"), {"Version": "2012-10-17", "Statement": [ASSUMED_BY_EC2]}
    iam.create_role(RoleName=WEB, AssumeRolePolicyDocument=json.dumps(trusted))
    for name in (OF_SNAPSHOTS, OF_AGENTS):
        allow(name, managed()[name])
    arn = iam.create_instance_profile(InstanceProfileName=WEB)["InstanceProfile"]["Arn"]
    iam.add_role_to_instance_profile(InstanceProfileName=WEB, RoleName=WEB)
    cloud.ec2.associate_iam_instance_profile(
        IamInstanceProfile={"Arn": arn, "Name": WEB}, InstanceId=server.instance_id
    )
    return server


def diagnosis(machine: Any, server: Any) -> dict[str, Any]:
    run = machine.examine({"instance_id": server.instance_id})
    assert run.status == "SUCCEEDED", run.cause
    found: dict[str, Any] = run.output["diagnosis"]
    return found


def ready(found: dict[str, Any]) -> dict[str, str]:
    return {each["level"]: each["ready"] for each in found["levels"]}


def lines(found: dict[str, Any], status: str) -> dict[str, str]:
    return {each["check"]: each["words"] for each in found["findings"] if each["status"] == status}


def test_a_server_that_lacks_nothing_is_ready_for_everything(machine, server):
    found = diagnosis(machine, server)
    assert {each["status"] for each in found["findings"]} == {"good"}
    assert found["best"] == "vss"
    assert ready(found) == dict.fromkeys(("crash", "scripts", "vss", "aws-vss"), READY)
    assert lines(found, "good")["rights for AWS's VSS"] == (
        f"{WEB} has what would let AWS's VSS components take snapshots, as IAM's policy simulator says"
    )
    assert lines(found, "good")["way to KMS"].startswith("something leads there, and nothing of a backup needs it")


def test_an_examination_changes_nothing(machine, cloud, server):
    before = len(machine.wire.sent)
    diagnosis(machine, server)
    sent = {call for call in machine.wire.sent[before:] if call.partition(":")[0] in ("ec2", "iam", "ssm")}
    assert sent == {
        "ec2:DescribeInstances",
        "ec2:DescribeRouteTables",
        "ec2:DescribeVpcEndpoints",
        "iam:GetInstanceProfile",
        "iam:SimulatePrincipalPolicy",
        "ssm:DescribeInstanceInformation",
        "ssm:DescribeDocument",
        "ssm:SendCommand",
        "ssm:GetCommandInvocation",
    }
    assert cloud.lease(server.instance_id) is None
    assert server.windows.guest.runs == {}


Break = Callable[[Any, Any], object]


def service(name: str, state: tuple[str, str] | None) -> Break:
    def change(_cloud: Any, server: Any) -> None:
        services = server.windows.guest.condition.services
        services.pop(name, None)
        if state:
            services[name] = state

    return change


def condition(**changes: Any) -> Break:
    return lambda _cloud, server: setattr(
        server.windows.guest, "condition", replace(server.windows.guest.condition, **changes)
    )


def guest(**changes: Any) -> Break:
    def change(_cloud: Any, server: Any) -> None:
        for name, value in changes.items():
            setattr(server.windows.guest, name, value)

    return change


def drive(**changes: Any) -> Break:
    def change(_cloud: Any, server: Any) -> None:
        *first, last = server.windows.guest.drives
        server.windows.guest.disks = disks_of(server.windows.guest.drives)
        server.windows.guest.drives = [*first, replace(last, **changes)]

    return change


def in_a_pool(_cloud: Any, server: Any) -> None:
    first, *_ = drives = server.windows.guest.drives
    server.windows.guest.drives = [first, Drive("E:", volume_guid("pooled"), 7, "{5f3a}")]
    server.windows.guest.disks = [*disks_of([first]), Disk(7, "{5f3a}", POOL, partitions=2)]
    assert drives


def small_storage(_cloud: Any, server: Any) -> None:
    volume = server.windows.guest.drives[0].volume_guid
    server.windows.guest.vss.storage = [ShadowStorage(volume, volume, max_bytes=100 * MIB)]


def no_diskshadow(_cloud: Any, server: Any) -> None:
    server.windows.guest.vss.has_diskshadow = False


def no_metadata_endpoint(cloud: Any, server: Any) -> None:
    cloud.ec2.modify_instance_metadata_options(InstanceId=server.instance_id, HttpEndpoint="disabled")


SCRIPTS_UP, VSS_UP, VSS, AWS = ("scripts", "vss", "aws-vss"), ("vss", "aws-vss"), ("vss",), ("aws-vss",)
BOTH = ("scripts", "vss")
# A broken server for each line of the list: what breaks it, the check that says so, and the levels that it then lacks.
BROKEN: dict[str, tuple[Break, str, tuple[str, ...]]] = {
    "PowerShell is constrained": (guest(language_full=False), "PowerShell", SCRIPTS_UP),
    "a group policy wants signed scripts": (condition(group_policy="AllSigned"), "execution policy", BOTH),
    "a group policy runs no script": (condition(group_policy="Restricted"), "execution policy", BOTH),
    "DiskShadow is missing": (no_diskshadow, "DiskShadow", VSS),
    "VSS is disabled": (service("VSS", DISABLED), "service VSS", VSS_UP),
    "swprv is disabled": (service("swprv", DISABLED), "service swprv", VSS),
    "COM+ Event System is disabled": (service("EventSystem", DISABLED), "service EventSystem", VSS_UP),
    "COM+ Event System is stopped": (service("EventSystem", ("Stopped", "Auto")), "service EventSystem", VSS_UP),
    "swprv is gone": (service("swprv", None), "service swprv", VSS),
    "a writer has failed": (
        condition(writers=(SYSTEM_WRITER, Writer("Shop", "{5409a3f0-0c5e-4c6c-9d0e-7a6b1f1f5409}", FAILED))),
        "writers",
        VSS_UP,
    ),
    "the System Writer is missing": (condition(writers=()), "writers", VSS_UP),
    "Windows' own provider is missing": (condition(providers={}), "VSS providers", VSS),
    "a volume is full": (drive(free_bytes=0), "room for shadow copies", VSS_UP),
    "shadow storage has a tiny limit": (small_storage, "shadow storage", VSS),
    "a volume is ReFS": (drive(file_system="ReFS"), "volumes for VSS", VSS),
    "a volume is on a dynamic disk": (drive(disk_number=None, serial=None), "volumes for VSS", VSS),
    "a volume is in a storage pool": (in_a_pool, "volumes for VSS", VSS),
    "the folder is a user's": (condition(folder=(False, False)), "quiesce's folder", BOTH),
    "the clock is an hour behind": (condition(clock_ahead_s=-3600), "clock", AWS),
    "the clock is an hour ahead": (condition(clock_ahead_s=3600), "clock", AWS),
    "AWS's components are missing": (condition(aws_components=None), "AwsVssComponents", AWS),
    "AWS's components are old": (condition(aws_components="2.2.1.0"), "AwsVssComponents", AWS),
    "the metadata service does not answer": (guest(metadata_answers=False), "metadata service", SCRIPTS_UP),
    "the metadata service is turned off": (no_metadata_endpoint, "metadata options", SCRIPTS_UP),
    "WMI answers nothing": (guest(cim_answers=False), "WMI", VSS_UP),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_keeps_a_server_from_a_level_is_said_with_its_remedy_and_its_page(machine, cloud, server, what):
    change, check, levels = BROKEN[what]
    change(cloud, server)
    found = diagnosis(machine, server)
    broken = {each["check"]: each for each in found["findings"] if each["status"] == "bad"}
    assert check in broken, found["findings"]
    assert broken[check]["remedy"]
    path, _, anchor = broken[check]["page"].partition("#")
    assert path == "docs/operate/ready.md"
    assert anchor in headings()
    not_ready = {level for level, each in ready(found).items() if each == NOT}
    assert not_ready == set(levels)


def headings() -> set[str]:
    lines = [line.lstrip("# ") for line in PAGE.splitlines() if line.startswith("## ")]
    return {line.lower().replace(" ", "-").replace("'", "").replace(",", "") for line in lines}


NOTED: dict[str, tuple[Break, str]] = {
    "a restart is pending": (condition(pending_reboot=("RebootRequired",)), "pending restart"),
    "BitLocker encrypts a volume": (condition(encrypted={"C:": 0, "D:": 1}), "BitLocker"),
    "it is a node of a cluster": (service("ClusSvc", RUNNING), "cluster"),
    "another product protects it": (service("CSFalconService", RUNNING), "endpoint protection"),
    "Defender blocks obfuscated scripts": (
        condition(defender=({"5beb7efe-fd9a-4556-801d-275e5ffc04cc": 1}, 0)),
        "endpoint protection",
    ),
    "users may write to the folder": (condition(folder=(True, False)), "quiesce's folder"),
    "there is a third product's provider": (
        condition(
            providers={
                "{b5946137-7b9f-4925-af80-51abd60b20d5}": "Windows' own",
                "{0a1b2c3d-0000-4000-8000-0aa}": "Array",
            }
        ),
        "other VSS providers",
    ),
}


@pytest.mark.parametrize("what", NOTED)
def test_what_a_person_should_know_is_a_note_and_keeps_a_server_from_no_level(machine, cloud, server, what):
    change, check = NOTED[what]
    change(cloud, server)
    found = diagnosis(machine, server)
    assert check in lines(found, "note")
    assert found["best"] == "vss"


QUESTIONS = {
    "services": ("service VSS", VSS_UP),
    "providers": ("VSS providers", VSS),
    "storage": ("shadow storage", VSS),
    "groupPolicy": ("execution policy", BOTH),
    "diskShadow": ("DiskShadow", VSS),
    "writers": ("writers", VSS_UP),
    "awsComponents": ("AwsVssComponents", AWS),
    "folder": ("quiesce's folder", BOTH),
    "encrypted": ("BitLocker", ()),
    "defender": ("endpoint protection", ()),
    "pendingReboot": ("pending restart", ()),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_what_windows_does_not_answer_is_not_known_and_never_good(machine, cloud, server, question):
    check, levels = QUESTIONS[question]
    condition(unanswered={question})(cloud, server)
    found = diagnosis(machine, server)
    assert "Access denied" in lines(found, "unknown")[check]
    assert check not in lines(found, "good")
    for level in levels:
        assert ready(found)[level] == UNKNOWN


def test_the_room_of_a_volume_that_windows_does_not_tell_is_not_known(machine, cloud, server):
    drive(free_bytes=None)(cloud, server)
    found = diagnosis(machine, server)
    assert "room for shadow copies" in lines(found, "unknown")
    assert ready(found)["vss"] == UNKNOWN


def test_the_disks_of_which_windows_says_nothing_are_not_known(machine, cloud, server):
    guest(has_storage_api=False)(cloud, server)
    found = diagnosis(machine, server)
    assert "disks" in lines(found, "unknown")
    assert ready(found)["vss"] == UNKNOWN


def stopped(cloud: Any, server: Any) -> None:
    cloud.ec2.stop_instances(InstanceIds=[server.instance_id])


def offline(_cloud: Any, server: Any) -> None:
    server.windows.agent.connected = False


def old_agent(_cloud: Any, server: Any) -> None:
    server.windows.agent.version = "3.0.100.0"


def without_profile(cloud: Any, server: Any) -> None:
    found = cloud.ec2.describe_iam_instance_profile_associations()["IamInstanceProfileAssociations"]
    for each in found:
        cloud.ec2.disassociate_iam_instance_profile(AssociationId=each["AssociationId"])
    assert found


def test_a_stopped_server_is_ready_for_crash_consistency_and_the_rest_is_not_known(machine, cloud, server):
    stopped(cloud, server)
    found = diagnosis(machine, server)
    assert found["best"] == "crash"
    assert {ready(found)[level] for level in BOTH} == {UNKNOWN}
    assert "it was not asked: the server was stopped" in lines(found, "unknown")["answer"]


def test_an_old_agent_is_named_and_not_asked(machine, cloud, server):
    old_agent(cloud, server)
    found = diagnosis(machine, server)
    assert "3.0.100.0 is older than 3.0.502" in lines(found, "bad")["agent"]
    assert {ready(found)[level] for level in SCRIPTS_UP} == {NOT}
    assert "answer" in lines(found, "unknown")


def test_an_agent_that_does_not_answer_leaves_the_rest_unknown(machine, server):
    offline(None, server)
    found = diagnosis(machine, server)
    assert found["best"] == "crash"
    assert {ready(found)[level] for level in SCRIPTS_UP} <= {NOT, UNKNOWN}
    assert "answer" in lines(found, "unknown")
    assert "service VSS" not in lines(found, "good")


def test_security_groups_that_let_no_https_through_are_named_where_no_agent_answers(machine, cloud, server):
    [group] = cloud.ec2.describe_instances(InstanceIds=[server.instance_id])["Reservations"][0]["Instances"][0][
        "SecurityGroups"
    ]
    everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    cloud.ec2.revoke_security_group_egress(GroupId=group["GroupId"], IpPermissions=everything)
    # An agent that is connected says that its way is open, whatever the rules are now.
    assert "way to Systems Manager" in lines(diagnosis(machine, server), "good")
    offline(None, server)
    server.windows.agent.last_ping_s -= 3600
    found = lines(diagnosis(machine, server), "bad")
    assert found["way to Systems Manager"] == "its security groups let no HTTPS (443) out"


def test_without_a_profile_aws_vss_lacks_its_rights_and_quiesce_nothing(machine, cloud, server):
    without_profile(cloud, server)
    found = diagnosis(machine, server)
    assert (found["best"], ready(found)["aws-vss"]) == ("vss", NOT)
    assert "no instance profile" in lines(found, "bad")["rights for AWS's VSS"]
    assert "Default Host Management" in lines(found, "good")["instance profile"]


def without(sid: str) -> dict[str, Any]:
    """Return AWS's policy for VSS without one statement."""
    document = managed()[OF_SNAPSHOTS]
    kept = [each for each in document["Statement"] if each["Sid"] != sid]
    assert len(kept) == len(document["Statement"]) - 1
    return {**document, "Statement": kept}


@pytest.mark.parametrize(
    ("sid", "lacks"),
    [
        ("DescribeInstanceInfo", "ec2:DescribeInstanceAttribute"),
        ("CreateSnapshotsWithTag", "ec2:CreateSnapshots"),
        ("CreateSnapshotsAccessInstance", "ec2:CreateSnapshots"),
        ("CreateSnapshotsAccessVolume", "ec2:CreateSnapshots"),
        ("CreateTagsOnResourceCreation", "ec2:CreateTags"),
        ("CreateTagsAfterResourceCreation", "ec2:CreateTags"),
        ("DescribeImagesAndSnapshots", "ec2:DescribeSnapshots"),
    ],
)
def test_a_role_that_lacks_one_right_of_awss_vss_is_named_with_it(machine, server, sid, lacks):
    allow(OF_SNAPSHOTS, without(sid))
    found = diagnosis(machine, server)
    words = f"{WEB} lacks what would let AWS's VSS components take snapshots: {lacks}"
    assert (lines(found, "bad"), ready(found)["aws-vss"]) == ({"rights for AWS's VSS": words}, NOT)
    assert found["best"] == "vss"


def test_the_stacks_own_role_for_servers_has_what_awss_vss_and_an_agent_need(machine, server):
    role = template()["Resources"]["ServerRole"]["Properties"]
    assert [each["Fn::Sub"].rpartition("/")[2] for each in role["ManagedPolicyArns"]] == [OF_AGENTS]
    [own] = role["Policies"]
    region = {"${AWS::Partition}": "aws", "${AWS::Region}": REGION, "${AWS::AccountId}": ACCOUNT, "${!": "${"}
    text = json.dumps(own["PolicyDocument"])
    for variable, value in region.items():
        text = text.replace(variable, value)
    allow(OF_SNAPSHOTS, json.loads(text, object_hook=lambda each: each.get("Fn::Sub", each)))
    assert ready(diagnosis(machine, server))["aws-vss"] == READY


def test_a_profile_without_a_role_lacks_one(machine, server):
    client("iam").remove_role_from_instance_profile(InstanceProfileName=WEB, RoleName=WEB)
    found = lines(diagnosis(machine, server), "bad")
    assert found == {"rights for AWS's VSS": f"{WEB} lacks what would let AWS's VSS components take snapshots: a role"}


def test_why_an_agent_has_not_registered_is_told_by_what_its_role_lacks(machine, server):
    offline(None, server)
    server.windows.agent.last_ping_s -= 3600
    assert "what would let an agent register" in lines(diagnosis(machine, server), "good")["instance profile"]
    client("iam").delete_role_policy(RoleName=WEB, PolicyName=OF_AGENTS)
    # AWS's policy for VSS asks for keys of which an agent's call carries none: one of them might let it.
    found = lines(diagnosis(machine, server), "unknown")["instance profile"]
    assert (
        "IAM's policy simulator can't tell: it denies ssm:UpdateInstanceInformation, and was told nothing of" in found
    )
    client("iam").delete_role_policy(RoleName=WEB, PolicyName=OF_SNAPSHOTS)
    found = diagnosis(machine, server)
    assert "register: ssm:UpdateInstanceInformation, ssmmessages:" in lines(found, "bad")["instance profile"]


@pytest.mark.parametrize("call", ["iam:GetInstanceProfile", "iam:SimulatePrincipalPolicy"])
@pytest.mark.parametrize(
    "fault",
    [unreachable, answer_garbled, refused("AccessDenied", 403), refused("Throttling"), refused("NoSuchEntity", 404)],
)
def test_an_iam_that_does_not_answer_leaves_the_rights_unknown_and_all_else_as_it_is(machine, server, call, fault):
    machine.wire.on(call, fault)
    found = diagnosis(machine, server)
    assert set(lines(found, "unknown")) == {"rights for AWS's VSS"}
    assert "IAM gave no answer: " in lines(found, "unknown")["rights for AWS's VSS"]
    assert (found["best"], ready(found)["aws-vss"]) == ("vss", UNKNOWN)


FORETOLD: dict[str, tuple[Break, str]] = {
    "AWS's components are missing": (
        condition(aws_components=None),
        "AwsVssComponents: they are not installed; quiesce's own VSS does not need them; "
        "run AWS-ConfigureAWSPackage with action Install and name AwsVssComponents",
    ),
    "shadow storage has a tiny limit": (small_storage, "shadow storage: its limit is too small: C: 100 MiB; "),
}


@pytest.mark.parametrize("what", FORETOLD)
def test_what_a_server_lacks_is_a_word_in_its_next_runs_record_for_no_further_call(machine, cloud, server, what):
    data = {"policy": a_policy(server.instance_id, vss={}), "instance_id": server.instance_id}
    before = machine.start(data).output
    change, words = FORETOLD[what]
    change(cloud, server)
    run = machine.start(data)
    assert (run.status, run.output["status"]) == ("SUCCEEDED", "Successful")
    assert next(note for note in run.output["notes"] if note not in before["notes"]).startswith(words)
    asked, known = (
        {call: number for call, number in each["calls"].items() if call.partition(":")[0] in ("ssm", "dynamodb", "s3")}
        for each in (run.output, before)
    )
    assert asked == known
    bad = {each["check"]: each for each in diagnosis(machine, server)["findings"] if each["status"] == "bad"}
    check = words.partition(":")[0]
    assert f"{check}: {bad[check]['words']}; {bad[check]['remedy']}" in run.output["notes"]


def test_a_server_that_ec2_does_not_know_is_ready_for_nothing(machine):
    run = machine.examine({"instance_id": "i-0123456789abcdef0"})
    found = run.output["diagnosis"]
    assert (found["best"], set(ready(found).values())) == ("", {NOT})
    assert "does not know i-0123456789abcdef0" in lines(found, "bad")["server"]


def test_what_is_found_is_in_bucket_and_table_and_a_later_one_takes_its_place(machine, cloud, server):
    diagnosis(machine, server)
    service("VSS", DISABLED)(cloud, server)
    found = diagnosis(machine, server)
    kept = json.loads(cloud.s3.get_object(Bucket=BUCKET, Key=f"doctor/{server.instance_id}.json")["Body"].read())
    assert kept == found
    latest = json.loads(cloud.s3.get_object(Bucket=BUCKET, Key="doctor/latest.json")["Body"].read())
    [summary] = latest["servers"]
    assert (summary["best"], summary["ready"]["vss"], summary["lacks"]["vss"]) == ("scripts", NOT, ["service VSS"])
    assert json.loads(cloud.items()["doctor", server.instance_id]["summary"]) == summary


def test_tags_choose_windows_servers_and_a_tag_that_no_server_has_is_refused(machine, cloud, server):
    other = cloud.add_server("OTHER")
    cloud.ec2.create_tags(Resources=[server.instance_id], Tags=[{"Key": "Stage", "Value": "production"}])
    run = machine.examine({"tags": {"Stage": "production"}})
    assert (run.output["servers"], run.output["ready"]["vss"], run.output["diagnosis"]) == (1, 1, None)
    assert ("doctor", other.instance_id) not in cloud.items()
    run = machine.examine({"tags": {"Stage": "test"}})
    assert (run.status, run.error) == ("FAILED", "DoctorRefused")
    assert "no Windows server has tags Stage=test" in run.cause


@pytest.mark.parametrize("data", [{"instance_id": "i-1", "policy": "x"}, {"server": "i-1"}, {"tags": {}}])
def test_a_bad_input_is_refused_before_anything_is_looked_at(machine, data):
    run = machine.examine(data)
    assert (run.status, run.error) == ("FAILED", "DoctorRefused")
    assert any(words in run.cause for words in ("docs/operate/ready.md", "start an execution", "remove it"))


def in_force(cloud: Any, policy: dict[str, Any]) -> str:
    name = cloud.put_policy(policy)
    item = {"pk": "policies", "sk": f"in-force#{name}", "policy": name, "text": json.dumps(policy), "version": "1"}
    cloud.dynamodb.put_item(TableName=TABLE, Item={key: {"S": value} for key, value in item.items()})
    return name


def test_a_daily_look_tells_once_of_a_server_that_fell_below_its_policys_level(machine, cloud, server):
    name = in_force(cloud, a_policy(server.instance_id, name="nightly", vss={}))
    assert machine.examine().output["below"] == []
    assert cloud.mails() == []
    service("swprv", DISABLED)(cloud, server)
    [below] = machine.examine().output["below"]
    assert below == f"{server.instance_id}: policy {name} wants vss, and it lacks: service swprv"
    [(subject, text)] = cloud.mails()
    assert "can't be backed up as their policies say" in subject
    assert below in text
    machine.examine()
    machine.examine({"policy": name})
    assert len(cloud.mails()) == 1
    service("swprv", ("Stopped", "Manual"))(cloud, server)
    assert machine.examine().output["below"] == []
    service("swprv", DISABLED)(cloud, server)
    machine.examine()
    assert len(cloud.mails()) == 2


def test_a_policy_that_asks_for_less_is_content_with_less(machine, cloud, server):
    in_force(cloud, a_policy(server.instance_id, name="nightly", defaults={"consistency": "crash"}))
    service("VSS", DISABLED)(cloud, server)
    run = machine.examine()
    assert (run.output["servers"], run.output["below"], cloud.mails()) == (1, [], [])


def test_a_policy_that_cannot_be_read_is_said_and_the_others_servers_are_examined(machine, cloud, server):
    in_force(cloud, a_policy(server.instance_id, name="nightly"))
    in_force(cloud, a_policy(server.instance_id, name="broken", consistency="crash"))
    run = machine.examine()
    [problem] = run.output["problems"]
    assert (run.output["servers"], problem.startswith("policy broken, whose servers were not examined: ")) == (1, True)


def test_an_error_at_one_server_stops_no_other_and_is_said(machine, cloud, server):
    other = cloud.add_server("OTHER")
    in_force(cloud, {**a_policy(server.instance_id, name="nightly"), "targets": targets(server, other)})
    first = min(server.instance_id, other.instance_id)
    machine.wire.on("ec2:DescribeRouteTables", refused("UnauthorizedOperation", 403))
    run = machine.examine()
    assert run.status == "SUCCEEDED"
    found = json.loads(cloud.s3.get_object(Bucket=BUCKET, Key=f"doctor/{first}.json")["Body"].read())
    assert "AccessDenied" in lines(found, "unknown")["examination"]
    assert set(ready(found).values()) == {UNKNOWN}
    assert run.output["ready"]["vss"] == 1


def targets(*servers: Any) -> list[dict[str, str]]:
    return [{"instance_id": each.instance_id} for each in servers]
