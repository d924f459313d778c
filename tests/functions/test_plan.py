"""Plan: it refuses a new user's mistakes in plain words and leaves nothing behind; a good plan takes the lease."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.ec2.models import ec2_backends

from quiesce import errors
from quiesce.aws.runs import LEASE_S
from quiesce.backup.state import Plan
from sandbox.servers import Disk, Server
from tests.functions.conftest import EXECUTIONS, a_document
from tests.functions.faults import ATTEMPTS, each_fault
from tests.support.clock import Clock
from tests.support.cloud import Cloud
from tests.support.environment import ACCOUNT, BUCKET, REGION
from tests.support.factories.policy import a_policy
from tests.support.wire import Wire, answer_lost, refused

CALLS = [
    ("s3:GetObject", 1),
    ("ec2:DescribeInstances", 1),
    ("ec2:DescribeVolumes", 1),
    ("dynamodb:TransactWriteItems", 1),
]
SCRIPTS = {"scripts": {"from": "bucket"}}
UNKNOWN_ID = "i-0fedcba9876543210"
FILE = f"s3://{BUCKET}/policies/files-nightly.yaml"
EXAMPLE = '{"policy": "files-nightly", "instance_id": "i-0123456789abcdef0"}'
REFERENCE = "docs/reference/reference.md has the bounds of every field"

Call = Callable[..., Any]


@pytest.fixture
def refusal(call: Call, cloud: Cloud, wire: Wire) -> Callable[..., tuple[str, str]]:
    """Plan, then Report as after a Catch: check that only the record is left, and return the error's name and text."""

    def refusal(raw: Any, name: str = "run-1") -> tuple[str, str]:
        document = a_document(raw, name)
        with pytest.raises(errors.Refused) as caught:
            call("plan", document)
        error, words = type(caught.value).__name__, str(caught.value)
        report = call(
            "report", {**document, "failure": {"Error": error, "Cause": f'{{"errorMessage": {_json(words)}}}'}}
        )

        assert cloud.snapshots() == []
        assert report["failure"] == {"error": error, "cause": words}
        assert [item["status"] for item in cloud.items().values() if "status" in item] == ["Failed", "Failed"]
        kept = {key[1] for key in cloud.items()}
        # The run, the policy's last one, and the run in the list by time.
        assert {f"run#{report['run_id']}", f"last#{report['policy']}"} < kept
        assert len(kept) == 3
        assert list(cloud.records().values()) == [report]
        assert len(cloud.mails()) == 1
        return error, words

    return refusal


def _json(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def upload(cloud: Cloud, content: str) -> None:
    cloud.s3.put_object(Bucket=BUCKET, Key="policies/files-nightly.yaml", Body=content.encode())


def set_state(server: Server, name: str) -> None:
    ec2_backends[ACCOUNT][REGION].get_instance(server.instance_id)._state.name = name


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("files-nightly", f"input: is str, not a JSON object. Remedy: write for example {EXAMPLE}."),
        (["files-nightly"], f"input: is list, not a JSON object. Remedy: write for example {EXAMPLE}."),
        (
            {"polcy": "files-nightly", "instance_id": UNKNOWN_ID},
            "polcy: is not a field that quiesce knows (and 1 more). Remedy: write 'policy'.",
        ),
        (
            {"policy": "files-nightly", "instance_id": "i-12345"},
            "instance_id: 'i-12345': must be the id of a server, such as i-0123456789abcdef0, or its Name tag. "
            f"Remedy: correct it; {REFERENCE}.",
        ),
        (
            {"policy": "files-nightly", "instance_id": UNKNOWN_ID},
            f"policy: {FILE} does not exist. "
            f"Remedy: correct the name: the bucket has none, or upload it: aws s3 cp files-nightly.yaml {FILE}.",
        ),
    ],
)
def test_an_input_that_cannot_be_meant_is_refused(refusal: Call, raw: Any, words: str) -> None:
    assert refusal(raw) == ("PolicyRefused", words)


def test_a_policy_that_does_not_exist_is_answered_with_those_that_there_are(refusal: Call, cloud: Cloud) -> None:
    for name in ("erp", "mail"):
        cloud.s3.put_object(Bucket=BUCKET, Key=f"policies/{name}.yaml", Body=b"")
    _, words = refusal({"policy": " files-nightly.yaml ", "instance_id": UNKNOWN_ID})
    assert words.startswith(f"policy: {FILE} does not exist. Remedy: write one of erp, mail, or upload it: ")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            "name: files-nightly\n\ttargets: []\n",
            f"{FILE}, line 2, column 1: is not YAML: found character '\\t' that cannot start any token. "
            "Remedy: indent with spaces.",
        ),
        (
            "<html><body>403 Forbidden</body></html>",
            f"{FILE}: is not a policy: it has no fields. "
            "Remedy: begin with 'name:' and 'targets:', as in policies/ of the project.",
        ),
        (
            f"name: other\ntargets: [{{instance_id: {UNKNOWN_ID}}}]",
            f"{FILE}, line 1, column 7: name: is 'other', but the file is 'files-nightly.yaml'. "
            "Remedy: give both the same name.",
        ),
        (
            f"name: files-nightly\ntargets: [{{instance_id: {UNKNOWN_ID}, volume: all}}]",
            f"{FILE}, line 2, column 54: targets[0].volume: is not a field that quiesce knows. "
            "Remedy: write 'volumes'.",
        ),
        (
            "name: files-nightly\ntargets: [{instance_id: i-0123456789abcdef0}]",
            f"instance_id: {UNKNOWN_ID} is no target of policy 'files-nightly' (its targets: i-0123456789abcdef0). "
            "Remedy: correct the id, or add it to the policy's targets.",
        ),
        ("#" * 70_000, f"{FILE}: has more than 65536 bytes. Remedy: split it into several policies."),
    ],
)
def test_a_policy_file_that_cannot_be_used_is_refused(refusal: Call, cloud: Cloud, content: str, words: str) -> None:
    upload(cloud, content)
    assert refusal({"policy": "files-nightly", "instance_id": UNKNOWN_ID}) == ("PolicyRefused", words)


@pytest.mark.parametrize("name", ["nightly.1", "nächtlich", "a+b"])
def test_an_execution_name_that_tags_and_keys_do_not_take_is_refused(refusal: Call, server: Server, name: str) -> None:
    assert refusal({"policy": a_policy(server.instance_id)}, name) == (
        "PolicyRefused",
        f"execution name: {name!r} has characters other than letters, digits, '-' and '_'. "
        "Remedy: start it under another name.",
    )


def test_an_unknown_server_is_refused(refusal: Call) -> None:
    assert refusal({"policy": a_policy(UNKNOWN_ID)}) == (
        "ServerRefused",
        f"instance_id: {UNKNOWN_ID} does not exist in {REGION} in this account. "
        "Remedy: correct the id; a server in another region is backed up by a stack there.",
    )


def test_a_server_in_another_region_is_refused_with_the_region_named(refusal: Call, cloud: Cloud) -> None:
    elsewhere = boto3.client("ec2", region_name="eu-west-1")
    image = elsewhere.register_image(Name="windows", RootDeviceName="/dev/sda1")["ImageId"]
    instance_id = elsewhere.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    error, words = refusal({"policy": a_policy(instance_id)})
    assert error == "ServerRefused"
    assert words.startswith(f"instance_id: {instance_id} does not exist in {REGION} in this account. ")


def test_a_terminated_server_is_refused(refusal: Call, cloud: Cloud, server: Server) -> None:
    cloud.ec2.terminate_instances(InstanceIds=[server.instance_id])
    assert refusal({"policy": a_policy(server.instance_id)}) == (
        "ServerRefused",
        "instance_id: the server is terminated: its volumes are gone or going. Remedy: take it out of the policy.",
    )


def test_a_server_that_a_recovery_is_making_is_left_alone(refusal: Call, cloud: Cloud, server: Server) -> None:
    cloud.ec2.create_tags(Resources=[server.instance_id], Tags=[{"Key": "quiesce:recovering", "Value": "drill-7"}])
    assert refusal({"policy": a_policy(server.instance_id)}) == (
        "ServerRefused",
        "instance_id: recovery drill-7 is still making the server. Remedy: back it up once the recovery has ended.",
    )


def test_what_a_recovery_needs_to_launch_another_like_it_is_kept(call: Call, cloud: Cloud, server: Server) -> None:
    source = call("plan", a_document({"policy": a_policy(server.instance_id)}))["source"]
    [instance] = cloud.ec2.describe_instances(InstanceIds=[server.instance_id])["Reservations"][0]["Instances"]
    assert source == {
        "instance_type": "m5.large",
        "architecture": instance.get("Architecture", ""),
        "boot_mode": "",
        "image_id": instance["ImageId"],
        "root_device": "/dev/sda1",
        "vpc_id": instance["VpcId"],
        "subnet_id": instance["SubnetId"],
        "availability_zone": instance["Placement"]["AvailabilityZone"],
        "security_group_ids": [group["GroupId"] for group in instance["SecurityGroups"]],
        "key_name": None,
        "instance_profile_arn": None,
        "usage_operation": "RunInstances:0002",
        "product_codes": [],
        "private_ip": instance["PrivateIpAddress"],
        "public_ip": instance.get("PublicIpAddress", ""),
        "tags": {"Name": "SERVER1"},
        "metadata_options": {n: v for n, v in instance["MetadataOptions"].items() if n != "State"},
        "tenancy": instance["Placement"]["Tenancy"],
        "host_id": "",
        "placement_group": "",
        "cpu_options": {},
        "interfaces": [],
    }


@pytest.mark.parametrize("state", ["pending", "stopping"])
def test_a_server_between_two_states_is_refused(refusal: Call, server: Server, state: str) -> None:
    set_state(server, state)
    assert refusal({"policy": a_policy(server.instance_id)}) == (
        "ServerRefused",
        f"instance_id: the server is {state}. Remedy: start the run again once it is running or stopped.",
    )


def volumes_policy(server: Server, **choice: list[str]) -> dict[str, Any]:
    return {"policy": a_policy(server.instance_id, defaults={"volumes": choice})}


def test_a_policy_that_leaves_no_volume_is_refused(refusal: Call, server: Server) -> None:
    error, words = refusal(volumes_policy(server, exclude=["root", "xvdf", "xvdg"]))
    assert error == "PolicyRefused"
    assert re.fullmatch(
        r"volumes\.exclude: leaves no volume of /dev/sda1 vol-\w+, xvdf vol-\w+, xvdg vol-\w+ to back up\. "
        r"Remedy: leave at least one volume in\.",
        words,
    )


def test_an_include_that_fits_no_volume_is_refused(refusal: Call, server: Server) -> None:
    error, words = refusal(volumes_policy(server, include=["root", "xvdz"]))
    assert error == "PolicyRefused"
    assert re.fullmatch(
        r"volumes\.include: xvdz fits no volume of the server \(/dev/sda1 vol-\w+, xvdf vol-\w+, xvdg vol-\w+\)\. "
        r"Remedy: correct it\.",
        words,
    )


def test_more_exclusions_than_ec2_takes_are_refused(refusal: Call, cloud: Cloud) -> None:
    names = [f"xvd{a}{b}" for a in "bc" for b in "abcdefghijklmnopqrstuvwxyz"][:41]
    server = cloud.add_server("BIG", (Disk("/dev/sda1", 50, "C:"), *(Disk(name, 1, name) for name in names)))
    assert refusal(volumes_policy(server, include=["root"])) == (
        "PolicyRefused",
        "volumes.include: leaves out 41 data volumes; EC2 can leave out 40 of one server. "
        "Remedy: leave out fewer, or move them to another server.",
    )


def test_a_backup_that_ec2_would_refuse_is_refused_in_its_words(refusal: Call, wire: Wire, server: Server) -> None:
    wire.on("ec2:CreateSnapshots", refused("InvalidParameterValue", message="No such tag."))
    assert refusal({"policy": a_policy(server.instance_id, defaults=SCRIPTS)}) == (
        "ServerRefused",
        "instance_id: EC2 would refuse its snapshots: An error occurred (InvalidParameterValue) when calling the "
        "CreateSnapshots operation: No such tag.. Remedy: mend what EC2 names.",
    )


def test_rights_that_are_wanting_are_named_before_anything_is_created(
    call: Call, cloud: Cloud, wire: Wire, server: Server
) -> None:
    wire.on("ec2:CreateSnapshots", refused("UnauthorizedOperation", 403, "You are not authorized."))
    with pytest.raises(errors.AccessDenied, match=r"^ec2:CreateSnapshots \(DryRun\): .*You are not authorized\."):
        call("plan", a_document({"policy": a_policy(server.instance_id, defaults=SCRIPTS)}))
    assert (cloud.snapshots(), cloud.lease(server.instance_id)) == ([], None)


def test_a_dry_run_that_ec2_takes_for_real_is_not_believed(
    call: Call, cloud: Cloud, wire: Wire, server: Server
) -> None:
    def created(_request: Any, effect: Any) -> Any:
        answer = effect()
        answer.status_code, answer.raw = (
            200,
            type(answer.raw)(b"<CreateSnapshotsResponse><snapshotSet/></CreateSnapshotsResponse>"),
        )
        return answer

    wire.on("ec2:CreateSnapshots", created)
    with pytest.raises(errors.ServerRefused, match="as if it had not been one"):
        call("plan", a_document({"policy": a_policy(server.instance_id, defaults=SCRIPTS)}))
    assert cloud.lease(server.instance_id) is None


def test_a_good_plan_holds_the_server_and_nothing_else(
    call: Call, cloud: Cloud, clock: Clock, wire: Wire, server: Server
) -> None:
    name = cloud.put_policy(
        a_policy(server.instance_id, tags={"Cost": "4711"}, defaults={"volumes": {"exclude": ["root"]}})
    )

    plan = call("plan", a_document({"policy": name, "instance_id": server.instance_id}))

    assert [(v["device"], v["size_gib"]) for v in plan["volumes"]] == [("xvdf", 100), ("xvdg", 20)]
    assert [e["reason"] for e in plan["excluded"]] == ["volumes.exclude: root"]
    assert (plan["instance_name"], plan["instance_state"], plan["consistency"]["level"]) == (
        "SERVER1",
        "running",
        "crash",
    )
    assert plan["tags"] == {
        "Cost": "4711",
        "quiesce:stack": "quiesce",
        "quiesce:run": "run-1",
        "quiesce:policy": "files-nightly",
        "quiesce:owner": "admin",
        "quiesce:instance": server.instance_id,
    }
    until = int((clock.now() + timedelta(seconds=LEASE_S)).timestamp())
    items = cloud.items()
    # For Sweep, which has no state document.
    kept = items[server.instance_id, "run#run-1"].pop("plan")
    assert Plan.model_validate_json(kept) == Plan.model_validate({**plan, "calls": {}})
    assert items == {
        (server.instance_id, "lease"): {
            "run_id": "run-1", "execution": f"{EXECUTIONS}:run-1", "expires_at": str(until)
        },
        (server.instance_id, "run#run-1"): {
            "execution": f"{EXECUTIONS}:run-1",
            "policy": "files-nightly",
            "started_at": clock.now().isoformat(),
            "status": "Running",
        },
    }  # fmt: skip
    assert cloud.snapshots() == []
    assert [(sent, wire.sent[: n + 1].count(sent)) for n, sent in enumerate(wire.sent)] == CALLS


def test_a_stopped_server_is_planned_with_that_as_its_reason(call: Call, cloud: Cloud, server: Server) -> None:
    cloud.ec2.stop_instances(InstanceIds=[server.instance_id])
    plan = call("plan", a_document({"policy": a_policy(server.instance_id)}))
    assert plan["instance_state"] == "stopped"
    assert plan["consistency"]["reason"].startswith("the server was stopped")


def test_the_calls_that_boto_repeats_by_itself_are_counted(call: Call, wire: Wire, server: Server) -> None:
    wire.on("ec2:DescribeVolumes", refused("RequestLimitExceeded", 503), times=2)
    plan = call("plan", a_document({"policy": a_policy(server.instance_id)}))
    assert plan["calls"] == {
        "dynamodb:TransactWriteItems": 1,
        "ec2:DescribeInstances": 1,
        "ec2:DescribeVolumes": 3,
    }


def test_planning_again_by_the_same_execution_is_success(call: Call, cloud: Cloud, server: Server) -> None:
    document = a_document({"policy": a_policy(server.instance_id)})
    first, second = call("plan", document), call("plan", document)
    assert {**first, "planned_at": ""} == {**second, "planned_at": ""}
    assert len(cloud.items()) == 2


@pytest.mark.parametrize(("call_name", "nth"), CALLS)
def test_a_lost_answer_of_any_call_changes_nothing(
    call: Call, cloud: Cloud, wire: Wire, server: Server, call_name: str, nth: int
) -> None:
    name = cloud.put_policy(a_policy(server.instance_id))
    wire.on(call_name, answer_lost, nth=nth)
    call("plan", a_document({"policy": name, "instance_id": server.instance_id}))
    assert cloud.snapshots() == []
    assert cloud.lease(server.instance_id)


@pytest.mark.parametrize(("call_name", "nth", "fault", "times", "error"), each_fault(CALLS[:-1]))
def test_an_error_of_aws_has_a_name_and_leaves_the_server_free(
    call: Call, cloud: Cloud, wire: Wire, server: Server, call_name: str, nth: int, fault: Any, times: int, error: str
) -> None:
    name = cloud.put_policy(a_policy(server.instance_id))
    wire.on(call_name, fault, nth=nth, times=times)
    with pytest.raises(getattr(errors, error), match=f"^{call_name.partition(':')[0]}:"):
        call("plan", a_document({"policy": name, "instance_id": server.instance_id}))
    assert wire.count(call_name) == nth - 1 + times
    assert (cloud.snapshots(), cloud.lease(server.instance_id)) == ([], None)
    assert times in (1, ATTEMPTS)


@pytest.mark.parametrize(("call_name", "nth", "fault", "times", "error"), each_fault(CALLS[-1:]))
def test_a_plan_claims_its_run_and_its_server_together_or_neither_and_the_next_try_has_both(
    call: Call, cloud: Cloud, wire: Wire, server: Server, call_name: str, nth: int, fault: Any, times: int, error: str
) -> None:
    document = a_document({"policy": a_policy(server.instance_id)})
    wire.on(call_name, fault, nth=nth, times=times)
    with pytest.raises(getattr(errors, error)):
        call("plan", document)
    claimed = (server.instance_id, "run#run-1") in cloud.items()
    assert claimed == ((server.instance_id, "lease") in cloud.items())
    call("plan", document)
    assert (cloud.lease(server.instance_id) or {})["run_id"] == "run-1"
    assert "plan" in cloud.items()[server.instance_id, "run#run-1"]


def test_a_second_execution_of_the_same_run_is_told_of_the_first(call: Call, cloud: Cloud, server: Server) -> None:
    raw = {"policy": a_policy(server.instance_id), "scheduled_time": "2026-03-14T01:30:00Z"}
    call("plan", a_document(raw, "first"))
    before = cloud.items()
    with pytest.raises(errors.RunAlreadyStarted) as caught:
        call("plan", a_document(raw, "second"))
    assert str(caught.value) == (
        f"run files-nightly-{server.instance_id}-20260314T013000Z was started before, by {EXECUTIONS}:first, and is "
        "Running; nothing was changed. To back up again, start an execution under a new name."
    )
    assert cloud.items() == before


def test_a_busy_server_is_told_with_run_and_execution(call: Call, cloud: Cloud, clock: Clock, server: Server) -> None:
    raw = {"policy": a_policy(server.instance_id)}
    call("plan", a_document(raw, "first"))
    with pytest.raises(errors.ServerBusy) as caught:
        call("plan", a_document(raw, "second"))
    assert str(caught.value) == (
        f"{server.instance_id} is being backed up by run first ({EXECUTIONS}:first); "
        "wait for it or stop it, then start again"
    )
    assert cloud.lease(server.instance_id) == {
        "run_id": "first",
        "execution": f"{EXECUTIONS}:first",
        "expires_at": str(int((clock.now() + timedelta(seconds=LEASE_S)).timestamp())),
    }


@pytest.mark.parametrize(("after_s", "free"), [(LEASE_S - 1, False), (LEASE_S, True)])
def test_a_lease_is_free_once_it_has_expired(
    call: Call, cloud: Cloud, clock: Clock, server: Server, after_s: int, free: bool
) -> None:
    raw = {"policy": a_policy(server.instance_id)}
    call("plan", a_document(raw, "first"))
    clock.now_s += after_s
    if free:
        call("plan", a_document(raw, "second"))
    else:
        with pytest.raises(errors.ServerBusy):
            call("plan", a_document(raw, "second"))
    lease = cloud.lease(server.instance_id)
    assert lease
    assert lease["run_id"] == ("second" if free else "first")


@pytest.mark.parametrize(("call_name", "nth"), [CALLS[0], CALLS[1], CALLS[2]])
def test_an_error_that_nobody_has_seen_keeps_its_own_name(
    call: Call, cloud: Cloud, wire: Wire, server: Server, call_name: str, nth: int
) -> None:
    name = cloud.put_policy(a_policy(server.instance_id))
    wire.on(call_name, refused("SomethingNew"), nth=nth)
    with pytest.raises(ClientError, match="SomethingNew"):
        call("plan", a_document({"policy": name, "instance_id": server.instance_id}))
    assert cloud.lease(server.instance_id) is None


def test_a_name_of_a_policys_target_is_refused_with_its_id(
    refusal: Callable[..., tuple[str, str]], cloud: Cloud, server: Server
) -> None:
    """A run that is stopped before Plan has answered is known by its input alone."""
    error, words = refusal({"policy": cloud.put_policy(a_policy(server.instance_id)), "instance_id": " server1 "})
    assert error == "PolicyRefused"
    assert words.startswith(f"instance_id: 'server1' is the Name tag of {server.instance_id}, and a run needs ")
    assert words.endswith(f"Remedy: write {server.instance_id}.")


def test_an_instance_id_in_upper_case_and_with_blanks_is_the_server_for_the_whole_run(
    call: Call, cloud: Cloud, server: Server
) -> None:
    raw = {"policy": cloud.put_policy(a_policy(server.instance_id)), "instance_id": f" {server.instance_id.upper()} "}
    assert call("plan", a_document(raw, "run-1"))["instance_id"] == server.instance_id
    assert cloud.lease(server.instance_id)
