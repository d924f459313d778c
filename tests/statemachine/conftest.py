"""The machine for each test."""

import pytest

from tests.support.factories import a_policy
from tests.support.machine import Machine


@pytest.fixture
def machine(cloud, clock, wire, monkeypatch):
    machine = Machine(cloud, wire, clock)
    machine.plug_in(monkeypatch)
    yield machine
    assert machine.surprises == []
    assert machine.unused() == [], "a failure of a function was ordered and met nothing"


@pytest.fixture
def request_for(cloud, server):
    """The input of an execution that backs up the server by a policy in the bucket."""
    return {"policy": cloud.put_policy(a_policy(server.instance_id)), "instance_id": server.instance_id}


@pytest.fixture
def shop(cloud):
    """A server with a busy application, and its owner's scripts in the bucket."""
    cloud.put_scripts("orders")
    return cloud.add_server("SHOP", application=True)


@pytest.fixture
def frozen_request(cloud, shop):
    """The input of an execution that has the application held meanwhile."""
    policy = a_policy(shop.instance_id, name="orders", defaults={"scripts": {"from": "bucket"}, "freeze_limit_s": 120})
    return {"policy": cloud.put_policy(policy), "instance_id": shop.instance_id}
