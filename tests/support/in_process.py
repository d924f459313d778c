"""pytest fixtures for handlers on moto: one account, one clock and one wire for each test."""

import pytest

from sandbox.aws import direct_apis
from sandbox.aws.run_command import respond
from sandbox.aws.snapshots import RULES
from tests.support import cloud as clouds
from tests.support.clock import Clock
from tests.support.machine import APPS
from tests.support.wire import Wire


@pytest.fixture
def cloud(environment):
    """An account with the stack's table, bucket and topic."""
    with clouds.started() as cloud:
        yield cloud


@pytest.fixture
def clock(monkeypatch):
    """The time of everything that runs in the test."""
    clock = Clock()
    clock.plug_in(monkeypatch, list(APPS.values()))
    # Longer than the first look, so that every run waits.
    monkeypatch.setattr(RULES, "duration_s", 25.0)
    # A second set would be seen, and not refused by EBS's own pause between snapshots.
    monkeypatch.setattr(RULES, "volume_interval_s", 0.0)
    return clock


@pytest.fixture
def wire(cloud, monkeypatch):
    """What the functions send, and its faults; each fault that was ordered has to happen."""
    wire = Wire()

    def systems_manager(request):
        # What a server sends meanwhile is not the functions'.
        with wire.listen(on=False):
            return respond(cloud.run_command, request)

    wire.answers["ssm"] = systems_manager
    wire.answers["ebs"] = lambda request: direct_apis.respond(cloud.direct_apis, request)
    wire.plug_in(monkeypatch)
    yield wire
    assert wire.unused() == [], "a fault was ordered and met nothing"


@pytest.fixture
def server(cloud):
    """A running Windows server with three volumes."""
    return cloud.add_server()
