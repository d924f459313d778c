"""A simulated server that is launched from a recovery point finds what lay on the other server's system drive."""

import pytest

from quiesce.aws.ssm import Guest
from quiesce.clock import Clock
from quiesce.guest.answers import recovered_of
from quiesce.guest.patience import recovered_wait
from quiesce.guest.sessions import owes_after
from sandbox.aws.snapshots import RULES
from sandbox.windows.system import Windows
from tests.sandbox.test_windows import DOCUMENTS, SERVER, World

CLONE = "i-0fedcba9876543210"


@pytest.fixture
def world():
    return World(before="", after="", complete="")


def clone_of(world):
    """Return a clone of the server as it is now, and what asks it."""
    windows = Windows(CLONE, None, world.bucket.get, world.now_s, put=world.put, drives=world.windows.guest.drives)
    windows.boot_from(world.windows.on_disk())
    world.service.servers[CLONE] = windows
    world.states[CLONE] = "running"

    def wait(seconds):
        world.now_s += seconds
        windows.advance(world.now_s)

    guest = Guest(world.client, DOCUMENTS, CLONE, Clock(monotonic=lambda: world.now_s, sleep=wait))

    def ask(*, thaw=False):
        wait_s, patience = recovered_wait(thaw=thaw)
        asked = {"RunId": "run-1", "InstanceId": CLONE, "WaitSeconds": str(wait_s)}
        return recovered_of(guest.ask("recovered", asked | {"ThawAfterRecovery": str(thaw).lower()}, patience))

    return windows, ask


def test_a_clone_ends_the_session_at_its_boot_and_tells_it(world):
    world.freeze()
    windows, ask = clone_of(world)
    [found] = windows.guest.sessions()
    assert (found.phase, found.tasks) == ("ended", set())
    [session] = ask()
    assert (session.run, session.instance, session.phase) == ("run-1", SERVER, "ended")
    assert session.cloned.model_dump() == {"instance": CLONE, "phase": "frozen"}
    assert session.after is None
    assert owes_after(session)


def test_the_original_goes_on_as_if_there_were_no_clone(world):
    world.freeze()
    _, ask = clone_of(world)
    ask(thaw=True)
    assert world.session()["phase"] == "frozen"
    assert world.ask("thaw").session.after.succeeded


def test_after_runs_once_on_a_clone_that_is_asked_for_it(world):
    world.freeze()
    _, ask = clone_of(world)
    [first] = ask(thaw=True)
    [again] = ask(thaw=True)
    assert first.after.succeeded
    assert first.after.argument == "1"
    assert again == first
    assert not owes_after(first)


def test_a_clone_of_a_server_without_a_session_of_the_run_has_none(world):
    _, ask = clone_of(world)
    assert ask(thaw=True) == []


def test_a_snapshot_holds_what_lay_on_the_system_drive(aws, ec2, server):
    server.windows.scripts.folder["after_files.ps1"] = "let it go on"
    [root, *_] = ec2.create_snapshots(InstanceSpecification={"InstanceId": server.instance_id})["Snapshots"]
    server.windows.scripts.folder.clear()
    RULES.skip(60)
    raw, built = aws.servers.found[root["SnapshotId"]]
    assert raw.folder == built.folder == {"after_files.ps1": "let it go on"}
