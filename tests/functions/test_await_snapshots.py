"""AwaitSnapshots: looks for the snapshots, adopts only this run's, and holds the server meanwhile."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from quiesce import errors
from quiesce.aws.runs import ASKING_LEASE_S, LEASE_S
from quiesce.backup.awaiting import LEASE_SLACK_S
from sandbox.aws.snapshots import RULES, Fate
from sandbox.servers import Server
from tests.functions.conftest import a_document
from tests.functions.faults import each_fault
from tests.support.clock import Clock
from tests.support.cloud import Cloud
from tests.support.environment import TABLE
from tests.support.wire import Wire, answer_lost, refused

Call = Callable[..., Any]
CALLS = [("ec2:DescribeSnapshots", 1), ("dynamodb:UpdateItem", 1)]
LOST = {"Error": "OutcomeUnknown", "Cause": ""}


@pytest.fixture
def fresh(wire: Wire, created: dict[str, Any]) -> dict[str, Any]:
    """A run after Snapshot, with an empty log of requests."""
    wire.sent.clear()
    wire._counts.clear()
    return created


def without_answer(document: dict[str, Any], error: str = "OutcomeUnknown") -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != "snapshot"} | {"failure": {**LOST, "Error": error}}


def states_of(answer: dict[str, Any]) -> list[str]:
    return [s["state"] for s in answer["snapshots"]]


def test_pending_snapshots_are_waited_for_until_they_complete(call: Call, clock: Clock, fresh: dict[str, Any]) -> None:
    first = call("await_snapshots", fresh)
    clock.now_s += 30
    second = call("await_snapshots", {**fresh, "await_snapshots": first})

    assert (first["done"], first["wait_s"], states_of(first)) == (False, 10, ["pending"] * 3)
    assert (second["done"], second["wait_s"], states_of(second)) == (True, 0, ["completed"] * 3)
    assert all(s["completed_at"] for s in second["snapshots"])
    assert second["calls"] == {"dynamodb:GetItem": 1, "dynamodb:UpdateItem": 1, "ec2:DescribeSnapshots": 2}


def keep_last(cloud: Cloud, server: Server, **fields: str) -> None:
    item = {"pk": server.instance_id, "sk": "last#files-nightly", "status": "Successful", **fields}
    cloud.dynamodb.put_item(TableName=TABLE, Item={name: {"S": value} for name, value in item.items()})


def test_snapshots_are_looked_at_again_after_as_long_as_those_of_the_last_run_took(
    call: Call, cloud: Cloud, clock: Clock, wire: Wire, server: Server, fresh: dict[str, Any]
) -> None:
    keep_last(cloud, server, snapshots_took_s="60")
    first = call("await_snapshots", fresh)
    clock.now_s += 10
    second = call("await_snapshots", {**fresh, "await_snapshots": first})
    assert states_of(second) == ["pending"] * 3
    assert 60 <= first["wait_s"] <= 66
    assert second["wait_s"] == first["wait_s"] - 10
    assert wire.count("dynamodb:GetItem") == 1, "asked once"


def test_before_the_first_run_and_after_one_whose_snapshots_did_not_all_complete_the_waits_grow(
    call: Call, cloud: Cloud, server: Server, fresh: dict[str, Any]
) -> None:
    before_the_first = call("await_snapshots", fresh)
    keep_last(cloud, server)
    after_a_bad_one = call("await_snapshots", fresh)
    assert [(a["wait_s"], a["expected_s"]) for a in (before_the_first, after_a_bad_one)] == [(10, None)] * 2


def test_a_table_that_does_not_tell_of_the_last_run_costs_looks_and_nothing_else(
    call: Call, cloud: Cloud, server: Server, wire: Wire, fresh: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    keep_last(cloud, server, snapshots_took_s="60")
    wire.on("dynamodb:GetItem", refused("AccessDeniedException", 400))
    assert call("await_snapshots", fresh)["wait_s"] == 10
    assert "how long the last run's snapshots took is not known" in caplog.text


def test_the_lease_is_renewed_beyond_the_next_look(
    call: Call, cloud: Cloud, clock: Clock, wire: Wire, server: Server, fresh: dict[str, Any]
) -> None:
    clock.now_s += 600
    RULES.order(server.volumes["C:"], Fate.NEVER_COMPLETES)
    answer = call("await_snapshots", fresh)
    until = clock.now() + timedelta(seconds=answer["wait_s"] + LEASE_S)
    assert (cloud.lease(server.instance_id) or {})["expires_at"] == str(int(until.timestamp()))
    assert [(sent, wire.sent[: n + 1].count(sent)) for n, sent in enumerate(wire.sent)] == CALLS


@pytest.mark.parametrize(("late_s", "renewals"), [(0, 1), (LEASE_SLACK_S, 1), (LEASE_SLACK_S + 1, 2)])
def test_the_last_look_renews_the_lease_only_if_it_comes_late(
    call: Call, clock: Clock, wire: Wire, fresh: dict[str, Any], late_s: int, renewals: int
) -> None:
    first = call("await_snapshots", fresh)
    # Snapshots take half a minute here, and the first wait is shorter.
    clock.now_s += first["wait_s"] + (late_s or 20)
    last = call("await_snapshots", {**fresh, "await_snapshots": first})
    assert (last["done"], last["lease_held"]) == (True, True)
    assert wire.count("dynamodb:UpdateItem") == renewals
    assert datetime.fromisoformat(last["held_until"]) >= clock.now() + timedelta(seconds=LEASE_S - LEASE_SLACK_S)


def test_the_lease_of_a_run_that_freezes_covers_thaw_and_complete(
    call: Call, cloud: Cloud, clock: Clock, server: Server, fresh: dict[str, Any]
) -> None:
    """Verify, Complete, MakeImage and Report follow with all their tries, and no other step renews it."""
    answer = call("await_snapshots", {**fresh, "plan": {**fresh["plan"], "freezes": True}})
    until = clock.now() + timedelta(seconds=answer["wait_s"] + ASKING_LEASE_S)
    assert (cloud.lease(server.instance_id) or {})["expires_at"] == str(int(until.timestamp()))


def test_snapshots_that_ec2_lists_on_several_pages_are_all_seen(
    call: Call, clock: Clock, fresh: dict[str, Any]
) -> None:
    RULES.page_size = 1
    clock.now_s += 30
    answer = call("await_snapshots", fresh)
    assert states_of(answer) == ["completed"] * 3
    assert answer["calls"]["ec2:DescribeSnapshots"] == 3


def test_a_set_whose_answer_was_lost_is_adopted(call: Call, clock: Clock, fresh: dict[str, Any]) -> None:
    clock.now_s += 30
    answer = call("await_snapshots", without_answer(fresh))
    assert (answer["done"], answer["adopted"]) == (True, True)
    assert sorted(s["snapshot_id"] for s in answer["snapshots"]) == sorted(
        s["snapshot_id"] for s in fresh["snapshot"]["snapshots"]
    )


@pytest.mark.parametrize("tag", ["quiesce:run", "quiesce:stack", "quiesce:instance"])
def test_a_set_of_another_run_stack_or_server_is_not_adopted(
    call: Call, cloud: Cloud, clock: Clock, fresh: dict[str, Any], tag: str
) -> None:
    for snapshot in cloud.snapshots():
        cloud.ec2.create_tags(Resources=[snapshot["id"]], Tags=[{"Key": tag, "Value": "another"}])
    answer = call("await_snapshots", without_answer(fresh))
    clock.now_s += 30
    answer = call("await_snapshots", {**without_answer(fresh), "await_snapshots": answer})
    assert (answer["done"], answer["adopted"], answer["snapshots"]) == (True, False, [])


@pytest.mark.parametrize(("error", "looks"), [("SnapshotRefused", 0), ("AwsThrottled", 1)])
def test_nothing_is_looked_for_only_where_nothing_can_be(
    call: Call, wire: Wire, fresh: dict[str, Any], error: str, looks: int
) -> None:
    call("await_snapshots", without_answer(fresh, error))
    assert wire.count("ec2:DescribeSnapshots") == looks


def test_a_snapshot_that_was_deleted_has_vanished_after_a_while(
    call: Call, cloud: Cloud, clock: Clock, fresh: dict[str, Any]
) -> None:
    cloud.ec2.delete_snapshot(SnapshotId=fresh["snapshot"]["snapshots"][0]["snapshot_id"])
    clock.now_s += 299
    first = call("await_snapshots", fresh)
    clock.now_s += 2
    second = call("await_snapshots", {**fresh, "await_snapshots": first})
    assert (first["done"], states_of(first)) == (False, ["pending", "completed", "completed"])
    assert (second["done"], states_of(second)) == (True, ["vanished", "completed", "completed"])


def test_a_lost_lease_is_told_and_never_taken_back(
    call: Call, cloud: Cloud, wire: Wire, server: Server, fresh: dict[str, Any]
) -> None:
    key = {"pk": {"S": server.instance_id}, "sk": {"S": "lease"}}
    cloud.dynamodb.put_item(TableName=TABLE, Item={**key, "run_id": {"S": "run-2"}, "expires_at": {"N": "1"}})
    first = call("await_snapshots", fresh)
    cloud.dynamodb.delete_item(TableName=TABLE, Key=key)
    second = call("await_snapshots", {**fresh, "await_snapshots": first})
    assert (first["lease_held"], second["lease_held"]) == (False, False)
    assert cloud.lease(server.instance_id) is None
    assert wire.count("dynamodb:UpdateItem") == 1


def test_a_lease_that_is_gone_is_lost_and_not_made_anew(
    call: Call, cloud: Cloud, server: Server, fresh: dict[str, Any]
) -> None:
    cloud.dynamodb.delete_item(TableName=TABLE, Key={"pk": {"S": server.instance_id}, "sk": {"S": "lease"}})
    assert call("await_snapshots", fresh)["lease_held"] is False
    assert cloud.lease(server.instance_id) is None


def test_a_lease_that_expired_and_nobody_took_is_held_on(call: Call, clock: Clock, fresh: dict[str, Any]) -> None:
    clock.now_s += LEASE_S + 1
    assert call("await_snapshots", fresh)["lease_held"] is True


@pytest.mark.parametrize(("call_name", "nth"), CALLS)
def test_a_lost_answer_is_asked_for_again(
    call: Call, wire: Wire, fresh: dict[str, Any], call_name: str, nth: int
) -> None:
    wire.on(call_name, answer_lost, nth=nth)
    answer = call("await_snapshots", fresh)
    assert answer["calls"][call_name] == 2
    assert answer["lease_held"] is True


@pytest.mark.parametrize(("call_name", "nth", "fault", "times", "error"), each_fault(CALLS))
def test_an_error_of_aws_has_a_name(
    call: Call, wire: Wire, fresh: dict[str, Any], call_name: str, nth: int, fault: Any, times: int, error: str
) -> None:
    wire.on(call_name, fault, nth=nth, times=times)
    with pytest.raises(getattr(errors, error), match=f"^{call_name}"):
        call("await_snapshots", fresh)
    assert wire.count(call_name) == times


def test_a_run_of_another_name_is_another_run(call: Call, clock: Clock, fresh: dict[str, Any]) -> None:
    stranger = without_answer({**fresh, **a_document(fresh["input"], "run-9")})
    assert call("await_snapshots", stranger)["snapshots"] == []


def test_an_error_that_nobody_has_seen_keeps_its_own_name(call: Call, wire: Wire, fresh: dict[str, Any]) -> None:
    wire.on("dynamodb:UpdateItem", refused("SomethingNew"))
    with pytest.raises(ClientError, match="SomethingNew"):
        call("await_snapshots", fresh)
