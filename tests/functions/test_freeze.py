"""Freeze, Thaw and Complete, one call each: when they must send nothing, and what they pass on."""

import pytest

from quiesce import errors
from quiesce.aws.backup.warming import WARM_UP
from quiesce.aws.runs import ASKING_LEASE_S, LEASE_S
from tests.functions.conftest import a_document
from tests.support.factories.policy import a_policy
from tests.support.lambdas import Lambda
from tests.support.machine import APPS
from tests.support.wire import refused, unreachable


@pytest.fixture
def shop(cloud):
    cloud.put_scripts("orders")
    return cloud.add_server("SHOP", application=True)


@pytest.fixture
def asking(call, shop):
    """A state document after Plan, of a run that freezes the application."""
    policy = a_policy(shop.instance_id, name="orders", defaults={"scripts": {"from": "bucket"}})
    document = a_document({"policy": policy})
    return {**document, "plan": call("plan", document)}


def test_a_run_whose_lease_has_ended_asks_nobody_and_thaws_nobody(call, clock, shop, wire, asking):
    clock.now_s += LEASE_S
    wire.sent.clear()
    with pytest.raises(errors.LeaseLost, match="it is too late to go on"):
        call("freeze", asking)
    assert "ssm:SendCommand" not in wire.sent
    failed = {**asking, "freeze_failure": {"Error": "LeaseLost", "Cause": "{}"}}
    assert call("thaw", failed)["session"] is None
    assert call("complete", failed)["session"] is None
    assert shop.application.asked == []


def test_a_run_whose_server_another_run_took_asks_nobody(call, cloud, clock, shop, asking):
    cloud.hold(shop.instance_id, "another-run", clock.now_s + 3600)
    with pytest.raises(errors.LeaseLost):
        call("freeze", asking)
    assert shop.application.asked == []


def test_freezing_holds_the_server_for_as_long_as_thawing_and_completing_may_take(call, cloud, clock, shop, asking):
    before_s = clock.now_s
    call("freeze", asking)
    assert int(cloud.lease(shop.instance_id)["expires_at"]) == int(before_s) + ASKING_LEASE_S
    assert cloud.items()[shop.instance_id, "run#run-1"]["attempt"] == "1"


@pytest.mark.parametrize("step", ["freeze", "thaw", "complete"])
def test_asking_twice_is_asking_once(step, call, shop, asking):
    document, order = asking, ["freeze", "thaw", "complete"]
    for earlier in order[: order.index(step)]:
        document = {**document, earlier: call(earlier, document)}
    first, second = call(step, document), call(step, document)
    assert first["session"] == second["session"]
    assert len(shop.application.asked) == order.index(step) + 1


@pytest.mark.parametrize("step", ["thaw", "complete"])
def test_where_nothing_was_frozen_there_is_nothing_to_do_and_nothing_is_sent(step, call, wire, planned):
    wire.sent.clear()
    assert call(step, planned)["session"] is None
    assert wire.sent == []


def test_complete_says_no_while_the_snapshots_are_unknown(call, shop, asking):
    document = {**asking, "freeze": call("freeze", asking)}
    document = {**document, "thaw": call("thaw", document)}
    ended = call("complete", document)
    assert (ended["succeeded"], ended["session"]["complete"]["argument"]) == (False, "0")
    assert shop.application.asked == ["before", "after 1", "complete 0"]


def test_a_state_document_without_a_plan_freezes_nobody(call, shop):
    with pytest.raises(ValueError, match="no plan"):
        call("freeze", a_document({"policy": "orders", "instance_id": shop.instance_id}))
    assert shop.application.asked == []


@pytest.fixture
def started(wire):
    """The functions that others have started, each with what it was given."""
    of_aws = Lambda(APPS)
    wire.answers["lambda"] = of_aws.respond
    return of_aws.started


def test_what_runs_while_the_application_is_held_is_started_before_the_server_is_asked(call, wire, asking, started):
    wire.sent.clear()
    frozen = call("freeze", asking)
    assert started == [("snapshot", WARM_UP), ("thaw", WARM_UP)]
    assert wire.sent.index("ssm:SendCommand") > max(i for i, sent in enumerate(wire.sent) if sent == "lambda:Invoke")
    assert frozen["calls"]["lambda:Invoke"] == 2


def test_where_awss_document_makes_the_snapshots_its_function_is_started(call, cloud, started):
    cloud.put_scripts("orders")
    shop = cloud.add_server("SHOP", application=True)
    defaults = {"scripts": {"from": "bucket"}, "revert": "off"}
    policy = a_policy(shop.instance_id, name="orders", vss={"engine": "aws-vss"}, defaults=defaults)
    document = a_document({"policy": policy})
    call("freeze", {**document, "plan": call("plan", document)})
    assert [step for step, _ in started] == ["snapshot_by_aws", "thaw"]


@pytest.mark.parametrize("step", ["snapshot", "snapshot_by_aws", "thaw"])
def test_a_function_that_is_only_warmed_up_asks_nobody_anything(step, call, wire):
    wire.sent.clear()
    assert call(step, WARM_UP) == {}
    assert wire.sent == []


@pytest.mark.parametrize(
    "fault",
    [
        unreachable,
        refused("AccessDeniedException", 403),
        refused("TooManyRequestsException", 429),
        refused("ServiceException", 500),
        refused("ResourceNotFoundException", 404),
    ],
)
def test_an_application_is_frozen_though_lambda_starts_nothing_beforehand(fault, call, wire, shop, asking, caplog):
    wire.on("lambda:Invoke", fault)
    frozen = call("freeze", asking)
    assert (frozen["go_on"], shop.application.asked) == (True, ["before"])
    # Once is enough: each try keeps the server waiting for as long as Lambda does not answer.
    assert frozen["calls"]["lambda:Invoke"] == 1
    warnings = [each.message for each in caplog.records if each.levelname == "WARNING"]
    assert warnings == ["functions not warmed up: the freeze may take longer by their start"]
