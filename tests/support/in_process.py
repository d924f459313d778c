"""pytest fixtures for handlers on moto: one account, one clock and one wire for each test."""

import pytest

from sandbox.aws import direct_apis, scheduling
from sandbox.aws.run_command import respond
from sandbox.aws.snapshots import RULES
from tests.support import cloud as clouds
from tests.support.clock import Clock
from tests.support.lambdas import Lambda
from tests.support.machine import APPS
from tests.support.wire import Wire


@pytest.fixture
def cloud(environment):
    """An account with the stack's table, bucket and topic."""
    with clouds.started() as cloud:
        yield cloud


@pytest.fixture
def clock(monkeypatch):
    """The clock of everything in the test."""
    clock = Clock()
    clock.plug_in(monkeypatch, list(APPS.values()))
    # Longer than until the first look, so that every run waits.
    monkeypatch.setattr(RULES, "duration_s", 25.0)
    # No minimum interval, so that a test sees a second set, and EBS does not refuse it.
    monkeypatch.setattr(RULES, "volume_interval_s", 0.0)
    return clock


@pytest.fixture
def wire(cloud, monkeypatch):
    """The log of what the functions send, and its faults; each ordered fault must happen."""
    wire = Wire()

    def systems_manager(request):
        # A server's own requests meanwhile are not the functions'.
        with wire.listen(on=False):
            return respond(cloud.run_command, request)

    wire.answers["ssm"] = systems_manager
    wire.answers["scheduler"] = lambda request: scheduling.respond(cloud.scheduler, request)
    wire.answers["ebs"] = lambda request: direct_apis.respond(cloud.direct_apis, request)
    wire.answers["lambda"] = Lambda(APPS).respond
    wire.plug_in(monkeypatch)
    yield wire
    assert wire.unused() == [], "no request met an ordered fault"


@pytest.fixture
def server(cloud):
    """A running Windows server with three volumes."""
    return cloud.add_server()
