"""Sweep: what it does on an event, and that it leaves everything else alone."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from quiesce import errors
from tests.functions.conftest import EXECUTIONS, a_document
from tests.support.factories.policy import a_policy
from tests.support.machine import APPS, ended_event
from tests.support.wire import answer_lost, refused


@pytest.fixture
def sweep(cloud, clock, wire):
    """Start Sweep with an event for run-1, or with changes of it."""

    def sweep(request: Any, status: str = "ABORTED", name: str = "run-1", **changes: Any) -> None:
        event = ended_event(f"{EXECUTIONS}:{name}", status, json.dumps(request), clock.now_s)
        event["detail"] |= changes
        with wire.listen():
            APPS["sweep"].handler(event, SimpleNamespace(aws_request_id="request-1", function_name="sweep"))

    return sweep


@pytest.fixture
def request_of(server):
    return {"policy": a_policy(server.instance_id)}


@pytest.mark.parametrize(
    ("status", "error"),
    [("ABORTED", "ExecutionStopped"), ("TIMED_OUT", "ExecutionTimedOut"), ("FAILED", "ExecutionFailed")],
)
def test_a_run_that_left_nothing_but_its_lease_is_recorded_as_failed_and_its_server_is_free(
    status, error, call, cloud, server, sweep, request_of
):
    call("plan", a_document(request_of))
    sweep(request_of, status)
    [record] = cloud.records().values()
    assert (record["status"], record["failure"]["error"]) == ("Failed", error)
    assert cloud.lease(server.instance_id) is None
    assert len(cloud.mails()) == 1


def test_an_execution_that_plan_never_saw_has_a_record_all_the_same(cloud, server, sweep, request_of):
    sweep(request_of)
    [record] = cloud.records().values()
    assert (record["instance_id"], record["policy"]) == (server.instance_id, "files-nightly")


@pytest.mark.parametrize("changes", [{"input": None}, {"input": "7"}, {"input": "[]"}, {"input": '{"policy": 7}'}])
def test_an_event_whose_input_says_nothing_is_recorded_as_the_run_of_an_unknown_server(changes, cloud, sweep):
    sweep({}, **changes)
    [record] = cloud.records().values()
    assert (record["instance_id"], record["status"]) == ("unknown", "Failed")


def test_the_run_of_another_execution_is_left_alone(call, cloud, sweep, request_of):
    call("plan", a_document(request_of))
    before = cloud.items()
    sweep(request_of, executionArn=f"{EXECUTIONS}:another")
    assert (cloud.items(), cloud.records(), cloud.mails()) == (before, {}, [])


def test_a_complete_record_is_left_alone_and_nobody_is_asked(call, cloud, wire, sweep, request_of):
    document = a_document(request_of)
    call("report", {**document, "failure": {"Error": "PolicyRefused", "Cause": "{}"}})
    before = (cloud.items(), cloud.records(), cloud.mails())
    wire.sent.clear()
    sweep(request_of, "FAILED")
    assert (cloud.items(), cloud.records(), cloud.mails()) == before
    # Sweep repeats the last two, because Report may have died before them.
    assert wire.sent == ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:DeleteItem"]


def test_a_status_that_needs_no_sweep_is_an_error_and_not_a_guess(sweep, request_of):
    with pytest.raises(KeyError, match="SUCCEEDED"):
        sweep(request_of, "SUCCEEDED")


@pytest.mark.parametrize("call_name", ["dynamodb:GetItem", "ec2:DescribeSnapshots", "s3:PutObject", "sns:Publish"])
def test_a_lost_answer_is_asked_for_again(call_name, call, cloud, wire, sweep, request_of):
    call("plan", a_document(request_of))
    wire.on(call_name, answer_lost)
    sweep(request_of)
    assert len(cloud.records()) == 1


@pytest.mark.parametrize(
    ("call_name", "code"), [("s3:PutObject", "AccessDenied"), ("ec2:DescribeSnapshots", "UnauthorizedOperation")]
)
def test_what_it_may_not_do_is_an_error_that_lambda_counts_and_tries_again(
    call_name, code, *, call, cloud, server, wire, sweep, request_of
):
    call("plan", a_document(request_of))
    wire.on(call_name, refused(code, 403))
    with pytest.raises(errors.AccessDenied):
        sweep(request_of)
    assert cloud.lease(server.instance_id)
    sweep(request_of)
    assert cloud.lease(server.instance_id) is None
