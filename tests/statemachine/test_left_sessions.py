"""What a recovery point has left of the backup's session on the recovered server, and the after script there."""

import pytest

from sandbox.windows.customer_scripts import CustomerScripts
from sandbox.windows.host import Outcome
from tests.statemachine.builds import recovering
from tests.support.wire import answer_lost, dies_after, dies_before, refused


@pytest.fixture
def recover(backed_shop):
    """Recovers the shop; each execution has a name of its own, and the same recovery_id."""
    return recovering(backed_shop)


def on_the_new_server(shop, run):
    """Return the session of the backup as the new server's disk has it."""
    [session] = shop.cloud.servers.servers[run.output["instance_id"]].windows.guest.sessions()
    return session


def told(run):
    """Return what the hand-over says of the session."""
    assert run.status == "SUCCEEDED", (run.error, run.cause)
    [task] = [task for task in run.output["hand_over"]["checklist"] if task["what"] == "session of the backup"]
    return task["state"], task["words"]


@pytest.mark.parametrize(("revert", "found_in"), [("yes", "before"), ("off", "frozen")])
def test_the_session_that_the_snapshots_found_open_has_ended_and_no_script_ran(backed_shop, recover, revert, found_in):
    old = backed_shop.server.windows.guest.sessions()[0].saved
    asked = list(backed_shop.server.application.asked)
    run = recover(revert=revert)
    session = on_the_new_server(backed_shop, run)
    assert (session.phase, session.tasks, session.saved["after"]) == ("ended", set(), None)
    state, words = told(run)
    assert state == "yours"
    assert words.startswith(
        f"the snapshots had found it open (phase {found_in}), and it was ended here; no shadow copy"
    )
    assert "run the after script once, with the argument 1" in words
    # Nothing of it touched the old server.
    assert backed_shop.server.windows.guest.sessions()[0].saved == old
    assert backed_shop.server.application.asked == asked


def test_after_runs_once_where_the_input_asks_for_it(backed_shop, recover):
    run = recover(thaw_after_recovery=True)
    after = on_the_new_server(backed_shop, run).saved["after"]
    assert (after["succeeded"], after["argument"]) == (True, "1")
    assert told(run)[0] == "done"
    assert "the after script has run here and succeeded" in told(run)[1]
    again = recover(thaw_after_recovery=True)
    assert on_the_new_server(backed_shop, again).saved["after"] == after


@pytest.mark.parametrize("fault", [answer_lost, dies_after, dies_before, refused("ThrottlingException")])
@pytest.mark.parametrize("call", ["ssm:SendCommand", "ssm:GetCommandInvocation", "ssm:DescribeDocument"])
def test_whatever_is_lost_on_the_way_after_runs_once(backed_shop, recover, machine, call, fault):
    machine.wire.on(call, fault)
    run = recover(thaw_after_recovery=True)
    assert told(run)[0] == "done"
    guest = backed_shop.cloud.servers.servers[run.output["instance_id"]].windows.guest
    assert guest.sessions()[0].saved["after"]["argument"] == "1"


@pytest.fixture
def after_there(monkeypatch):
    """Decides how the after script runs on the new server, which has no application of the sandbox."""
    run = CustomerScripts.run

    def decide(outcome):
        def run_there(scripts, path, stage, argument):
            there = stage == "after" and scripts.application is None
            return outcome if there else run(scripts, path, stage, argument)

        monkeypatch.setattr(CustomerScripts, "run", run_there)

    return decide


def test_an_after_script_that_fails_there_is_told_and_the_server_is_recovered(recover, after_there):
    after_there(Outcome(3, 0.0))
    state, words = told(recover(thaw_after_recovery=True))
    assert state == "yours"
    assert words.endswith(
        "the after script has failed here (exit code 3): the application may still be held; look at it"
    )


def test_an_after_script_that_takes_long_there_is_waited_for(backed_shop, recover, after_there, machine):
    after_there(Outcome(0, 50.0))
    run = recover(thaw_after_recovery=True)
    assert told(run)[0] == "done"
    assert any("NotYet: after has not ended" in str(event) for event in run.history)
    assert on_the_new_server(backed_shop, run).saved["after"]["succeeded"]


def test_a_server_that_refuses_the_verb_is_recovered_and_the_hand_over_says_what_is_not_known(
    backed_shop, recover, machine
):
    machine.wire.on("ssm:SendCommand", refused("InvalidDocument"))
    run = recover()
    state, words = told(run)
    assert state == "yours"
    assert words.startswith("it is not known how it ended (CommandRefused: SSM refuses recovered with ")
    assert "the session's own task ends it at the first boot, without a script" in words
    assert run.output["status"] == "Recovered"


def test_a_server_from_which_systems_manager_hears_nothing_is_not_asked(backed_shop, recover, machine):
    machine.wire.on("ssm:DescribeInstanceInformation", refused("InvalidInstanceId"))
    before = machine.wire.count("ssm:SendCommand")
    run = recover(agent="none")
    assert told(run)[1].startswith("it is not known how it ended (Systems Manager does not hear from the server): ")
    assert machine.wire.count("ssm:SendCommand") == before


def test_a_backup_that_froze_nothing_has_no_session_and_its_server_is_not_asked(backed, machine):
    before = machine.wire.count("ssm:SendCommand")
    run = backed.recover()
    assert told(run) == ("not needed", "the backup froze nothing, so its snapshots hold no open session")
    assert machine.wire.count("ssm:SendCommand") == before


def test_a_dry_run_says_what_is_asked_and_of_the_danger_beside_a_running_original(recover):
    quiet, loud = recover(mode="dry-run").output, recover(mode="dry-run", thaw_after_recovery=True).output
    assert any(step.endswith("ask how the backup's session ended there; no script runs.") for step in quiet["steps"])
    assert not any(note.startswith("danger") for note in quiet["notes"])
    assert any("the after script runs there with 1, if before had succeeded" in step for step in loud["steps"])
    [danger] = [note for note in loud["notes"] if note.startswith("danger")]
    assert "it may register the application a second time, take over an address or join a cluster" in danger
