"""Whole runs under faults, seeded: kind of fault, call and run, alone and in pairs; then what must hold is checked.

Each case is one whole run, with the sweep that its end starts, and a later run if anything was left. A case that fails
prints the command that runs it again. ``QUIESCE_FAULTS=<seed>`` runs another seed.
"""

import os
from collections import Counter

import pytest

from quiesce.aws.runs import ASKING_LEASE_S
from quiesce.backup.parameters import SESSION_LIMIT_S
from sandbox.aws.run_command import RunCommand
from sandbox.aws.snapshots import RULES
from sandbox.windows.system import Windows
from tests.statemachine import invariants
from tests.statemachine.faults import CALLS, KINDS, LOOK, LOOKS, POLICIES, World, cases
from tests.statemachine.invariants import Outcome
from tests.statemachine.observed import Observed
from tests.support.factories.policy import a_policy
from tests.support.machine import APPS, FUNCTIONS
from tests.support.project import template
from tests.support.wire import FunctionDied

SEED, NUMBER = int(os.environ.get("QUIESCE_FAULTS", "17")), 510
CASES = list(cases(SEED, NUMBER))
LEVELS = dict.fromkeys(POLICIES, "application") | {"plain": "crash"}
TIME_LIMITS = {step: template()["Resources"][name]["Properties"].get("Timeout", 60) for name, step in FUNCTIONS.items()}
# Lambda tries an event again twice, after one minute and after two.
SWEEP_TRIES = 3
# Longer than any wait of the server's own.
LONG_S = SESSION_LIMIT_S + 2 * 3600


def policy_of(name, instance_id):
    vss = {"create_limit_s": 60, "retries": 1, "retry_wait_s": 60} if name in ("vss", "both", "strict") else "off"
    defaults = {"scripts": {"from": "bucket"}} if name in ("scripts", "both", "strict") else {}
    defaults |= {"freeze_limit_s": invariants.FREEZE_LIMIT_S} if name != "plain" else {}
    defaults |= {"consistency": "application"} if name == "strict" else {}
    return a_policy(instance_id, name="orders", vss=vss, defaults=defaults)


class Stage:
    """One account, one server and one policy, on which a case is played."""

    def __init__(self, machine, cloud, clock, monkeypatch, policy):
        self.machine, self.cloud, self.clock = machine, cloud, clock
        monkeypatch.setattr(RULES, "duration_s", 10.0)
        self.shop = cloud.add_server("SHOP", application=True)
        self.observed = Observed(cloud, self.shop)
        self.observed.plug_in(monkeypatch)
        self.world = World(machine, clock, self.shop.windows, policy)
        self.runs, self.verb_of = [], {}
        self._limit_functions(monkeypatch)
        self._watch_server(monkeypatch)
        name = cloud.put_policy(policy_of(policy, self.shop.instance_id))
        self.request = {"policy": name, "instance_id": self.shop.instance_id}

    def _limit_functions(self, monkeypatch):
        """End a function that runs out of its time, as Lambda does."""
        call, clock = self.machine._call, self.clock

        def limited(step, event):
            clock.ends_s = clock.now_s + TIME_LIMITS[step]
            try:
                return call(step, event)
            finally:
                clock.ends_s = float("inf")

        monkeypatch.setattr(self.machine, "_call", limited)

    def _watch_server(self, monkeypatch):
        send, advance, windows, world = RunCommand._send, Windows.advance, self.shop.windows, self.world

        def watched_send(service, given, now_s):
            [verb] = given["Parameters"]["Verb"]
            self._happens(verb, "before")
            answer = send(service, given, now_s)
            self.verb_of[windows.agent.commands[-1].command_id] = verb
            return answer

        def watched_advance(now_s):
            while world.due and (soonest := min(world.due, key=lambda each: each[0]))[0] <= now_s:
                world.due.remove(soonest)
                advance(windows, soonest[0])
                soonest[1]()
            self._let_begin(advance, now_s)
            advance(windows, now_s)

        monkeypatch.setattr(RunCommand, "_send", watched_send)
        monkeypatch.setattr(windows, "advance", watched_advance)

    def _let_begin(self, advance, now_s):
        """Advance to where the last command begins, if something is to happen then."""
        for command in self.shop.windows.agent.commands[-1:]:
            verb = self.verb_of.get(command.command_id)
            if (verb, "during") in self.world.verbs and command.status == "Pending":
                advance(self.shop.windows, min(now_s, command.sent_s + self.shop.windows.agent.delay_s + 0.05))
                if command.status != "Pending":
                    self._happens(verb, "during")

    def _happens(self, verb, when):
        if action := self.world.verbs.pop((verb, when), None):
            self.world.fired.append(f"{verb} {when}")
            action()

    def play(self, case):
        for name, place in case.faults:
            KINDS[name].order(self.world, place, case.chance)
        self.cloud.put_scripts("orders", **self.world.texts)
        self.start("first")
        self.clear_up()
        if self.world.pause_s:
            self.pass_time(self.world.pause_s)
        if self.left_over():
            self.pass_time(LONG_S if list(invariants.left_on_the_server(self.observed)) else ASKING_LEASE_S)
            self.cloud.put_scripts("orders")
            self.start("later")
            self.pass_time(900)

    def start(self, name):
        run = self.machine.start(self.request, name)
        self.runs.append(run)
        self.machine.stop_in("")
        self.clock._actions.clear()
        if run.status != "SUCCEEDED" and self.world.swept:
            self.sweep(run)
        self.pass_time(600)

    def sweep(self, run):
        for attempt in range(SWEEP_TRIES):
            self.clock.now_s += 60.0 * attempt
            self.clock.ends_s = self.clock.now_s + TIME_LIMITS["sweep"]
            try:
                self.machine.sweep(run)
            except (FunctionDied, Exception) as error:  # noqa: BLE001 - Lambda tries again, whatever it was
                self.world.fired.append(f"sweep: {error!r}")
            else:
                return
            finally:
                self.clock.ends_s = float("inf")
        # All tries are used up: as if the event had not come.
        self.world.swept = False

    def clear_up(self):
        """End every fault."""
        self.machine.wire.forget()
        self.machine._orders.clear()
        self.machine._before.clear()
        self.world.verbs.clear()
        self.machine.surprises.clear()
        RULES.hidden_lookups = 0
        self.shop.windows.guest.vss.create_fails = None

    def pass_time(self, seconds):
        self.clock.now_s += seconds
        self.cloud.servers.advance()

    def left_over(self):
        recorded = len(self.cloud.records()) == len(self.runs)
        return (
            self.cloud.lease(self.shop.instance_id)
            or not recorded
            or list(invariants.left_on_the_server(self.observed))
        )

    def outcomes(self):
        records, items = self.cloud.records(), self.cloud.items()
        for run in self.runs:
            record = records.get(f"records/{self.shop.instance_id}/{run.name}.json")
            item = items.get((self.shop.instance_id, f"run#{run.name}"))
            yield Outcome(self.cloud, self.observed, self.world, run, record, item)

    def problems(self):
        yield from invariants.held_too_long(self.world, self.observed)
        yield from invariants.ran_twice(self.world, self.observed)
        yield from invariants.left_on_the_server(self.observed)
        outcomes = list(self.outcomes())
        yield from invariants.unnamed_images(self.cloud, outcomes)
        for outcome in outcomes:
            yield from (f"{outcome.run_id}: {problem}" for problem in invariants.of_run(outcome))
        if lease := self.cloud.lease(self.shop.instance_id):
            yield f"the lease is left: {lease}"
        if self.runs[-1].name == "later":
            output = self.runs[-1].output or {}
            ended = (output.get("status"), output.get("consistency", {}).get("level"))
            if ended != ("Successful", LEVELS[self.world.policy]):
                yield f"a later run without a fault ended as {ended}: {self.runs[-1].cause or output.get('reason')}"


@pytest.fixture
def stage(machine, cloud, clock, monkeypatch):
    return lambda policy: Stage(machine, cloud, clock, monkeypatch, policy)


@pytest.mark.grid
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_run_under_faults_is_never_told_better_or_worse_than_it_is_and_leaves_nothing(case, stage, request):
    played = stage(case.policy)
    played.play(case)
    again = f"QUIESCE_FAULTS={SEED} python -m pytest '{request.node.nodeid}'"
    told = [
        f"{o.run.name}: {o.run.status} {o.run.error} {o.run.states} {o.record and o.record['status']}"
        for o in played.outcomes()
    ]
    problems = list(played.problems())
    assert not problems, "\n".join(["", *problems, *told, f"fired: {played.world.fired}", f"again: {again}"])
    assert len(case.faults) > 1 or played.world.fired, f"nothing met the fault; again: {again}"


@pytest.mark.parametrize("policy", POLICIES)
def test_the_calls_of_a_good_run_are_those_that_the_faults_meet(policy, stage):
    played = stage(policy)
    played.cloud.put_scripts("orders")
    played.start("first")
    assert list(played.problems()) == []
    sent = played.machine.wire.sent
    counted = Counter(sent)
    looks = [sent[: n + 1].count(LOOK) for n, call in enumerate(sent) if call == LOOK and sent[n - 1] != LOOK]
    assert policy == "plain" or looks == list(LOOKS)
    counted.pop(LOOK, None)
    assert dict(counted) == CALLS[policy]


def test_the_cases_are_as_many_and_as_various_as_they_have_to_be():
    assert len(CASES) >= 500
    assert {name for case in CASES for name, _ in case.faults} == KINDS.keys()
    assert {case.policy for case in CASES} == set(POLICIES)
    assert sum(len(case.faults) == 2 for case in CASES) >= 200
    assert set(APPS) >= {"sweep", "report"}
