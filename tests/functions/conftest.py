"""The functions, called one by one as the state machine calls them."""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.retries.quota import RetryQuota

from tests.support.clock import Clock
from tests.support.cloud import Cloud
from tests.support.machine import APPS
from tests.support.wire import Wire

EXECUTIONS = "arn:aws:states:eu-central-1:123456789012:execution:backup"


def a_document(raw: Any, name: str = "run-1", **steps: Any) -> dict[str, Any]:
    """Return a state document: Begin's part about the execution, and the answers of steps."""
    execution = {"id": f"{EXECUTIONS}:{name}", "name": name, "started_at": "2026-03-14T01:30:00.000Z"}
    return {"execution": execution, "input": raw, **steps}


@pytest.fixture(autouse=True)
def full_retry_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every test all retries: a client lives as long as its process, and so would its used-up quota."""
    monkeypatch.setattr(RetryQuota, "acquire", lambda _quota, _amount: True)


@pytest.fixture
def call(cloud: Cloud, clock: Clock, wire: Wire) -> Callable[..., Any]:
    """Call a function with a state document; both pass through JSON."""

    def call(step: str, document: dict[str, Any], request_id: str = "request-1") -> Any:
        context = SimpleNamespace(aws_request_id=request_id, function_name=step)
        with wire.listen():
            return json.loads(json.dumps(APPS[step].handler(json.loads(json.dumps(document)), context)))

    return call


@pytest.fixture
def planned(call: Callable[..., Any], cloud: Cloud, server: Any) -> dict[str, Any]:
    """A state document after Plan, for a server with three volumes."""
    policy = cloud.put_policy({"name": "files-nightly", "targets": [{"instance_id": server.instance_id, "vss": "off"}]})
    document = a_document({"policy": policy, "instance_id": server.instance_id})
    return {**document, "plan": call("plan", document)}


@pytest.fixture
def created(call: Callable[..., Any], planned: dict[str, Any]) -> dict[str, Any]:
    """A state document after Snapshot."""
    return {**planned, "snapshot": call("snapshot", planned)}
