"""How many calls and states a usual run takes: counted below boto3, over the real state machine."""

import os

import pytest

from bench.calls import Count, record, recorded
from sandbox.aws.snapshots import RULES
from tests.statemachine.builds import assert_built, recovering
from tests.statemachine.counting import count
from tests.support.factories.policy import a_policy

# ``make bench`` reckons with what this test has counted and written.
RECORD = "QUIESCE_RECORD" in os.environ
SCRIPTS = {"scripts": {"from": "bucket"}}
KINDS = {
    "crash-consistent": ({}, {}),
    "scripts": ({}, SCRIPTS),
    "VSS": ({"vss": {}}, {}),
    "scripts and VSS": ({"vss": {}}, SCRIPTS),
}
RECOVERIES = {"recovery": {"revert": "off"}, "recovery that reverts": {}}
# The goals are 9 calls and 10 states crash-consistent, 24 and 13 application-consistent.
MOST = {"crash-consistent": (14, 11), "scripts": (46, 14), "VSS": (46, 16), "scripts and VSS": (52, 16)}


@pytest.fixture
def counted(machine, cloud, clock, monkeypatch):
    """Count a usual run: not the server's first, with three volumes, and with snapshots that take a minute."""
    monkeypatch.setattr(RULES, "duration_s", 60.0)
    cloud.put_scripts("orders")
    shop = cloud.add_server("SHOP", application=True)

    def counted(kind: str) -> Count:
        of_policy, defaults = KINDS[kind]
        policy = a_policy(shop.instance_id, name="orders", **of_policy, defaults=defaults)
        request = {"policy": cloud.put_policy(policy), "instance_id": shop.instance_id}
        for _ in range(2):
            clock.now_s += 3600
            machine.visits.clear()
            run = machine.start(request)
            assert run.status == "SUCCEEDED", (run.error, run.cause)
        level = "crash" if kind == "crash-consistent" else "application"
        assert (run.output["status"], run.output["consistency"]["level"]) == ("Successful", level), run.output["reason"]
        return count(run, machine.visits)

    return counted


def compare(kind: str, found: Count) -> None:
    if RECORD:
        known = recorded() | {kind: found}
        record({name: known[name] for name in (*KINDS, *RECOVERIES, "revert") if name in known})
    assert recorded()[kind] == found, "run it again with QUIESCE_RECORD=1, then make bench"


@pytest.mark.parametrize("kind", KINDS)
def test_a_usual_run_takes_as_many_calls_and_states_as_was_recorded_and_no_more_than_it_may(kind, counted):
    found = counted(kind)
    compare(kind, found)
    assert (found.total, len(found.states)) == MOST[kind]


@pytest.mark.parametrize("kind", RECOVERIES)
def test_a_recovery_takes_as_many_calls_and_states_as_was_recorded(kind, machine, cloud, backed_shop, take_time):
    recover = recovering(backed_shop)
    take_time()
    machine.visits.clear()
    run = recover(**RECOVERIES[kind])
    assert run.status == "SUCCEEDED", (run.error, run.cause)
    nested = sum(entered(cloud, arn) for arn in executions(cloud, "RevertMachine"))
    compare(kind, count(run, machine.visits, nested))


def test_a_revert_takes_as_many_calls_and_states_as_was_recorded(machine, backed_shop):
    machine.visits.clear()
    run = backed_shop.build()
    assert_built(backed_shop, run)
    compare("revert", count(run, machine.visits))


def executions(cloud, name):
    states = cloud.stepfunctions
    machines = {each["name"]: each["stateMachineArn"] for each in states.list_state_machines()["stateMachines"]}
    found = states.list_executions(stateMachineArn=machines[name])["executions"] if name in machines else []
    return [each["executionArn"] for each in found]


def entered(cloud, arn):
    pages = cloud.stepfunctions.get_paginator("get_execution_history").paginate(executionArn=arn)
    return sum("stateEnteredEventDetails" in event for page in pages for event in page["events"])
