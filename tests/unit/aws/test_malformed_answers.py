"""Answers of AWS that can't be read: each call ends in an error of ours by name, which the state machine knows."""

import ast
import json
import re
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.model import ListShape, OperationModel, Shape, StructureShape
from moto.core.botocore_stubber import MockRawResponse

from quiesce.aws import (
    child_snapshots,
    clients,
    history,
    images,
    parameters,
    point_looks,
    recovery_changes,
    recovery_looks,
    servers,
    snapshots,
    surroundings,
    topic,
)
from quiesce.aws.backup.vss_document import VssDocument
from quiesce.aws.backup.warming import warm_up
from quiesce.aws.bucket import Bucket
from quiesce.aws.child_blocks import ChildBlocks
from quiesce.aws.clients import ONCE
from quiesce.aws.doctor import outside, profiles, roles, security_groups
from quiesce.aws.items import Items, Write
from quiesce.aws.pages.page_files import PageFiles
from quiesce.aws.policies.policy_files import PolicyFiles
from quiesce.aws.policies.policy_run_files import PolicyRunFiles
from quiesce.aws.policies.schedules import Schedules
from quiesce.aws.posture import stored
from quiesce.aws.recovered import RecoveredGroup
from quiesce.aws.retention import locks, looks, removing, tiers
from quiesce.aws.retention.own_blocks import OwnBlocks
from quiesce.aws.retention.server_lists import ServerLists
from quiesce.aws.snapshot_blocks import Allowance, SnapshotBlocks
from quiesce.aws.ssm import Guest
from quiesce.backup.run import RunIdentity
from quiesce.clock import Clock
from quiesce.disks.raw import BLOCK_BYTES
from quiesce.doctor.rights import for_agent
from quiesce.errors import AwsUnavailable, NotReady, OutcomeUnknown
from quiesce.points.record import Record
from quiesce.policy.lock import Lock
from tests.support.factories.recovery import a_recovery_plan
from tests.support.factories.run import INSTANCE, a_record, a_snapshot, snapshot_id
from tests.support.project import ROOT
from tests.support.scripted_ssm import THE_DOCUMENT

RUN = RunIdentity("run-1", "files", INSTANCE)
PLAN = a_recovery_plan()
LOCK = Lock(mode="governance", days=30)
[REGISTERING] = for_agent()
NIGHTLY: dict[str, Any] = {
    "ScheduleExpression": "cron(0 2 * * ? *)",
    "FlexibleTimeWindow": {"Mode": "OFF"},
    "Target": {"Arn": "the-machine", "RoleArn": "the-role-of-the-schedules"},
}
SNAPSHOTS = {"InstanceSpecification": {"InstanceId": INSTANCE}}


def blocks(ebs: Any) -> SnapshotBlocks:
    """Return a snapshot of which only the listing was read, and well."""
    made = SnapshotBlocks.__new__(SnapshotBlocks)
    made._client, made._id, made._allowance, made.fetched = ebs, snapshot_id(0), Allowance(lambda: 180_000), 0
    made._tokens, made._listed, made._kept = {0: "token"}, [range(1)], {}
    made._expected, made._coming = iter(()), deque()
    return made


def guest(ssm: Any) -> Guest:
    return Guest(ssm, THE_DOCUMENT, INSTANCE, Clock())


def document(ssm: Any) -> VssDocument:
    return VssDocument(ssm, INSTANCE, Clock())


def files(s3: Any) -> PolicyRunFiles:
    return PolicyRunFiles(s3, "bucket", "files", "run-1")


def group() -> Any:
    return RecoveredGroup("sg-1", lets_in=False, egress=[{"IpProtocol": "-1"}])


def instance() -> Any:
    described = {
        "InstanceId": INSTANCE,
        "State": {"Name": "running"},
        "BlockDeviceMappings": [{"DeviceName": "xvdf", "Ebs": {"VolumeId": "vol-1"}}],
    }
    return servers.instance_of(described)


def a_recorded_set() -> Record:
    parts = a_snapshot().model_dump(include={"snapshot_id", "volume_id", "size_gib", "state", "started_at"})
    return a_record(snapshots=[{**parts, "completed_at": None, "device": "xvdf", "root": False, "volume": None}])


class Policies(Bucket):
    """A bucket of which only the listing was read, and well."""

    def _keys(self, folder: str) -> list[str]:
        return [f"{folder}files.yaml"]


CALLS: dict[str, tuple[str, Callable[[Any], object]]] = {
    "bucket.read_policy": ("s3", lambda s3: Bucket(s3, s3, "bucket").read_policy("files")),
    "bucket.lines_with": ("s3", lambda s3: Policies(s3, s3, "bucket").lines_with("x")),
    "bucket.list_below": ("s3", lambda s3: Bucket(s3, s3, "bucket").list_below("records/")),
    "bucket._keys": ("s3", lambda s3: Bucket(s3, s3, "bucket").lines_with("word")),
    "bucket.list_scripts": ("s3", lambda s3: Bucket(s3, s3, "bucket").list_scripts(["scripts/admin/"])),
    "bucket.read_script": ("s3", lambda s3: Bucket(s3, s3, "bucket").read_script("scripts/admin/before_files")),
    "bucket.read_writers_file": ("s3", lambda s3: Bucket(s3, s3, "bucket").read_writers_file("scripts/admin/x.txt")),
    "bucket.write_package": ("s3", lambda s3: Bucket(s3, s3, "bucket").write_package("packages/x.zip", b"x")),
    "bucket.read_archive": ("s3", lambda s3: Bucket(s3, s3, "bucket").read_archive("logs/x.zip")),
    "bucket.write_session_file": ("s3", lambda s3: Bucket(s3, s3, "bucket").write_session_file("logs/x.log", b"x")),
    "bucket.write_json": ("s3", lambda s3: Bucket(s3, s3, "bucket").write_json("records/x.json", "{}")),
    "bucket.write_text": ("s3", lambda s3: Bucket(s3, s3, "bucket").write_text("recoveries/x.txt", "x")),
    "bucket.read_json": ("s3", lambda s3: Bucket(s3, s3, "bucket").read_json("builds/x.json")),
    "bucket.keep_json": ("s3", lambda s3: Bucket(s3, s3, "bucket").keep_json("builds/x.json", "{}")),
    "child_blocks._call": ("ebs", lambda ebs: ChildBlocks(ebs, snapshot_id(0)).put(0, bytes(BLOCK_BYTES), "x")),
    "child_blocks.changed": ("ebs", lambda ebs: list(ChildBlocks(ebs, snapshot_id(0)).changed(snapshot_id(1), 0, 8))),
    "child_blocks.read_back": ("ebs", lambda ebs: ChildBlocks(ebs, snapshot_id(0)).read_back(0, "token")),
    "child_snapshots._described": (
        "ec2",
        lambda ec2: child_snapshots.find_snapshots(ec2, {"quiesce:stack": "stack"}),
    ),
    "child_snapshots.encrypts_by_default": ("ec2", child_snapshots.encrypts_by_default),
    "child_snapshots.start_child": ("ebs", lambda ebs: child_snapshots.start_child(ebs, {"VolumeSize": 8})),
    "child_snapshots.complete_child": (
        "ebs",
        lambda ebs: child_snapshots.complete_child(ebs, snapshot_id(0), 1, "checksum"),
    ),
    "child_snapshots.copy_parent": (
        "ec2",
        lambda ec2: child_snapshots.copy_parent(ec2, {"SourceRegion": "x", "SourceSnapshotId": snapshot_id(0)}),
    ),
    "child_snapshots.tag_child": ("ec2", lambda ec2: child_snapshots.tag_child(ec2, snapshot_id(0), "application")),
    "child_snapshots.delete_snapshot": ("ec2", lambda ec2: child_snapshots.delete_snapshot(ec2, snapshot_id(0))),
    "images.find_images": ("ec2", lambda ec2: images.find_images(ec2, "stack", INSTANCE)),
    "images.describe_image": ("ec2", lambda ec2: images.describe_image(ec2, "ami-1")),
    "images.create_image": ("ec2", lambda ec2: images.create_image(ec2, {"InstanceId": INSTANCE, "Name": "image"})),
    "images.deregister": ("ec2", lambda ec2: images.deregister(ec2, "ami-1")),
    "items._write": ("dynamodb", lambda table: Items(table, "table").put("pk", "sk", {})),
    "items.write_together": ("dynamodb", lambda db: Items(db, "table").write_together(Write.put("pk", "sk", {}))),
    "items.update_or_read": ("dynamodb", lambda db: Items(db, "table").update_or_read("pk", "sk", "SET a = b", "", {})),
    "items.read": ("dynamodb", lambda table: Items(table, "table").read("pk", "sk")),
    "items.read_many": ("dynamodb", lambda db: Items(db, "table").read_many([("pk", "sk")], "record")),
    "items.nearest": ("dynamodb", lambda db: Items(db, "table").nearest("pk", "sk", "run", 9, above=True)),
    "items.query": ("dynamodb", lambda table: list(Items(table, "table").query("pk", "run#", "record"))),
    "recovery_changes.find_server": ("ec2", lambda ec2: recovery_changes.find_server(ec2, "drill-7", "stack")),
    "recovery_changes.describe_server": ("ec2", lambda ec2: recovery_changes.describe_server(ec2, INSTANCE)),
    "recovery_changes._volumes": ("ec2", lambda ec2: recovery_changes.attached_volumes(ec2, INSTANCE)),
    "recovery_changes.find_group": ("ec2", lambda ec2: recovery_changes.find_group(ec2, "drill-7", "stack")),
    "recovery_changes.make_group": ("ec2", lambda ec2: recovery_changes.make_group(ec2, PLAN, "stack")),
    "recovery_changes.silence_group": ("ec2", lambda ec2: recovery_changes.silence_group(ec2, group())),
    "recovery_changes.create_volume": (
        "ec2",
        lambda ec2: recovery_changes.create_volume(ec2, {"AvailabilityZone": "eu-central-1a"}),
    ),
    "recovery_changes.run_server": (
        "ec2",
        lambda ec2: recovery_changes.run_server(ec2, {"MinCount": 1, "MaxCount": 1}),
    ),
    "recovery_changes.stop_server": ("ec2", lambda ec2: recovery_changes.stop_server(ec2, INSTANCE)),
    "recovery_changes.start_server": ("ec2", lambda ec2: recovery_changes.start_server(ec2, INSTANCE)),
    "recovery_changes.terminate_server": ("ec2", lambda ec2: recovery_changes.terminate_server(ec2, INSTANCE)),
    "recovery_changes.detach": ("ec2", lambda ec2: recovery_changes.detach(ec2, INSTANCE, "vol-1")),
    "recovery_changes.attach": ("ec2", lambda ec2: recovery_changes.attach(ec2, INSTANCE, "vol-1", "xvdf")),
    "recovery_changes.set_delete_on_termination": (
        "ec2",
        lambda ec2: recovery_changes.set_delete_on_termination(ec2, INSTANCE, PLAN),
    ),
    "recovery_changes.set_groups": ("ec2", lambda ec2: recovery_changes.set_groups(ec2, INSTANCE, ["sg-1"])),
    "recovery_changes.delete_volume": ("ec2", lambda ec2: recovery_changes.delete_volume(ec2, "vol-1")),
    "recovery_changes.delete_group": ("ec2", lambda ec2: recovery_changes.delete_group(ec2, "sg-1")),
    "recovery_changes.end_recovering": ("ec2", lambda ec2: recovery_changes.end_recovering(ec2, [INSTANCE])),
    "parameters.read_parameter": ("ssm", lambda ssm: parameters.read_parameter(ssm, "/aws/service/x")),
    "point_looks.find_snapshots": ("ec2", lambda ec2: point_looks.find_snapshots(ec2, [snapshot_id(0)])),
    "point_looks._in_recycle_bin": ("ec2", lambda ec2: point_looks._in_recycle_bin(ec2, {snapshot_id(0)})),
    "point_looks.find_names": ("ec2", lambda ec2: point_looks.find_names(ec2, [INSTANCE])),
    "point_looks._instances_by_run": ("ec2", lambda ec2: point_looks.find_instances(ec2, "stack", "run-1")),
    "recovery_looks.status_checks": ("ec2", lambda ec2: recovery_looks.status_checks(ec2, INSTANCE)),
    "recovery_looks._try": ("ec2", lambda ec2: recovery_looks.try_changes(ec2, PLAN, "stack")),
    "recovery_looks._subnets": ("ec2", lambda ec2: recovery_looks.find_subnets(ec2, "vpc-1")),
    "recovery_looks._group_vpcs": ("ec2", lambda ec2: recovery_looks._group_vpcs(ec2, PLAN)),
    "servers.describe_server": ("ec2", lambda ec2: servers.describe_server(ec2, INSTANCE, "eu-central-1")),
    "servers.describe_volumes": ("ec2", lambda ec2: servers.describe_volumes(ec2, instance())),
    "snapshot_blocks._list": ("ebs", lambda ebs: SnapshotBlocks(ebs, snapshot_id(0), Allowance(lambda: 180_000))),
    "snapshot_blocks._answer": ("ebs", lambda ebs: blocks(ebs).read(0, 8)),
    "snapshots.try_create_snapshots": ("ec2", lambda ec2: snapshots.try_create_snapshots(ec2, SNAPSHOTS)),
    "snapshots.create_snapshots": ("ec2", lambda ec2: snapshots.create_snapshots(ec2, SNAPSHOTS)),
    "snapshots._described": ("ec2", lambda ec2: snapshots.find_snapshots(ec2, RUN, "stack")),
    "snapshots.tag_snapshots": ("ec2", lambda ec2: snapshots.tag_snapshots(ec2, a_recorded_set())),
    "ssm.describe_agent": ("ssm", lambda ssm: guest(ssm).describe_agent()),
    "ssm._latest_version": ("ssm", lambda ssm: guest(ssm)._latest_version("the-document")),
    "ssm._send": ("ssm", lambda ssm: guest(ssm)._send("freeze", {"RunId": "run-1"}, 60)),
    "ssm._look": ("ssm", lambda ssm: guest(ssm)._look("1" * 36, "freeze")),
    "history.ended_at": ("stepfunctions", lambda states: history.ended_at(states, "the-execution")),
    "servers.find_candidates": ("ec2", servers.find_candidates),
    "looks.find_server": ("ec2", lambda ec2: looks.find_server(ec2, INSTANCE)),
    "looks._described": ("ec2", lambda ec2: looks.existing(ec2, "stack", INSTANCE)),
    "looks._in_images": ("ec2", lambda ec2: looks._in_images(ec2, [snapshot_id(0)])),
    "locks.locked": ("ec2", lambda ec2: locks.locked(ec2, [snapshot_id(0)])),
    "locks.lock_snapshot": ("ec2", lambda ec2: locks.lock_snapshot(ec2, snapshot_id(0), LOCK, 30)),
    "tiers._statuses": ("ec2", lambda ec2: tiers.tiers(ec2, [snapshot_id(0)])),
    "tiers.archive": ("ec2", lambda ec2: tiers.archive(ec2, snapshot_id(0))),
    "tiers.restore": ("ec2", lambda ec2: tiers.restore(ec2, snapshot_id(0), 4)),
    "own_blocks._listed": (
        "ebs",
        lambda ebs: OwnBlocks(ebs, Allowance(lambda: 180_000)).own_bytes(snapshot_id(0), "", ""),
    ),
    "looks._shared": ("ec2", lambda ec2: looks._shared(ec2, [snapshot_id(0)])),
    "stored.stored_snapshots": ("ec2", lambda ec2: list(stored.stored_snapshots(ec2, "stack"))),
    "stored.stored_images": ("ec2", lambda ec2: stored.stored_images(ec2, "stack")),
    "removing.mark": ("ec2", lambda ec2: removing.mark(ec2, [snapshot_id(0)])),
    "removing.delete": ("ec2", lambda ec2: removing.delete(ec2, snapshot_id(0))),
    "policy_run_files._write_file": ("s3", lambda s3: files(s3).write_policy(b"name: files")),
    "policy_run_files._read_file": ("s3", lambda s3: files(s3).read_policy()),
    "server_lists.write_servers": ("s3", lambda s3: ServerLists(s3, "bucket").write_servers("night", [INSTANCE])),
    "server_lists.read_servers": ("s3", lambda s3: ServerLists(s3, "bucket").read_servers("retention/x.json")),
    "policy_files.read_file": ("s3", lambda s3: PolicyFiles(s3, "bucket").read_file("files")),
    "policy_files.list_files": ("s3", lambda s3: PolicyFiles(s3, "bucket").list_files()),
    "schedules.names": ("scheduler", lambda scheduler: Schedules(scheduler, "stack").names()),
    "schedules.read": ("scheduler", lambda scheduler: Schedules(scheduler, "stack").read("files")),
    "schedules.put": ("scheduler", lambda scheduler: Schedules(scheduler, "stack").put("files", NIGHTLY)),
    "schedules._update": (
        "scheduler",
        lambda scheduler: Schedules(scheduler, "stack")._update("files", {"Name": "files", **NIGHTLY}),
    ),
    "schedules.delete": ("scheduler", lambda scheduler: Schedules(scheduler, "stack").delete("files")),
    "history.last_document": ("stepfunctions", lambda states: history.last_document(states, "the-execution")),
    "surroundings.type_limits": ("ec2", lambda ec2: surroundings.type_limits(ec2, "m5.large")),
    "surroundings._servers": ("ec2", lambda ec2: surroundings._servers(ec2, [])),
    "surroundings._holder": ("ec2", lambda ec2: surroundings._holder(ec2, "10.0.1.7", "subnet-1")),
    "surroundings._endpoints": ("ec2", lambda ec2: surroundings._endpoints(ec2, "vpc-1")),
    "surroundings._route_tables": ("ec2", lambda ec2: surroundings._route_tables(ec2, {"vpc-id": "vpc-1"})),
    "security_groups.read_groups": ("ec2", lambda ec2: security_groups.read_groups(ec2, ["sg-1"])),
    "outside._endpoints": ("ec2", lambda ec2: outside._endpoints(ec2, "vpc-1", set())),
    "outside._route_tables": ("ec2", lambda ec2: outside._route_tables(ec2, {"vpc-id": "vpc-1"})),
    "roles._role_of": ("iam", lambda iam: roles._role_of(iam, "web")),
    "roles._decisions": ("iam", lambda iam: roles._decisions(iam, "arn:aws:iam::1:role/web", REGISTERING)),
    "profiles._association_of": ("ec2", lambda ec2: profiles._association_of(ec2, "i-1")),
    "profiles._take": ("ec2", lambda ec2: profiles._take(ec2, profiles.Association("iip-assoc-1", "arn:ours"))),
    "profiles._associated": ("ec2", lambda ec2: profiles._associated(ec2, "i-1", "arn:ours")),
    "page_files.read_record": ("s3", lambda s3: PageFiles(s3, "bucket").read_record("records/x.json")),
    "page_files.write_page": ("s3", lambda s3: PageFiles(s3, "bucket").write_page("records/x.html", "<p>")),
    "page_files._log_file": ("s3", lambda s3: PageFiles(s3, "bucket")._log_file("logs/x/", "session.log")),
    "warming.warm_up": ("lambda", lambda functions: warm_up(functions, ["quiesce-Thaw"])),
    "vss_document.send": ("ssm", lambda ssm: document(ssm).send({}, "quiesce", delivery_s=30)),
    "vss_document._listed": ("ssm", lambda ssm: document(ssm)._listed([], datetime.now(UTC))),
    "vss_document._look": ("ssm", lambda ssm: document(ssm)._look("1" * 36, "the document")),
    "topic.publish": ("sns", lambda sns: topic.publish(sns, "arn:aws:sns:eu-central-1:1:topic", "subject", "text")),
}
# Changes whose answer has nothing that is read: the next look shows what they did.
VOID = {
    *("bucket.keep_json", "child_blocks._call", "child_snapshots.complete_child"),
    *("child_snapshots.tag_child", "child_snapshots.delete_snapshot"),
    *(
        "images.deregister",
        "items._write",
        "items.write_together",
        "snapshots.tag_snapshots",
        "bucket.write_session_file",
        "bucket.write_json",
    ),
    "profiles._take",
    *("removing.mark", "removing.delete", "locks.lock_snapshot", "tiers.archive", "tiers.restore"),
    *("schedules.put", "schedules._update", "schedules.delete"),
    *("bucket.write_package", "bucket.write_text", "policy_run_files._write_file", "server_lists.write_servers"),
    "page_files.write_page",
    *(f"recovery_changes.{name}" for name in ("make_group", "silence_group", "delete_volume", "delete_group")),
    *(f"recovery_changes.{name}" for name in ("stop_server", "start_server", "terminate_server", "end_recovering")),
    *(f"recovery_changes.{name}" for name in ("attach", "detach", "set_delete_on_termination", "set_groups")),
}
# What these read is an object's own content: a person's, or what we kept.
CONTENTS = {"bucket.read_policy", "bucket.lines_with", "bucket.read_json", "bucket.read_script"}
CONTENTS |= {"bucket.read_writers_file"}
CONTENTS |= {"page_files.read_record", "page_files._log_file"}
CONTENTS |= {"policy_run_files._read_file", "policy_files.read_file", "server_lists.read_servers"}
PUTS = {
    "bucket.write_json",
    "bucket.write_text",
    "bucket.write_session_file",
    "bucket.keep_json",
    "bucket.write_package",
    "policy_run_files._write_file",
    "server_lists.write_servers",
    "page_files.write_page",
}
DRY_RUNS = {"recovery_looks._try", "snapshots.try_create_snapshots"}
Body = Callable[[OperationModel], bytes]


def in_json(operation: OperationModel) -> bool:
    return "json" in str(operation.service_model.resolved_protocol)


def empty(_operation: OperationModel) -> bytes:
    return b""


def garbage(_operation: OperationModel) -> bytes:
    return b"\xff\x00 502 Bad Gateway"


def web_page(_operation: OperationModel) -> bytes:
    return b"<html><body>maintenance</body></html>"


def other_json(_operation: OperationModel) -> bytes:
    return b"[]"


def hollow(operation: OperationModel) -> bytes:
    """Return an answer without any field."""
    return b"{}" if in_json(operation) else f"<{operation.name}Response/>".encode()


def thin(operation: OperationModel) -> bytes:
    """Return an answer in which each list has one entry, and no entry a field but its lists."""
    shape = operation.output_shape
    if in_json(operation):
        return json.dumps(thin_json(shape)).encode()
    return f"<{operation.name}Response>{thin_xml(shape, depth=5)}</{operation.name}Response>".encode()


def thin_json(shape: Shape | None) -> Any:
    if isinstance(shape, StructureShape):
        return {n: thin_json(m) for n, m in shape.members.items() if isinstance(m, ListShape | StructureShape)}
    return [thin_json(shape.member)] if isinstance(shape, ListShape) else ""


def thin_xml(shape: Shape | None, depth: int) -> str:
    if not isinstance(shape, StructureShape) or not depth:
        return ""
    parts = []
    for name, member in shape.members.items():
        tag = member.serialization.get("name", name)
        if isinstance(member, ListShape):
            flat, item = member.serialization.get("flattened"), member.member.serialization.get("name", "item")
            entry = thin_xml(member.member, depth - 1)
            parts.append(f"<{tag}>{entry}</{tag}>" if flat else f"<{tag}><{item}>{entry}</{item}></{tag}>")
        elif isinstance(member, StructureShape):
            parts.append(f"<{tag}>{thin_xml(member, depth - 1)}</{tag}>")
    return "".join(parts)


def calls_in_source() -> Iterator[str]:
    """Yield the functions of the package that send a call."""
    for path in (ROOT / "src" / "quiesce" / "aws").rglob("*.py"):
        functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
        for function in functions:
            words = (
                "with repeatable(",
                "with change(",
                "with self._asked(",
                "client.create_snapshots(",
                "client.send_command(",
            )
            if any(word in ast.unparse(function) for word in words) and function.name not in ("change", "_asked"):
                yield f"{path.stem}.{function.name}"


def error_of(call: str, body: Body) -> Exception | None:
    """Answer every request of a call with a body, and return the error that it ends in."""
    service, ask = CALLS[call]
    client = clients.client(service, ONCE)

    def answer(request: AWSRequest, event_name: str, **_: Any) -> AWSResponse:
        operation = client.meta.service_model.operation_model(event_name.rpartition(".")[2])
        return AWSResponse(request.url, 200, {}, MockRawResponse(body(operation)))

    client.meta.events.register_first("before-send", answer)
    try:
        ask(client)
    except Exception as error:  # noqa: BLE001 - which one it is, the test says
        return error
    return None


def test_every_call_is_answered_in_these_tests() -> None:
    assert set(calls_in_source()) == set(CALLS)


def assert_told(call: str, body: Body) -> None:
    error = error_of(call, body)
    if call == "vss_document.send":
        assert isinstance(error, OutcomeUnknown)
        assert str(error).startswith("AWSEC2-CreateVssSnapshot was sent and its answer can't be read")
    elif call == "snapshots.create_snapshots":
        assert isinstance(error, OutcomeUnknown)
        assert str(error).startswith("CreateSnapshots was sent and its answer can't be read")
    elif call == "child_snapshots.copy_parent":
        assert isinstance(error, NotReady)
        assert str(error).startswith("ec2:CopySnapshot was sent and its answer lost: ")
    else:
        assert isinstance(error, AwsUnavailable), error
        assert re.match(
            r"(bucket|dynamodb|ebs|ec2|iam|lambda|s3|scheduler|sns|ssm|states):[A-Z][A-Za-z]+(?: \(DryRun\))?: ",
            str(error),
        )


# A put has an empty answer.
@pytest.mark.parametrize("call", sorted(CALLS.keys() - CONTENTS))
@pytest.mark.parametrize("body", [empty, garbage, web_page, other_json], ids=lambda body: body.__name__)
def test_an_answer_that_is_none_has_the_name_of_its_call(call: str, body: Body) -> None:
    if body is empty and call in PUTS:
        assert error_of(call, body) is None
        return
    assert_told(call, body)


@pytest.mark.parametrize("call", sorted(CALLS.keys() - VOID - DRY_RUNS - CONTENTS))
@pytest.mark.parametrize("body", [hollow, thin], ids=lambda body: body.__name__)
def test_an_answer_without_its_fields_has_the_name_of_its_call(call: str, body: Body) -> None:
    if call in ("items.read", "items.update_or_read"):
        assert error_of(call, body) is None, "that is how DynamoDB says that there is no item"
        return
    if (call, body) == ("schedules.read", hollow):
        assert error_of(call, body) is None, "a schedule without fields is not the one that is wanted: it is put again"
        return
    assert_told(call, body)


def numbers(operation: OperationModel) -> bytes:
    """Return an answer in which each field is a number."""
    return json.dumps(dict.fromkeys(operation.output_shape.members if operation.output_shape else {}, 7)).encode()


@pytest.mark.parametrize("call", sorted(call for call, (service, _) in CALLS.items() if service in ("dynamodb", "ssm")))
def test_an_answer_with_fields_of_another_kind_has_the_name_of_its_call(call: str) -> None:
    assert_told(call, numbers)


@pytest.mark.parametrize("call", sorted(VOID))
def test_a_change_of_which_nothing_is_read_is_done_with_an_answer_without_fields(call: str) -> None:
    assert error_of(call, hollow) is None


def test_a_page_instead_of_an_answer_is_no_item_and_no_success() -> None:
    """Where botocore alone reads a page, it finds no item, and takes a change for done."""
    assert isinstance(error_of("items.read", web_page), AwsUnavailable)
    assert isinstance(error_of("recovery_changes.end_recovering", web_page), AwsUnavailable)
