"""The state machine and its servers for each test."""

import pytest

from sandbox.aws.instances import INSTANCES
from sandbox.aws.volumes import VOLUMES
from tests.statemachine.builds import BackedShop
from tests.statemachine.recoveries import back_up
from tests.support.factories.policy import a_policy
from tests.support.machine import Machine

# By test_seeds.torn_at.
TORN_SEED = 2


@pytest.fixture
def machine(cloud, clock, wire, monkeypatch):
    machine = Machine(cloud, wire, clock)
    machine.plug_in(monkeypatch)
    yield machine
    assert machine.surprises == []
    assert machine.missing_paths == [], "AWS would end this execution behind every Catch"
    assert machine.runtime_errors == [], "no Catch on AWS catches States.Runtime"
    assert machine.unused() == [], "no call met an ordered failure of a function"


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
    """The input of an execution that freezes the application."""
    policy = a_policy(shop.instance_id, name="orders", defaults={"scripts": {"from": "bucket"}, "freeze_limit_s": 120})
    return {"policy": cloud.put_policy(policy), "instance_id": shop.instance_id}


@pytest.fixture
def backed(machine, cloud, server):
    """A server with a file on each drive, and its recovery point."""
    for drive, volume_id in server.volumes.items():
        cloud.servers.content(volume_id).write("what.txt", f"this is {drive}")
    return back_up(cloud, machine, server, a_policy(server.instance_id))


@pytest.fixture
def take_time(monkeypatch, clock):
    """Let EC2 take its time for every change after the call; all earlier changes ended long before."""

    def take():
        clock.now_s += 3600
        monkeypatch.setattr(INSTANCES, "starting_s", 60.0)
        monkeypatch.setattr(INSTANCES, "stopping_s", 90.0)
        monkeypatch.setattr(VOLUMES, "creating_s", 20.0)
        monkeypatch.setattr(VOLUMES, "attaching_s", 40.0)
        monkeypatch.setattr(VOLUMES, "detaching_s", 25.0)

    return take


@pytest.fixture
def slow(backed, take_time):
    """EC2 takes its time for every change; the backed-up server has long been running."""
    take_time()


@pytest.fixture
def torn_shop(cloud):
    """A shop that is torn at the instant of CreateSnapshots, unless a before script holds it."""
    return cloud.servers.add("SHOP", seed=TORN_SEED)


@pytest.fixture
def backed_shop(machine, cloud, shop):
    """A shop with a whole recovery point, which its before script held while EBS took the raw volumes."""
    policy = a_policy(shop.instance_id, name="orders", vss={}, defaults={"scripts": {"from": "bucket"}})
    run = machine.start({"policy": cloud.put_policy(policy), "instance_id": shop.instance_id})
    assert run.output["consistency"]["level"] == "application", run.output["consistency"]
    return BackedShop(cloud, machine, shop, run.output)
