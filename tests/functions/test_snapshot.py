"""Snapshot: one set or none, whichever answer of the table or of EC2 is lost."""

from collections.abc import Callable
from typing import Any

import pytest

from quiesce import errors
from quiesce.aws.runs import LEASE_S
from sandbox.servers import Server
from tests.functions.conftest import a_document
from tests.functions.faults import ATTEMPTS, DENIED, FAULT, THROTTLED, each_fault
from tests.support.clock import Clock
from tests.support.cloud import Cloud
from tests.support.environment import TABLE
from tests.support.wire import (
    FunctionDied,
    Wire,
    answer_lost,
    connection_closed,
    dies_after,
    dies_before,
    refused,
    refuses_connections,
    unreachable,
)

Call = Callable[..., Any]
CREATE, MARK = "ec2:CreateSnapshots", "dynamodb:UpdateItem"

CERTAIN = [
    pytest.param(THROTTLED["ec2"], errors.AwsThrottled, id="throttled"),
    pytest.param(refused("SnapshotCreationPerVolumeRateExceeded"), errors.SnapshotTooSoon, id="too soon"),
    pytest.param(DENIED["ec2"], errors.AccessDenied, id="denied"),
    pytest.param(refused("IncorrectState"), errors.SnapshotRefused, id="refused"),
    pytest.param(refused("ConcurrentSnapshotLimitExceeded"), errors.SnapshotLimitReached, id="limit of a volume"),
    pytest.param(refused("PendingSnapshotLimitExceeded"), errors.SnapshotLimitReached, id="limit of the account"),
    pytest.param(unreachable, errors.AwsUnavailable, id="unreachable"),
    pytest.param(refuses_connections, errors.AwsUnavailable, id="refuses connections"),
]
UNCERTAIN = [
    pytest.param(answer_lost, 1, id="answer lost"),
    pytest.param(connection_closed, 1, id="connection closed"),
    pytest.param(FAULT["ec2"], 0, id="a fault of EC2"),
]


@pytest.fixture
def fresh(wire: Wire, planned: dict[str, Any]) -> dict[str, Any]:
    """A planned run, with an empty log of requests."""
    wire.sent.clear()
    return planned


def mark(cloud: Cloud, server: Server) -> str | None:
    return (cloud.lease(server.instance_id) or {}).get("snapshot_token")


def test_a_set_is_created_once_with_the_plans_tags(
    call: Call, cloud: Cloud, wire: Wire, server: Server, fresh: dict[str, Any]
) -> None:
    answer = call("snapshot", fresh)

    stored = cloud.snapshots()
    assert {s["snapshot_id"] for s in answer["snapshots"]} == {s["id"] for s in stored}
    assert {s["volume_id"] for s in answer["snapshots"]} == set(server.volumes.values())
    assert {s["state"] for s in answer["snapshots"]} == {"pending"}
    assert all(s["tags"] == fresh["plan"]["tags"] for s in stored)
    assert wire.sent == [MARK, CREATE]
    assert answer["calls"] == {MARK: 1, CREATE: 1}
    assert mark(cloud, server) == "request-1"


def test_what_is_sent_is_what_plan_tried(call: Call, cloud: Cloud, server: Server) -> None:
    policy = {
        "name": "files-nightly",
        "targets": [{"instance_id": server.instance_id, "vss": "off", "volumes": {"include": ["xvdf"]}}],
    }
    document = a_document({"policy": policy})
    call("snapshot", {**document, "plan": call("plan", document)})
    assert [s["volume_id"] for s in cloud.snapshots()] == [server.volumes["D:"]]


@pytest.mark.parametrize(("fault", "error"), CERTAIN)
def test_an_error_that_says_nothing_was_created_allows_another_try(
    call: Call, cloud: Cloud, wire: Wire, server: Server, fresh: dict[str, Any], fault: Any, error: type[Exception]
) -> None:
    wire.on(CREATE, fault)
    with pytest.raises(error):
        call("snapshot", fresh, "first")
    # Where it waits for other snapshots, it holds its lease on.
    assert wire.sent == [MARK, CREATE, MARK] + [MARK] * (error is errors.SnapshotLimitReached)
    assert (cloud.snapshots(), mark(cloud, server)) == ([], None)

    call("snapshot", fresh, "second")
    assert cloud.snapshot_sets() == 1


def test_a_run_that_waits_for_pending_snapshots_of_others_holds_its_server_on(
    call: Call, cloud: Cloud, clock: Clock, wire: Wire, server: Server, fresh: dict[str, Any]
) -> None:
    for number in range(4):
        clock.now_s += LEASE_S - 60
        wire.on(CREATE, refused("PendingSnapshotLimitExceeded"))
        with pytest.raises(errors.SnapshotLimitReached, match=r"pending .*: wait until"):
            call("snapshot", fresh, f"try {number}")
    call("snapshot", fresh, "last")
    assert cloud.snapshot_sets() == 1


@pytest.mark.parametrize(("fault", "sets"), UNCERTAIN)
def test_after_an_unknown_outcome_nothing_is_ever_sent_again(
    call: Call, cloud: Cloud, wire: Wire, server: Server, fresh: dict[str, Any], fault: Any, sets: int
) -> None:
    wire.on(CREATE, fault)
    with pytest.raises(errors.OutcomeUnknown):
        call("snapshot", fresh, "first")
    assert mark(cloud, server) == "first"
    for later in ("second", "third"):
        with pytest.raises(errors.OutcomeUnknown, match="an earlier try of Snapshot"):
            call("snapshot", fresh, later)
    assert (wire.count(CREATE), cloud.snapshot_sets()) == (1, sets)


@pytest.mark.parametrize(("death", "sets"), [(dies_before, 0), (dies_after, 1)])
def test_a_function_that_died_around_the_call_is_not_followed_by_a_second_call(
    call: Call, cloud: Cloud, wire: Wire, fresh: dict[str, Any], death: Any, sets: int
) -> None:
    wire.on(CREATE, death)
    with pytest.raises(FunctionDied):
        call("snapshot", fresh, "first")
    with pytest.raises(errors.OutcomeUnknown):
        call("snapshot", fresh, "second")
    assert (wire.count(CREATE), cloud.snapshot_sets()) == (1, sets)


def test_a_function_that_died_before_its_mark_is_followed_by_a_whole_try(
    call: Call, cloud: Cloud, wire: Wire, fresh: dict[str, Any]
) -> None:
    wire.on(MARK, dies_before)
    with pytest.raises(FunctionDied):
        call("snapshot", fresh, "first")
    call("snapshot", fresh, "second")
    assert cloud.snapshot_sets() == 1


def test_a_lost_answer_of_the_mark_is_no_second_function(
    call: Call, cloud: Cloud, wire: Wire, fresh: dict[str, Any]
) -> None:
    wire.on(MARK, answer_lost)
    answer = call("snapshot", fresh)
    assert cloud.snapshot_sets() == 1
    assert answer["calls"] == {MARK: 2, CREATE: 1}


def test_a_lost_answer_of_taking_the_mark_back_takes_it_back(
    call: Call, cloud: Cloud, wire: Wire, server: Server, fresh: dict[str, Any]
) -> None:
    wire.on(CREATE, THROTTLED["ec2"])
    wire.on(MARK, answer_lost, nth=2)
    with pytest.raises(errors.AwsThrottled):
        call("snapshot", fresh)
    assert mark(cloud, server) is None


def test_a_mark_that_could_not_be_taken_back_forbids_another_call(
    call: Call, cloud: Cloud, wire: Wire, fresh: dict[str, Any]
) -> None:
    wire.on(CREATE, THROTTLED["ec2"])
    wire.on(MARK, unreachable, nth=2, times=ATTEMPTS)
    with pytest.raises(errors.AwsUnavailable):
        call("snapshot", fresh, "first")
    with pytest.raises(errors.OutcomeUnknown):
        call("snapshot", fresh, "second")
    assert (wire.count(CREATE), cloud.snapshots()) == (1, [])


def test_an_expired_lease_allows_no_snapshots(
    call: Call, cloud: Cloud, clock: Clock, wire: Wire, fresh: dict[str, Any]
) -> None:
    clock.now_s += LEASE_S
    with pytest.raises(errors.LeaseLost, match="no longer holds"):
        call("snapshot", fresh)
    assert wire.count(CREATE) == 0


def test_a_lease_that_another_run_took_allows_no_snapshots(
    call: Call, cloud: Cloud, clock: Clock, wire: Wire, server: Server, fresh: dict[str, Any]
) -> None:
    clock.now_s += LEASE_S
    other = a_document(fresh["input"], "run-2")
    call("snapshot", {**other, "plan": call("plan", other)})
    with pytest.raises(errors.LeaseLost):
        call("snapshot", fresh)
    assert (wire.count(CREATE), cloud.snapshot_sets()) == (1, 1)
    assert (cloud.lease(server.instance_id) or {})["run_id"] == "run-2"


def test_a_run_that_has_ended_and_is_started_again_here_makes_no_snapshots(
    call: Call, cloud: Cloud, server: Server, created: dict[str, Any]
) -> None:
    cloud.dynamodb.delete_item(TableName=TABLE, Key={"pk": {"S": server.instance_id}, "sk": {"S": "lease"}})
    with pytest.raises(errors.LeaseLost):
        call("snapshot", created, "redriven")
    assert cloud.snapshot_sets() == 1


def test_a_state_document_without_a_plan_is_not_acted_on(call: Call, cloud: Cloud, fresh: dict[str, Any]) -> None:
    del fresh["plan"]
    with pytest.raises(ValueError, match="has no plan"):
        call("snapshot", fresh)
    assert cloud.snapshots() == []


@pytest.mark.parametrize(("call_name", "nth", "fault", "times", "error"), each_fault([(MARK, 1)]))
def test_without_its_mark_nothing_is_sent(
    call: Call, wire: Wire, fresh: dict[str, Any], call_name: str, nth: int, fault: Any, times: int, error: str
) -> None:
    wire.on(call_name, fault, nth=nth, times=times)
    with pytest.raises(getattr(errors, error), match=r"^dynamodb:UpdateItem"):
        call("snapshot", fresh)
    assert wire.sent == [MARK] * times
