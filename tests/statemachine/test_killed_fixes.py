"""A fix and an undo that are killed at any call, or stopped in any state and started again, end as if nothing was."""

from collections import Counter
from typing import Any

import pytest

from tests.statemachine.mending import add_bare, allow, fix, give_profiles, mended, state_of, undo
from tests.support.wire import answer_lost, dies_after, dies_before, refused, unreachable

# Every call of a good fix and a good undo but the looks at commands, which change nothing; a test compares them.
OF_FIX = {
    "dynamodb:DeleteItem": 3,
    "dynamodb:GetItem": 4,
    "dynamodb:PutItem": 18,
    "dynamodb:Query": 3,
    "ec2:AssociateIamInstanceProfile": 1,
    "ec2:DescribeIamInstanceProfileAssociations": 1,
    "ec2:DescribeInstances": 7,
    "ec2:DescribeRouteTables": 8,
    "ec2:DescribeSecurityGroups": 1,
    "ec2:DescribeVpcEndpoints": 4,
    "iam:GetInstanceProfile": 3,
    "s3:GetObject": 7,
    "s3:PutObject": 17,
    "ssm:DescribeDocument": 11,
    "ssm:DescribeInstanceInformation": 4,
    "ssm:SendCommand": 9,
}
OF_UNDO = {
    "dynamodb:DeleteItem": 1,
    "dynamodb:GetItem": 1,
    "dynamodb:PutItem": 10,
    "dynamodb:Query": 4,
    "ec2:DescribeIamInstanceProfileAssociations": 1,
    "ec2:DescribeInstances": 2,
    "ec2:DescribeRouteTables": 2,
    "ec2:DescribeVpcEndpoints": 1,
    "ec2:DisassociateIamInstanceProfile": 1,
    "s3:GetObject": 2,
    "s3:PutObject": 11,
    "ssm:DescribeDocument": 3,
    "ssm:DescribeInstanceInformation": 1,
    "ssm:SendCommand": 7,
}
KILLS = {"before": dies_before, "after": dies_after}
LOSSES = {"lost": answer_lost, "unreachable": unreachable, "a fault": refused("InternalError", 500)}


# Step Functions' own, which reads the list of servers for the Map.
OF_THE_MAP = ("s3:GetObject", 1)


def places(calls: dict[str, int]) -> list[tuple[str, int]]:
    every = [(call, number) for call, most in calls.items() for number in range(1, most + 1)]
    return [place for place in every if place != OF_THE_MAP]


@pytest.fixture(autouse=True)
def profiles(monkeypatch):
    give_profiles(monkeypatch, for_agents=True)


@pytest.fixture
def allowed(cloud):
    """A bare server on which its owner allows changes."""
    server = add_bare(cloud)
    allow(cloud, server)
    return server


def sent(machine: Any, since: int) -> dict[str, int]:
    counted = Counter(machine.wire.sent[since:])
    del counted["ssm:GetCommandInvocation"]
    return dict(sorted(counted.items()))


def test_the_kills_meet_every_call(machine, allowed):
    fix(machine, allowed)
    assert sent(machine, 0) == OF_FIX
    before = len(machine.wire.sent)
    undo(machine)
    assert sent(machine, before) == OF_UNDO


@pytest.mark.grid
@pytest.mark.parametrize("when", KILLS)
@pytest.mark.parametrize(("call", "number"), places(OF_FIX))
def test_a_fix_that_is_killed_at_a_call_ends_the_same(machine, cloud, allowed, call, number, when):
    before = state_of(cloud, allowed)
    machine.wire.on(call, KILLS[when], nth=number)
    run = fix(machine, allowed)
    assert not machine.wire.unused()
    assert state_of(cloud, allowed) == mended(before)
    assert run.output["diagnosis"]["best"] == "vss"
    assert cloud.lease(allowed.instance_id) is None
    undo(machine)
    assert state_of(cloud, allowed) == before


@pytest.mark.grid
@pytest.mark.parametrize("when", KILLS)
@pytest.mark.parametrize(("call", "number"), places(OF_UNDO))
def test_an_undo_that_is_killed_at_a_call_ends_the_same(machine, cloud, allowed, call, number, when):
    before = state_of(cloud, allowed)
    fix(machine, allowed)
    machine.wire.on(call, KILLS[when], nth=number)
    undo(machine)
    assert not machine.wire.unused()
    assert state_of(cloud, allowed) == before
    assert cloud.lease(allowed.instance_id) is None


@pytest.mark.parametrize("how", LOSSES)
@pytest.mark.parametrize(
    ("call", "number"), [("ec2:AssociateIamInstanceProfile", 1), ("ssm:SendCommand", 1), ("ssm:SendCommand", 5)]
)
def test_a_change_whose_answer_is_lost_is_made_all_the_same_and_once(machine, cloud, allowed, call, number, how):
    before = state_of(cloud, allowed)
    machine.wire.on(call, LOSSES[how], nth=number)
    fix(machine, allowed)
    assert state_of(cloud, allowed) == mended(before)


@pytest.mark.parametrize("state", ["Examine", "Mend", "Again?", "WaitForServer", "Tell"])
def test_a_fix_that_is_stopped_and_started_again_ends_the_same_and_both_come_back(machine, cloud, allowed, state):
    before = state_of(cloud, allowed)
    machine.stop_in(state)
    machine.examine({"instance_id": allowed.instance_id, "fix": True}, "fix-0")
    machine.stop_in("")
    run = fix(machine, allowed)
    assert run.output["diagnosis"]["best"] == "vss"
    assert state_of(cloud, allowed) == mended(before)
    done = [name for name in ("fix-1", "fix-0") if (f"doctor-fix#{name}", allowed.instance_id) in cloud.items()]
    assert ("fix-1" in done) == (run.output["fix"] == "fix-1")
    for name in done:
        undo(machine, name)
    assert state_of(cloud, allowed) == before
