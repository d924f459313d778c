"""The same for a run that freezes the application: no script runs twice, after and complete get the right argument.

A test compares these lists with a run, so a new call that is in no list fails it.
"""

from itertools import product

import pytest

from sandbox.aws.snapshots import RULES
from tests.statemachine.truth import record_of
from tests.support.wire import answer_lost, connection_closed, dies_after, dies_before, refused, unreachable

SEND, LOOK = "ssm:SendCommand", "ssm:GetCommandInvocation"
# Each call with its number, by step. Of the looks for an answer, which repeat until there is one, only the first.
PLAN = [
    ("s3:GetObject", 1),
    ("ec2:DescribeInstances", 1),
    ("ec2:DescribeVolumes", 1),
    ("ec2:CreateSnapshots", 1),  # a DryRun
    ("dynamodb:TransactWriteItems", 1),
    ("ssm:DescribeInstanceInformation", 1),
    ("ssm:DescribeDocument", 1),
    ("ssm:DescribeDocument", 2),
    (SEND, 1),  # inventory
    (LOOK, 1),
    ("s3:ListObjectsV2", 1),
    *(("s3:GetObject", number) for number in range(2, 5)),  # the scripts
    ("s3:PutObject", 1),  # the package
    (SEND, 2),  # stage
    (LOOK, 3),
]
# Snapshot and Thaw start beforehand.
WARM_UP = [("lambda:Invoke", 1), ("lambda:Invoke", 2)]
FREEZE = [("dynamodb:TransactWriteItems", 2), *WARM_UP, (SEND, 3), (LOOK, 5)]
MARK, CREATE = ("dynamodb:UpdateItem", 1), ("ec2:CreateSnapshots", 2)
THAW = [(SEND, 4), (LOOK, 7)]
AWAIT = [
    ("ec2:DescribeSnapshots", 1),
    ("dynamodb:GetItem", 1),
    ("dynamodb:UpdateItem", 2),
    ("ec2:DescribeSnapshots", 2),
]
COMPLETE = [(SEND, 5), (LOOK, 9)]
MAKE_IMAGE = [("ec2:DescribeImages", 1), ("ec2:DescribeInstances", 2), ("ec2:CreateImage", 1)]
COLLECT = [(SEND, 6), (LOOK, 11)]
REPORT = [
    ("s3:GetObject", 5),
    *(("s3:PutObject", number) for number in range(2, 8)),
    ("dynamodb:UpdateItem", 3),
    *(("ec2:CreateTags", number) for number in range(1, 4)),
    ("s3:PutObject", 8),
    ("dynamodb:TransactWriteItems", 3),
]
BEFORE_REPORT = [("dynamodb:GetItem", 2)]
REPEATED_BY_BOTO = [
    call
    for call in [*PLAN, *FREEZE, *AWAIT, *MAKE_IMAGE, *BEFORE_REPORT, *REPORT]
    if call[0] not in (SEND, LOOK) and call not in WARM_UP
]
ASKED_AGAIN = [call for call in [*PLAN, *FREEZE, *THAW, *COMPLETE] if call[0] in (SEND, LOOK)] + COLLECT[1:]
GOOD = ["before", "after 1", "complete 1"]


def name_of(value):
    return getattr(value, "__name__", str(value))


@pytest.fixture(autouse=True)
def one_look_and_another(clock, monkeypatch):
    monkeypatch.setattr(RULES, "duration_s", 10.0)


def numbered(sent):
    counted = [(call, sent[: place + 1].count(call)) for place, call in enumerate(sent)]
    return [c for place, c in enumerate(counted) if not (place and c[0] == LOOK == sent[place - 1])]


def assert_good(cloud, run, shop):
    record = record_of(cloud, run, shop.instance_id)
    assert (run.status, record["status"]) == ("SUCCEEDED", "Successful"), record["reason"]
    assert record["consistency"]["level"] == "application"
    assert shop.application.asked == GOOD
    assert cloud.snapshot_sets() == 1
    assert cloud.lease(shop.instance_id) is None
    assert len(cloud.records()) == 1
    return record


def test_every_call_of_a_run_whose_application_is_held_stands_in_these_lists(machine, frozen_request):
    machine.start(frozen_request)
    listed = [*PLAN, *FREEZE, MARK, CREATE, *THAW, *AWAIT, *COMPLETE, *MAKE_IMAGE, *BEFORE_REPORT, *COLLECT, *REPORT]
    assert numbered(machine.wire.sent) == listed


@pytest.mark.grid
@pytest.mark.parametrize("call", [*REPEATED_BY_BOTO, MARK], ids=str)
def test_a_lost_answer_of_a_call_that_boto_repeats_is_not_noticed(call, machine, cloud, shop, frozen_request):
    machine.wire.on(call[0], answer_lost, nth=call[1])
    record = assert_good(cloud, machine.start(frozen_request), shop)
    assert record["logs"]["problem"] == ""


@pytest.mark.parametrize(
    ("lose", "call"), list(product((answer_lost, unreachable, dies_before, dies_after), WARM_UP)), ids=name_of
)
def test_whatever_becomes_of_warming_up_the_application_is_held_once_and_let_go(
    lose, call, *, machine, cloud, shop, frozen_request
):
    machine.wire.on(call[0], lose, nth=call[1])
    assert_good(cloud, machine.start(frozen_request), shop)


@pytest.mark.grid
@pytest.mark.parametrize(("lose", "call"), list(product((answer_lost, unreachable), ASKED_AGAIN)), ids=name_of)
def test_a_question_whose_answer_is_lost_is_asked_again_and_the_server_does_it_once(
    lose, call, *, machine, cloud, shop, frozen_request
):
    machine.wire.on(call[0], lose, nth=call[1])
    assert_good(cloud, machine.start(frozen_request), shop)


@pytest.mark.parametrize("call", [COLLECT[0], REPORT[0], REPORT[1]], ids=str)
def test_an_error_that_nobody_has_put_into_words_costs_the_files_and_not_the_record(
    call, machine, cloud, shop, frozen_request
):
    machine.wire.on(call[0], refused("KMS.DisabledException"), nth=call[1])
    record = assert_good(cloud, machine.start(frozen_request), shop)
    assert "KMS.DisabledException" in record["logs"]["problem"]


@pytest.mark.parametrize("lose", [answer_lost, unreachable])
def test_files_that_could_not_be_collected_cost_the_run_nothing_but_themselves(
    lose, machine, cloud, shop, frozen_request
):
    [question, _] = COLLECT
    machine.wire.on(question[0], lose, nth=question[1])
    record = assert_good(cloud, machine.start(frozen_request), shop)
    assert "the session's files are not in the bucket" in record["logs"]["problem"]


EVERY = [*PLAN, *FREEZE, *THAW, *AWAIT, *COMPLETE, *MAKE_IMAGE, *BEFORE_REPORT, *COLLECT, *REPORT]


# To die before a call is to die after the call before it, so only a step's first call needs both.
@pytest.mark.grid
@pytest.mark.parametrize(
    ("die", "call"),
    [
        *((dies_before, step[0]) for step in (PLAN, FREEZE, THAW, AWAIT, COMPLETE, MAKE_IMAGE, BEFORE_REPORT)),
        *((dies_after, call) for call in EVERY),
    ],
    ids=name_of,
)
def test_a_function_that_dies_at_any_call_but_snapshots_is_tried_again(
    die, call, *, machine, cloud, shop, frozen_request
):
    machine.wire.on(call[0], die, nth=call[1])
    assert_good(cloud, machine.start(frozen_request), shop)


@pytest.mark.parametrize("lose", [answer_lost, connection_closed, dies_after])
def test_a_set_whose_answer_was_lost_is_thawed_first_then_adopted_and_never_called_application_consistent(
    lose, machine, cloud, shop, frozen_request
):
    machine.wire.on(CREATE[0], lose, nth=CREATE[1])
    run = machine.start(frozen_request)
    record = record_of(cloud, run, shop.instance_id)
    assert (run.status, record["status"], record["consistency"]["level"]) == (
        "SUCCEEDED",
        "PartiallySuccessful",
        "crash",
    )
    assert run.states.index("Thaw") < run.states.index("AwaitSnapshots")
    assert {s["tags"]["quiesce:consistency"] for s in cloud.snapshots()} == {"crash"}
    assert shop.application.asked == ["before", "after 1", "complete 0"]
    assert cloud.snapshot_sets() == 1
    assert machine.wire.count("ec2:CreateSnapshots") == 2


@pytest.mark.parametrize("die", [dies_before, dies_after])
def test_a_snapshot_function_that_dies_at_its_mark_leaves_no_set_and_a_thawed_server(
    die, machine, cloud, shop, frozen_request
):
    machine.wire.on(MARK[0], die, nth=MARK[1])
    run = machine.start(frozen_request)
    record = record_of(cloud, run, shop.instance_id)
    assert (run.status, run.error, record["status"]) == ("FAILED", "Sandbox.Timedout", "Failed")
    assert shop.application.asked == ["before", "after 1", "complete 0"]
    assert cloud.snapshot_sets() == 0
