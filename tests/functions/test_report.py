"""Report: one record, true tags, at least one mail, and the server free - also after a crash."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from quiesce import errors
from sandbox.aws.snapshots import RULES, Fate
from sandbox.servers import Server
from tests.functions.conftest import EXECUTIONS, a_document
from tests.functions.faults import each_fault
from tests.support.clock import Clock
from tests.support.cloud import Cloud
from tests.support.environment import BUCKET, TABLE
from tests.support.wire import FunctionDied, Wire, answer_lost, dies_after, dies_before, refused

Call = Callable[..., Any]
# The calls for a failed run with three snapshots, in their order.
CALLS = [
    ("dynamodb:UpdateItem", 1),
    ("ec2:CreateTags", 1),
    ("ec2:CreateTags", 2),
    ("ec2:CreateTags", 3),
    ("s3:PutObject", 1),
    ("dynamodb:GetItem", 1),
    ("sns:Publish", 1),
    ("dynamodb:PutItem", 1),
    ("dynamodb:TransactWriteItems", 1),
    ("dynamodb:PutItem", 2),
    ("dynamodb:DeleteItem", 1),
]


def awaited(call: Call, clock: Clock, document: dict[str, Any]) -> dict[str, Any]:
    clock.now_s += 30
    return {**document, "await_snapshots": call("await_snapshots", document)}


@pytest.fixture
def good(call: Call, clock: Clock, wire: Wire, created: dict[str, Any]) -> dict[str, Any]:
    """A run whose snapshots all completed."""
    return fresh(wire, awaited(call, clock, created))


@pytest.fixture
def bad(call: Call, clock: Clock, wire: Wire, server: Server, planned: dict[str, Any]) -> dict[str, Any]:
    """A run whose snapshots ended in error."""
    RULES.order(server.volumes["D:"], Fate.ERRS)
    return fresh(wire, awaited(call, clock, {**planned, "snapshot": call("snapshot", planned)}))


def fresh(wire: Wire, document: dict[str, Any]) -> dict[str, Any]:
    wire.sent.clear()
    wire._counts.clear()
    return document


parse = datetime.fromisoformat


def ended(cloud: Cloud, server: Server, record: dict[str, Any]) -> None:
    """Check that a run has ended completely: record, status, tags and lease agree."""
    items, run, status = cloud.items(), record["run_id"], record["status"]
    assert cloud.records() == {f"records/{server.instance_id}/{run}.json": record}
    assert items[server.instance_id, f"run#{run}"]["status"] == status
    # All snapshots of the simulated EC2 take equally long.
    took = {s["completed_at"] and parse(s["completed_at"]) - parse(s["started_at"]) for s in record["snapshots"]}
    kept = {"snapshots_took_s": str(took.pop().seconds)} if took and None not in took else {}
    assert items[server.instance_id, "last#files-nightly"] == {"status": status, "run_id": run, **kept}
    assert (server.instance_id, "lease") not in items
    devices = {s["snapshot_id"]: s["device"] for s in record["snapshots"]}
    level = record["consistency"]["level"]
    for snapshot in cloud.snapshots():
        tags = snapshot["tags"]
        assert (tags["quiesce:consistency"], tags["quiesce:device"]) == (level, devices[snapshot["id"]])


def test_a_good_run_is_recorded_and_no_news(
    call: Call, cloud: Cloud, clock: Clock, server: Server, good: dict[str, Any]
) -> None:
    record = call("report", good)

    ended(cloud, server, record)
    assert (record["status"], record["consistency"]["level"], record["failure"]) == ("Successful", "crash", None)
    assert [s["device"] for s in record["snapshots"]] == ["/dev/sda1", "xvdf", "xvdg"]
    assert record["record"] == f"s3://{BUCKET}/records/{server.instance_id}/run-1.json"
    assert datetime.fromisoformat(record["ended_at"]) == clock.now()
    assert record["calls"]["ec2:CreateSnapshots"] == 1
    assert cloud.mails() == []


def test_a_bad_run_is_recorded_and_told(
    call: Call, cloud: Cloud, wire: Wire, server: Server, bad: dict[str, Any]
) -> None:
    record = call("report", bad)

    ended(cloud, server, record)
    assert (record["status"], record["consistency"]["level"]) == ("Failed", "none")
    assert record["failure"]["error"] == "SnapshotsIncomplete"
    [(subject, text)] = cloud.mails()
    assert subject == f"Failed: backup of {server.instance_id}, policy files-nightly"
    assert record["record"] in text
    assert [(sent, wire.sent[: n + 1].count(sent)) for n, sent in enumerate(wire.sent)] == CALLS


def test_the_first_good_run_after_a_bad_one_is_told_and_the_next_is_not(
    call: Call, cloud: Cloud, clock: Clock, server: Server, bad: dict[str, Any]
) -> None:
    call("report", bad)
    for name in ("run-2", "run-3"):
        document = a_document(bad["input"], name)
        document = {**document, "plan": call("plan", document)}
        document = {**document, "snapshot": call("snapshot", document)}
        call("report", awaited(call, clock, document))
    assert [subject.split(":")[0] for subject, _ in cloud.mails()] == ["Failed", "Successful again"]


# A good run that nobody has to be told of.
QUIET = [
    ("dynamodb:UpdateItem", 1),
    ("ec2:CreateTags", 1),
    ("ec2:CreateTags", 2),
    ("ec2:CreateTags", 3),
    ("s3:PutObject", 1),
    ("dynamodb:TransactWriteItems", 1),
]


def test_a_run_that_nobody_has_to_be_told_of_ends_by_one_write(
    call: Call, cloud: Cloud, wire: Wire, server: Server, good: dict[str, Any]
) -> None:
    ended(cloud, server, call("report", good))
    assert [(sent, wire.sent[: n + 1].count(sent)) for n, sent in enumerate(wire.sent)] == QUIET
    assert [key for key in cloud.items() if key[0].startswith("points#")]


@pytest.mark.parametrize("fault", [dies_before, dies_after, answer_lost])
@pytest.mark.parametrize(("call_name", "nth"), QUIET)
def test_the_end_of_a_good_run_is_whole_however_its_first_try_ended(
    call: Call, cloud: Cloud, wire: Wire, server: Server, good: dict[str, Any], call_name: str, nth: int, fault: Any
) -> None:
    wire.on(call_name, fault, nth=nth)
    try:
        record = call("report", good)
    except FunctionDied:
        record = call("report", good)
    ended(cloud, server, record)
    assert record["status"] == "Successful"
    assert cloud.mails() == []


@pytest.mark.parametrize("death", [dies_before, dies_after])
@pytest.mark.parametrize(("call_name", "nth"), CALLS)
def test_a_crash_around_any_call_is_made_good_by_the_next_try(
    call: Call, cloud: Cloud, wire: Wire, server: Server, bad: dict[str, Any], call_name: str, nth: int, death: Any
) -> None:
    wire.on(call_name, death, nth=nth)
    with pytest.raises(FunctionDied):
        call("report", bad)

    record = call("report", bad)

    ended(cloud, server, record)
    assert 1 <= len(cloud.mails()) <= 2


@pytest.mark.parametrize("death", [dies_before, dies_after])
@pytest.mark.parametrize(("call_name", "nth"), CALLS[5:])
def test_a_crash_never_hides_that_backups_are_good_again(
    call: Call, cloud: Cloud, wire: Wire, server: Server, good: dict[str, Any], call_name: str, nth: int, death: Any
) -> None:
    key = {"pk": {"S": server.instance_id}, "sk": {"S": "last#files-nightly"}}
    cloud.dynamodb.put_item(TableName=TABLE, Item={**key, "status": {"S": "Failed"}})
    wire.on(call_name, death, nth=nth)
    with pytest.raises(FunctionDied):
        call("report", good)

    record = call("report", good)

    ended(cloud, server, record)
    assert {subject.split(":")[0] for subject, _ in cloud.mails()} == {"Successful again"}


@pytest.mark.parametrize(("call_name", "nth"), CALLS)
def test_a_lost_answer_of_any_call_is_made_good_at_once(
    call: Call, cloud: Cloud, wire: Wire, server: Server, bad: dict[str, Any], call_name: str, nth: int
) -> None:
    wire.on(call_name, answer_lost, nth=nth)
    ended(cloud, server, call("report", bad))
    assert cloud.mails()


# A denied tag and a mail that was not sent do not fail a run: they become notes, which other tests check.
RAISED = [
    case
    for case in each_fault(CALLS)
    if case.values[0] != "sns:Publish" and (case.values[0], case.values[-1]) != ("ec2:CreateTags", "AccessDenied")
]


@pytest.mark.parametrize(("call_name", "nth", "fault", "times", "error"), RAISED)
def test_an_error_of_aws_has_a_name_and_the_next_try_ends_the_run(
    call: Call,
    cloud: Cloud,
    wire: Wire,
    server: Server,
    bad: dict[str, Any],
    call_name: str,
    nth: int,
    fault: Any,
    times: int,
    error: str,
) -> None:
    wire.on(call_name, fault, nth=nth, times=times)
    with pytest.raises(getattr(errors, error), match=f"^{call_name}"):
        call("report", bad)
    ended(cloud, server, call("report", bad))
    assert cloud.mails()


@pytest.mark.parametrize(("call_name", "nth", "fault", "times", "_error"), each_fault([("sns:Publish", 1)]))
def test_a_mail_that_sns_does_not_take_is_a_note_in_the_record_and_costs_nothing_else(
    call: Call,
    cloud: Cloud,
    wire: Wire,
    server: Server,
    bad: dict[str, Any],
    call_name: str,
    nth: int,
    fault: Any,
    times: int,
    _error: str,
) -> None:
    wire.on(call_name, fault, nth=nth, times=times)
    record = call("report", bad)
    ended(cloud, server, record)
    assert f"the mail was not sent: {call_name}" in record["notes"][-1]
    assert cloud.mails() == []


def test_reporting_again_after_the_end_gives_the_same_record_and_tells_nobody_again(
    call: Call, cloud: Cloud, clock: Clock, wire: Wire, server: Server, bad: dict[str, Any]
) -> None:
    first = call("report", bad)
    wire.sent.clear()
    clock.now_s += 3600
    assert call("report", bad) == first
    # Report repeats the last three, as it may have died before them: list the recovery point, keep the status, go.
    calls = ("UpdateItem", "TransactWriteItems", "PutItem", "DeleteItem")
    assert wire.sent == [f"dynamodb:{call}" for call in calls]
    assert len(cloud.mails()) == 1


def test_the_run_of_another_execution_is_left_as_it_is(
    call: Call, cloud: Cloud, server: Server, good: dict[str, Any]
) -> None:
    before = cloud.items()
    thief = {**good, "execution": {**good["execution"], "id": f"{EXECUTIONS}:thief"}}
    with pytest.raises(errors.RunAlreadyStarted, match=f"by {EXECUTIONS}:run-1, and is Running"):
        call("report", thief)
    assert (cloud.items(), cloud.records(), cloud.mails()) == (before, {}, [])


def test_the_lease_of_another_run_is_not_released(
    call: Call, cloud: Cloud, server: Server, good: dict[str, Any]
) -> None:
    key = {"pk": {"S": server.instance_id}, "sk": {"S": "lease"}}
    cloud.dynamodb.put_item(TableName=TABLE, Item={**key, "run_id": {"S": "run-2"}, "expires_at": {"N": "1"}})
    call("report", good)
    assert (cloud.lease(server.instance_id) or {})["run_id"] == "run-2"


def test_a_run_that_waited_in_vain_for_a_busy_server_leaves_it_held(
    call: Call, cloud: Cloud, server: Server, planned: dict[str, Any]
) -> None:
    second = a_document(planned["input"], "run-2")
    with pytest.raises(errors.ServerBusy):
        call("plan", second)
    record = call("report", {**second, "failure": {"Error": "ServerBusy", "Cause": "held"}})
    assert (record["status"], record["failure"]["error"]) == ("Failed", "ServerBusy")
    assert (cloud.lease(server.instance_id) or {})["run_id"] == "run-1"


def test_a_snapshot_that_vanished_is_recorded_and_not_tagged(
    call: Call, cloud: Cloud, clock: Clock, wire: Wire, server: Server, created: dict[str, Any]
) -> None:
    gone = created["snapshot"]["snapshots"][0]["snapshot_id"]
    cloud.ec2.delete_snapshot(SnapshotId=gone)
    clock.now_s += 300
    record = call("report", awaited(call, clock, created))
    ended(cloud, server, record)
    assert {s["snapshot_id"]: s["state"] for s in record["snapshots"]}[gone] == "vanished"
    assert wire.count("ec2:CreateTags") == 2


def test_a_snapshot_that_was_deleted_after_the_last_look_stops_nothing(
    call: Call, cloud: Cloud, wire: Wire, server: Server, good: dict[str, Any]
) -> None:
    wire.on("ec2:CreateTags", refused("InvalidSnapshot.NotFound"), nth=3)
    record = call("report", good)
    assert record["status"] == "Successful"
    assert cloud.lease(server.instance_id) is None


@pytest.mark.parametrize("code", ["TagLimitExceeded", "UnauthorizedOperation"])
def test_a_snapshot_that_can_not_be_tagged_is_named_in_the_record_and_costs_nothing_else(
    call: Call, cloud: Cloud, wire: Wire, server: Server, good: dict[str, Any], code: str
) -> None:
    wire.on("ec2:CreateTags", refused(code), nth=2)
    record = call("report", good)
    untagged = record["snapshots"][1]["snapshot_id"]
    assert record["status"] == "Successful"
    assert next(note for note in record["notes"] if code in note).startswith(f"{untagged} has no quiesce:consistency")
    assert list(cloud.records().values()) == [record]
    assert cloud.lease(server.instance_id) is None


def test_the_record_of_an_execution_that_came_between_stays_as_it_is(
    call: Call, cloud: Cloud, wire: Wire, server: Server, good: dict[str, Any]
) -> None:
    def other_execution_comes_first(_request: Any, effect: Any) -> Any:
        key = {"pk": {"S": server.instance_id}, "sk": {"S": "run#run-1"}}
        cloud.dynamodb.put_item(TableName=TABLE, Item={**key, "execution": {"S": "other"}, "status": {"S": "Running"}})
        return effect()

    wire.on("s3:PutObject", other_execution_comes_first)
    with pytest.raises(errors.RunAlreadyStarted, match="by other, and is Running"):
        call("report", good)
    assert cloud.items()[server.instance_id, "run#run-1"] == {"execution": "other", "status": "Running"}


@pytest.mark.parametrize("call_name", ["dynamodb:PutItem", "dynamodb:TransactWriteItems", "dynamodb:DeleteItem"])
def test_an_error_that_nobody_has_seen_keeps_its_own_name(
    call: Call, wire: Wire, bad: dict[str, Any], call_name: str
) -> None:
    wire.on(call_name, refused("SomethingNew"))
    with pytest.raises(ClientError, match="SomethingNew"):
        call("report", bad)
