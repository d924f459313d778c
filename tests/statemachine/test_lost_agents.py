"""An agent that is lost before, during or after a verb, for good or for a while; other faults of a server meanwhile.

Whatever happens: before runs at most once, after exactly once if before ran, with before's true status, and complete
gets 1 only if all earlier steps are known to have succeeded.
"""

import pytest

from quiesce.backup.parameters import SESSION_LIMIT_S
from sandbox.aws.run_command import RunCommand
from sandbox.windows.system import Windows
from tests.statemachine.truth import record_of
from tests.support.factories.policy import a_policy

FREEZE_LIMIT_S = 120
SEND, ADVANCE = RunCommand._send, Windows.advance
SLOW = "# sandbox: run 20 s\n"
# Each verb, and how many SendCommand were sent up to it.
VERBS = {"inventory": 1, "stage": 2, "freeze": 3, "thaw": 4, "complete": 5, "collect": 6}
SCRIPT = {"freeze": "before", "thaw": "after", "complete": "complete"}


class Loss:
    """When a server's agent loses its network, before a verb is sent or while it runs, and for how long."""

    def __init__(self, windows, clock):
        self.windows, self.clock = windows, clock
        self.verb, self.when, self.seconds = "", "", 0.0
        self.command, self.back_s = None, None

    def order(self, verb, when, seconds):
        self.verb, self.when, self.seconds = verb, when, seconds

    def happen(self):
        if self.back_s is None:
            self.windows.agent.connected = False
            self.back_s = self.clock.now_s + self.seconds

    def send(self, service, given, now_s):
        asked = given["Parameters"]["Verb"] == [self.verb]
        if asked and self.when == "before":
            self.happen()
        answer = SEND(service, given, now_s)
        if asked and self.when == "during":
            self.command = self.windows.agent.commands[-1]
        return answer

    def advance(self, now_s):
        if self.command and self.command.status == "In Progress":
            self.happen()
        if self.back_s is not None and self.clock.now_s >= self.back_s:
            self.windows.agent.connected = True
        ADVANCE(self.windows, now_s)


@pytest.fixture
def loss(cloud, shop, clock, monkeypatch):
    loss = Loss(shop.windows, clock)

    def send(service, given, now_s):
        return loss.send(service, given, now_s)

    monkeypatch.setattr(RunCommand, "_send", send)
    monkeypatch.setattr(shop.windows, "advance", loss.advance)
    return loss


def pass_time(machine, cloud, seconds):
    machine.clock.now_s += seconds
    cloud.servers.advance()


def assert_true(cloud, run, shop):
    """Check what must hold after every run, and return the record."""
    record = record_of(cloud, run, shop.instance_id)
    asked = shop.application.asked
    assert asked.count("before") <= 1
    assert [a for a in asked if a.startswith("after")] == (["after 1"] if "before" in asked else [])
    assert not shop.application.held
    completes = [a for a in asked if a.startswith("complete")]
    assert len(completes) == (1 if asked else 0)
    if record["status"] != "Successful":
        assert "complete 1" not in completes
    if record["consistency"]["level"] == "application":
        assert record["session"]["before"]["succeeded"]
        assert not record["session"]["auto_thawed"]
    assert cloud.lease(shop.instance_id) is None
    assert cloud.snapshot_sets() <= 1
    return record


@pytest.mark.parametrize("when", ["before", "during"])
@pytest.mark.parametrize("verb", VERBS)
def test_an_agent_lost_for_a_while_costs_at_most_the_consistency(
    verb, when, machine, cloud, shop, loss, frozen_request
):
    cloud.put_scripts("orders", **{SCRIPT[verb]: SLOW} if verb in SCRIPT else {})
    loss.order(verb, when, 45)
    run = machine.start(frozen_request)
    # A verb that the guest answers at once ends before the agent can be lost in it.
    at_once = when == "during" and verb in ("inventory", "stage", "collect")
    assert (loss.back_s is None) == at_once
    pass_time(machine, cloud, SESSION_LIMIT_S)
    record = assert_true(cloud, run, shop)
    assert (run.status, record["status"]) == ("SUCCEEDED", "Successful"), record["reason"]


@pytest.mark.parametrize(
    ("verb", "when", "status", "level", "words"),
    [
        ("inventory", "before", "PartiallySuccessful", "crash", "no answer to inventory"),
        ("stage", "before", "PartiallySuccessful", "crash", "no answer to stage"),
        ("freeze", "before", "PartiallySuccessful", "crash", "no answer to freeze"),
        ("freeze", "during", "PartiallySuccessful", "crash", "no answer to freeze"),
        ("thaw", "before", "PartiallySuccessful", "crash", "Thaw got no answer"),
        ("thaw", "during", "PartiallySuccessful", "crash", "Thaw got no answer"),
        ("complete", "before", "PartiallySuccessful", "application", "whether the complete script ran"),
        ("complete", "during", "PartiallySuccessful", "application", "whether the complete script ran"),
        ("collect", "before", "Successful", "application", ""),
    ],
)
def test_an_agent_lost_for_good_is_told_in_words_and_the_server_ends_its_session_by_itself(
    verb, when, status, level, words, *, machine, cloud, shop, loss, frozen_request
):
    cloud.put_scripts("orders", **{SCRIPT[verb]: SLOW} if verb in SCRIPT else {})
    loss.order(verb, when, 10 * SESSION_LIMIT_S)
    run = machine.start(frozen_request)
    assert loss.back_s is not None
    record = record_of(cloud, run, shop.instance_id)
    assert (record["status"], record["consistency"]["level"]) == (status, level), record["reason"]
    assert words in record["reason"]
    pass_time(machine, cloud, FREEZE_LIMIT_S + 60)
    assert not shop.application.held
    pass_time(machine, cloud, SESSION_LIMIT_S)
    asked = shop.application.asked
    assert [a for a in asked if a.startswith("after")] == (["after 1"] if "before" in asked else [])
    assert len([a for a in asked if a.startswith("complete")]) == (1 if asked else 0)


@pytest.fixture
def dying(shop, monkeypatch):
    """Let the agent's worker die in a verb: before it has begun or once it is begun; once or always."""

    def order(verb, when, *, always=False):
        died = []

        def send(service, given, now_s):
            answer = SEND(service, given, now_s)
            command = shop.windows.agent.commands[-1]
            if given["Parameters"]["Verb"] == [verb] and (always or not died):
                died.append(command)
                if when == "before":
                    command.status = "In Progress"
                    shop.windows.agent.lose_worker(command)
            return answer

        def advance(now_s):
            ADVANCE(shop.windows, now_s)
            for command in died:
                if when == "during" and command.started_s:
                    shop.windows.agent.lose_worker(command)

        monkeypatch.setattr(RunCommand, "_send", send)
        monkeypatch.setattr(shop.windows, "advance", advance)
        return died

    return order


@pytest.mark.parametrize("when", ["before", "during"])
@pytest.mark.parametrize("verb", VERBS)
def test_a_worker_that_dies_once_costs_nothing(verb, when, machine, cloud, shop, dying, frozen_request):
    cloud.put_scripts("orders", **{SCRIPT[verb]: SLOW} if verb in SCRIPT else {})
    died = dying(verb, when)
    run = machine.start(frozen_request)
    assert died
    record = assert_true(cloud, run, shop)
    assert (run.status, record["status"]) == ("SUCCEEDED", "Successful"), record["reason"]
    assert record["consistency"]["level"] == "application"


@pytest.mark.parametrize("when", ["before", "during"])
def test_snapshots_come_before_the_thaw_where_freeze_stays_without_an_answer(
    when, machine, cloud, shop, dying, frozen_request
):
    cloud.put_scripts("orders", before=SLOW)
    dying("freeze", when, always=True)
    run = machine.start(frozen_request)
    pass_time(machine, cloud, SESSION_LIMIT_S)
    record = record_of(cloud, run, shop.instance_id)
    # A thaw of what never froze runs after, too: with 0.
    held = ["before", "after 1"] if when == "during" else ["after 0"]
    assert shop.application.asked == [*held, "complete 0"]
    assert (record["status"], record["consistency"]["level"]) == ("PartiallySuccessful", "crash")
    assert record["consistency"]["reason"].startswith("it is not known whether the application was held")
    assert run.states.index("Snapshot") < run.states.index("Thaw")


def test_no_snapshots_are_taken_where_freeze_stays_without_an_answer_and_the_policy_wants_application_consistency(
    machine, cloud, shop, dying, frozen_request
):
    cloud.put_scripts("orders", before=SLOW)
    dying("freeze", "during", always=True)
    policy = a_policy(
        shop.instance_id,
        name="orders",
        defaults={"scripts": {"from": "bucket"}, "freeze_limit_s": 120, "consistency": "application"},
    )
    run = machine.start({**frozen_request, "policy": cloud.put_policy(policy)})
    pass_time(machine, cloud, SESSION_LIMIT_S)
    record = assert_true(cloud, run, shop)
    assert (record["status"], record["failure"]["error"]) == ("Failed", "AgentUnreachable")
    assert cloud.snapshot_sets() == 0
    assert "Thaw" in run.states


@pytest.mark.parametrize("verb", SCRIPT)
def test_an_agent_that_is_restarted_in_a_verb_runs_it_again_and_the_server_does_it_once(
    verb, machine, cloud, shop, frozen_request, monkeypatch
):
    cloud.put_scripts("orders", **{SCRIPT[verb]: SLOW})
    restarted, advance = [], shop.windows.advance

    def advance_and_restart(now_s):
        advance(now_s)
        agent = shop.windows.agent
        if not restarted and len(agent.commands) == VERBS[verb] and agent.commands[-1].status == "In Progress":
            restarted.append(now_s)
            agent.restart(now_s)

    monkeypatch.setattr(shop.windows, "advance", advance_and_restart)
    run = machine.start(frozen_request)
    assert len(restarted) == 1
    record = assert_true(cloud, run, shop)
    assert (record["status"], record["consistency"]["level"]) == ("Successful", "application")


@pytest.mark.parametrize("step", ["snapshot", "thaw", "await_snapshots", "complete"])
def test_a_server_that_reboots_meanwhile_is_never_called_better_than_it_is(step, machine, cloud, shop, frozen_request):
    machine.before(step, lambda: shop.windows.reboot(down_s=40))
    run = machine.start(frozen_request)
    pass_time(machine, cloud, SESSION_LIMIT_S)
    record = assert_true(cloud, run, shop)
    assert (run.status, record["status"]) != ("SUCCEEDED", "Failed")
    if step in ("snapshot", "thaw"):
        assert record["status"] == "PartiallySuccessful", record["reason"]


@pytest.mark.parametrize("dead", ["Freeze", "Thaw", "Complete"])
def test_a_session_whose_runner_was_killed_is_ended_by_who_asks_next(dead, machine, cloud, shop, frozen_request):
    def kill():
        for session in shop.windows.guest.sessions():
            session.runner = session.process = None

    machine.before({"Freeze": "snapshot", "Thaw": "await_snapshots", "Complete": "report"}[dead], kill)
    run = machine.start(frozen_request)
    pass_time(machine, cloud, SESSION_LIMIT_S)
    record = assert_true(cloud, run, shop)
    # A killed runner may mean a restarted server: it is not known whether the application stayed frozen.
    lost = "the session lost its runner before the thaw"
    assert (lost in record["reason"]) == (dead == "Freeze")
    assert record["consistency"]["level"] == ("crash" if dead == "Freeze" else "application")


def test_two_runs_that_want_one_server_at_once_do_it_one_after_the_other(machine, cloud, shop, frozen_request, clock):
    second = []
    clock.at_next_wait(lambda: second.append(machine.start(frozen_request, "second")))
    first = machine.start(frozen_request, "first")
    assert (first.status, second[0].status, second[0].error) == ("SUCCEEDED", "FAILED", "ServerBusy")
    assert "run first" in second[0].cause
    assert first.output["status"] == "Successful"
    assert shop.application.asked == ["before", "after 1", "complete 1"]


def test_a_server_whose_earlier_session_is_still_open_is_backed_up_as_after_a_power_failure_and_says_so(
    machine, cloud, shop, frozen_request
):
    """The lease has ended but not the session: the execution was stopped, and no sweep followed."""
    machine.stop_in("WaitForSnapshots")
    machine.start(frozen_request, "stopped")
    machine.stop_in("")
    pass_time(machine, cloud, 3 * 3600)
    run = machine.start(frozen_request, "next")
    record = record_of(cloud, run, shop.instance_id)
    assert (record["status"], record["consistency"]["level"]) == ("PartiallySuccessful", "crash")
    assert "SessionOpen: stopped attempt 1 is thawed" in record["reason"]
    assert shop.application.asked == ["before", "after 1"]
    pass_time(machine, cloud, SESSION_LIMIT_S)
    assert machine.start(frozen_request, "later").output["status"] == "Successful"
    assert shop.application.asked == ["before", "after 1", "complete 0", "before", "after 1", "complete 1"]


def test_an_old_session_without_an_end_is_ended_by_the_next_run_and_told(machine, cloud, shop, frozen_request):
    """Its execution was stopped, no sweep followed, and its tasks were deleted: it would stay open for ever."""
    machine.stop_in("WaitForSnapshots")
    machine.start(frozen_request, "stopped")
    machine.stop_in("")
    [old] = shop.windows.guest.sessions()
    old.runner, old.tasks = None, set()
    pass_time(machine, cloud, SESSION_LIMIT_S + 3700)
    assert old.phase == "thawed"
    mails = len(cloud.mails())
    record = machine.start(frozen_request, "next").output
    assert (record["status"], record["consistency"]["level"]) == ("Successful", "application")
    assert record["overdue_sessions"] == ["run stopped, attempt 1"]
    assert "the server has ended the session of run stopped, attempt 1" in " ".join(record["notes"])
    [(subject, text)] = cloud.mails()[mails:]
    assert subject.startswith("An old session was open: ")
    assert "Note:        the session of run stopped, attempt 1 was still open on the server" in text
    assert shop.application.asked == ["before", "after 1", "complete 0", "before", "after 1", "complete 1"]
    assert machine.start(frozen_request, "later").output["overdue_sessions"] == []
    assert len(cloud.mails()) == mails + 1


def test_a_run_that_was_killed_and_is_started_again_is_told_of_the_first(machine, cloud, shop, frozen_request):
    scheduled = {**frozen_request, "scheduled_time": "2026-11-24T01:30:00Z"}
    machine.stop_in("Thaw")
    first = machine.start(scheduled)
    machine.stop_in("")
    again = machine.start(scheduled)
    assert (again.status, again.error, again.states[-1]) == ("FAILED", "RunAlreadyStarted", "AlreadyStarted")
    assert first.arn in again.cause
    machine.sweep(again)
    assert cloud.records() == {}
    machine.sweep(first)
    assert [r["failure"]["error"] for r in cloud.records().values()] == ["ExecutionStopped"]
    assert shop.application.asked == ["before", "after 1", "complete 0"]
