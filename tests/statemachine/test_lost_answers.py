"""Answers that are lost after the effect, and functions that die between two calls: at every call of a run.

A test compares these lists with a run, so a new call that is in no list fails it.
"""

from itertools import product

import pytest

from sandbox.aws.snapshots import RULES
from sandbox.servers import DISKS
from tests.statemachine.truth import assert_failed, assert_successful, record_of
from tests.support.wire import answer_garbled, answer_lost, connection_closed, dies_after, dies_before

# Each call with its number, by step, in a run with one volume whose snapshot is complete at the second look.
PLAN = [
    ("s3:GetObject", 1),
    ("ec2:DescribeInstances", 1),
    ("ec2:DescribeVolumes", 1),
    ("dynamodb:TransactWriteItems", 1),
]
MARK, CREATE = ("dynamodb:UpdateItem", 1), ("ec2:CreateSnapshots", 1)
AWAIT = [
    ("ec2:DescribeSnapshots", 1),
    ("dynamodb:GetItem", 1),
    ("dynamodb:UpdateItem", 2),
    ("ec2:DescribeSnapshots", 2),
]
MAKE_IMAGE = [("ec2:DescribeImages", 1), ("ec2:DescribeInstances", 2), ("ec2:CreateImage", 1)]
REPORT = [
    ("dynamodb:UpdateItem", 3),
    ("ec2:CreateTags", 1),
    ("s3:PutObject", 1),
    ("dynamodb:TransactWriteItems", 2),
]
# Report of a run that failed in Plan.
REPORT_OF_A_FAILURE = [
    ("dynamodb:UpdateItem", 1),
    ("s3:PutObject", 1),
    ("dynamodb:GetItem", 1),
    ("sns:Publish", 1),
    ("dynamodb:PutItem", 1),
    ("dynamodb:TransactWriteItems", 1),
    ("dynamodb:PutItem", 2),
    ("dynamodb:DeleteItem", 1),
]
REPEATABLE = [*PLAN, *AWAIT, *MAKE_IMAGE, *REPORT]
BOTO_ATTEMPTS = 4
# MakeImage sends each call once in a try, and never a second CreateImage after one that took effect.
ATTEMPTS_OF_A_TRY = dict.fromkeys([*PLAN, *AWAIT, *REPORT], BOTO_ATTEMPTS) | dict.fromkeys(MAKE_IMAGE, 1)


def name_of(value):
    return getattr(value, "__name__", str(value))


@pytest.fixture(autouse=True)
def one_look_and_another(clock, monkeypatch):
    monkeypatch.setattr(RULES, "duration_s", 10.0)


@pytest.fixture
def server(cloud):
    return cloud.add_server(disks=DISKS[:1])


@pytest.fixture
def volumes(server):
    return set(server.volumes.values())


def numbered(sent):
    return [(call, sent[: place + 1].count(call)) for place, call in enumerate(sent)]


def test_every_call_of_a_good_run_stands_in_these_lists(machine, request_for):
    machine.start(request_for)
    assert numbered(machine.wire.sent) == [*PLAN, MARK, CREATE, *AWAIT, *MAKE_IMAGE, *REPORT]


def test_every_call_of_a_refused_run_stands_in_these_lists(machine):
    machine.start({"policy": {}})
    assert numbered(machine.wire.sent) == REPORT_OF_A_FAILURE


@pytest.mark.grid
@pytest.mark.parametrize("call", [*REPEATABLE, MARK], ids=str)
def test_a_lost_answer_of_a_call_that_may_be_repeated_is_not_noticed(
    call, machine, cloud, server, request_for, volumes
):
    machine.wire.on(call[0], answer_lost, nth=call[1])
    run = machine.start(request_for)
    record = assert_successful(cloud, run, server.instance_id, volumes)
    assert record["notes"] == []


# A garbled policy is refused: what the bucket holds is the customer's, not S3's answer.
@pytest.mark.grid
@pytest.mark.parametrize("call", REPEATABLE[1:], ids=str)
def test_a_garbled_answer_of_a_call_that_may_be_repeated_is_not_noticed(
    call, machine, cloud, server, request_for, volumes
):
    machine.wire.on(call[0], answer_garbled, nth=call[1])
    run = machine.start(request_for)
    record = assert_successful(cloud, run, server.instance_id, volumes)
    assert record["notes"] == []


@pytest.mark.grid
@pytest.mark.parametrize("call", REPEATABLE, ids=str)
def test_a_service_that_answers_only_the_steps_next_try_costs_nothing(
    call, machine, cloud, server, request_for, volumes
):
    machine.wire.on(call[0], answer_lost, nth=call[1], times=ATTEMPTS_OF_A_TRY[call])
    run = machine.start(request_for)
    assert_successful(cloud, run, server.instance_id, volumes)


@pytest.mark.parametrize("lose", [answer_lost, connection_closed, answer_garbled, dies_after])
def test_a_lost_answer_of_create_snapshots_is_adopted_and_never_sent_again(
    lose, machine, cloud, server, request_for, volumes
):
    machine.wire.on(CREATE[0], lose, nth=CREATE[1])
    run = machine.start(request_for)
    record = assert_successful(cloud, run, server.instance_id, volumes)
    assert "were found by their tag" in record["notes"][0]
    assert machine.wire.count("ec2:CreateSnapshots") == 1


@pytest.mark.parametrize("error", ["Lambda.ServiceException", "Lambda.ClientExecutionTimeoutException"])
def test_a_snapshot_function_that_is_called_again_after_its_effect_sends_nothing(
    error, machine, cloud, server, request_for, volumes
):
    machine.lambda_fails("snapshot", error, after_the_call=True)
    run = machine.start(request_for)
    assert_successful(cloud, run, server.instance_id, volumes)
    assert machine.invocations.count("snapshot") == 2
    assert machine.wire.count("ec2:CreateSnapshots") == 1


@pytest.mark.parametrize("hidden", [1, 3, 5])
def test_a_lost_set_is_found_though_ec2_lists_it_late(
    hidden, *, machine, cloud, server, request_for, volumes, monkeypatch
):
    monkeypatch.setattr(RULES, "hidden_lookups", hidden)
    machine.wire.on(CREATE[0], answer_lost, nth=CREATE[1])
    run = machine.start(request_for)
    assert_successful(cloud, run, server.instance_id, volumes)
    assert machine.clock.waits[:hidden] == [5] * hidden


def test_a_lost_set_that_is_never_listed_is_a_failure_that_says_so(machine, cloud, server, request_for, monkeypatch):
    monkeypatch.setattr(RULES, "hidden_lookups", 1000)
    machine.wire.on(CREATE[0], answer_lost, nth=CREATE[1])
    run = machine.start(request_for)
    assert_failed(cloud, run, server.instance_id, "OutcomeUnknown", "CreateSnapshots was sent and its answer lost")
    assert sum(machine.clock.waits) == 30
    assert cloud.snapshot_sets() == 1


def test_a_lost_set_of_which_only_a_part_is_listed_is_no_recovery_point(machine, cloud, request_for):
    whole = cloud.add_server("SERVER2")

    def hide_one():
        hidden = next(s for s in cloud.stored_snapshots() if s.volume_id == whole.volumes["E:"])
        hidden.hidden_lookups = 1000

    policy = {"name": "two", "targets": [{"instance_id": whole.instance_id, "vss": "off"}]}
    machine.wire.on(CREATE[0], answer_lost, nth=CREATE[1])
    machine.before("await_snapshots", hide_one)
    run = machine.start({"policy": policy})
    assert_failed(cloud, run, whole.instance_id, "SnapshotsIncomplete", "xvdg")
    assert len(record_of(cloud, run, whole.instance_id)["snapshots"]) == 2


@pytest.mark.parametrize("call", [MARK, CREATE], ids=str)
def test_a_snapshot_function_that_dies_before_it_sends_leaves_nothing(call, machine, cloud, server, request_for):
    machine.wire.on(call[0], dies_before, nth=call[1])
    run = machine.start(request_for)
    assert_failed(cloud, run, server.instance_id, "Sandbox.Timedout", "timed out")
    assert cloud.snapshot_sets() == 0


def test_a_snapshot_function_that_dies_after_its_mark_leaves_nothing(machine, cloud, server, request_for):
    machine.wire.on(MARK[0], dies_after, nth=MARK[1])
    run = machine.start(request_for)
    assert_failed(cloud, run, server.instance_id, "Sandbox.Timedout", "timed out")
    assert cloud.snapshot_sets() == 0


# boto3 does not send a call again whose answer it can't read.
@pytest.mark.parametrize(("lose", "times"), [(answer_lost, BOTO_ATTEMPTS), (answer_garbled, 1)])
def test_a_mark_whose_answers_are_all_lost_is_never_followed_by_a_set(lose, times, machine, cloud, server, request_for):
    machine.wire.on(MARK[0], lose, nth=MARK[1], times=times)
    run = machine.start(request_for)
    assert_failed(cloud, run, server.instance_id, "OutcomeUnknown", "an earlier try of Snapshot")
    assert cloud.snapshot_sets() == 0


@pytest.mark.grid
@pytest.mark.parametrize(("die", "call"), list(product((dies_before, dies_after), REPEATABLE)), ids=name_of)
def test_a_function_that_dies_at_any_other_call_is_tried_again(
    die, call, *, machine, cloud, server, request_for, volumes
):
    machine.wire.on(call[0], die, nth=call[1])
    run = machine.start(request_for)
    assert_successful(cloud, run, server.instance_id, volumes)
    assert len(cloud.records()) == 1


@pytest.mark.parametrize(("die", "call"), list(product((dies_before, dies_after), REPORT_OF_A_FAILURE)), ids=name_of)
def test_a_report_that_dies_anywhere_tells_at_least_once_and_records_once(die, call, machine, cloud):
    machine.wire.on(call[0], die, nth=call[1])
    run = machine.start({"policy": {}})
    assert (run.status, run.error) == ("FAILED", "PolicyRefused")
    assert {subject for subject, _ in cloud.mails()} == {"Failed: backup of unknown, policy unknown"}
    assert len(cloud.records()) == 1
    assert record_of(cloud, run, "unknown")["failure"]["error"] == "PolicyRefused"
    assert cloud.lease("unknown") is None
