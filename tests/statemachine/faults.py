"""Kinds of faults, and where in a run each may happen: at a call, in a function, in a state, a verb or a script.

Each kind is a function that orders the fault in a world; its places are known without a run.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from sandbox.aws.snapshots import RULES, Fate
from sandbox.windows.system import Windows
from tests.support.clock import Clock
from tests.support.machine import Machine
from tests.support.wire import (
    Effect,
    Fault,
    FunctionDied,
    answer_garbled,
    answer_lost,
    connection_closed,
    refused,
    unreachable,
)

DAY_S = 86400.0
# How long boto3 waits: for a connection, and for an answer (quiesce.aws.clients).
CONNECT_S, HASTY_READ_S, READ_S = 3.0, 5.0, 20.0
# The requests of a good run by policy; a test compares them with one. Of SSM's looks only the first of each verb.
COMMON = {
    "s3:GetObject": 1,
    "dynamodb:TransactWriteItems": 2,
    "dynamodb:UpdateItem": 3,
    "ec2:DescribeInstances": 2,
    "ec2:DescribeVolumes": 1,
    "ec2:DescribeSnapshots": 2,
    "ec2:DescribeImages": 1,
    "ec2:CreateImage": 1,
    "ec2:CreateTags": 3,
    "s3:PutObject": 1,
}
PLAIN = COMMON | {"ec2:CreateSnapshots": 1, "dynamodb:GetItem": 1}
ASKED = COMMON | {
    "s3:GetObject": 2,
    "ec2:CreateSnapshots": 2,
    "ssm:DescribeInstanceInformation": 1,
    "ssm:DescribeDocument": 2,
    "ssm:SendCommand": 6,
    "dynamodb:TransactWriteItems": 3,
    "dynamodb:GetItem": 2,
    "lambda:Invoke": 2,
}
SCRIPTED = {"s3:ListObjectsV2": 1, "s3:GetObject": 5}
SHADOWED = {"dynamodb:GetItem": 3, "ec2:DescribeSnapshots": 3, "ebs:ListSnapshotBlocks": 3}
CALLS = {
    "plain": PLAIN,
    "scripts": ASKED | SCRIPTED | {"s3:PutObject": 8},
    "vss": ASKED | SHADOWED | {"ebs:GetSnapshotBlock": 21, "s3:PutObject": 10, "s3:ListObjectsV2": 1},
    "both": ASKED | SCRIPTED | SHADOWED | {"ebs:GetSnapshotBlock": 20, "s3:PutObject": 13},
}
CALLS["strict"] = CALLS["both"]
POLICIES = tuple(CALLS)
SHADOWING = ("vss", "both", "strict")
LOOK, LOOKS = "ssm:GetCommandInvocation", (1, 3, 5, 7, 9, 11)
FUNCTIONS = ("plan", "snapshot", "thaw", "await_snapshots", "make_image", "report")
VERBS = ("inventory", "stage", "freeze", "thaw", "complete", "collect")
STATES = (
    *("Plan", "Freezes?", "Snapshot", "Thaw", "AwaitSnapshots", "Awaited?", "WaitForSnapshots", "MakeImage", "Report"),
    "Failed?",
)
STAGES = ("before", "after", "complete")
DENIALS = {"ec2": "UnauthorizedOperation", "s3": "AccessDenied", "sns": "AuthorizationError"}
THROTTLES = {"ec2": "RequestLimitExceeded", "s3": "SlowDown", "sns": "Throttled", "dynamodb": "ThrottlingException"}


@dataclass
class World:
    """A run's surroundings, in which faults are ordered."""

    machine: Machine
    clock: Clock
    windows: Windows
    policy: str
    fired: list[str] = field(default_factory=list)
    due: list[tuple[float, Callable[[], object]]] = field(default_factory=list)
    """What happens on the server's clock, at which time."""
    verbs: dict[tuple[str, str], Callable[[], object]] = field(default_factory=dict)
    """What happens as a verb is sent (``before``), or as soon as it runs (``during``)."""
    texts: dict[str, str] = field(default_factory=dict)
    """The customer's scripts."""
    swept: bool = True
    """Whether EventBridge delivers the event of the execution's end."""
    asleep_s: float = 0.0
    """How much later than its own deadline the server may thaw: it was switched off, or its runner was dead."""
    disk_was_full: bool = False
    pause_s: float = 0.0
    """How long after the run nobody looks."""

    def fire(self, fault: Fault, seconds: float = 0.0) -> Fault:
        """Return a fault that takes time and is noted once it happens."""

        def noted(request: Any, effect: Effect) -> Any:
            self.fired.append(request.url)
            try:
                return fault(request, effect)
            finally:
                self.clock.spend(seconds)

        return noted

    def before(self, step: str, action: Callable[[], object]) -> None:
        """Order an action before the next call of a function, beside those that are ordered already."""
        earlier = self.machine._before.get(step, lambda: None)

        def both() -> None:
            earlier()
            self.fired.append(step)
            action()

        self.machine.before(step, both)

    def later(self, seconds: float, action: Callable[[], object]) -> None:
        """Order what happens on the server after some time."""
        self.due.append((self.clock.now_s + seconds, action))


Order = Callable[[World, Any, Random], None]
Places = Callable[[str], list[Any]]


@dataclass(frozen=True)
class Kind:
    """A kind of fault, and its places in a run by policy."""

    name: str
    order: Order
    places: Places


KINDS: dict[str, Kind] = {}


def kind(places: Places) -> Callable[[Order], Order]:
    def add(order: Order) -> Order:
        name = order.__name__
        KINDS[name] = Kind(name, order, places)
        return order

    return add


def calls(policy: str) -> list[tuple[str, int]]:
    numbered = [(call, nth) for call, times in CALLS[policy].items() for nth in range(1, times + 1)]
    return [*numbered, *((LOOK, nth) for nth in LOOKS)] if policy != "plain" else numbered


def calls_of(*services: str) -> Places:
    return lambda policy: [call for call in calls(policy) if call[0].partition(":")[0] in services]


def asking(places: tuple[str, ...]) -> Places:
    return lambda policy: list(places) if policy != "plain" else []


def everywhere(places: tuple[Any, ...]) -> Places:
    return lambda _policy: list(places)


def with_scripts(places: tuple[str, ...]) -> Places:
    return lambda policy: list(places) if policy in ("scripts", "both", "strict") else []


def with_vss(places: tuple[str, ...]) -> Places:
    return lambda policy: list(places) if policy in SHADOWING else []


def functions(policy: str) -> list[str]:
    asked, verified = policy != "plain", policy in SHADOWING
    return [*FUNCTIONS, *(("freeze", "complete") if asked else ()), *(("verify",) if verified else ())]


def states(policy: str) -> list[str]:
    asked, verified = policy != "plain", policy in SHADOWING
    return [
        *STATES,
        *(("Freeze", "Frozen?", "Complete") if asked else ()),
        *(("Verify", "Reverts?") if verified else ()),
    ]


def read_s(call: str) -> float:
    return HASTY_READ_S if call.startswith("ssm:") else READ_S


# ---- a request


@kind(calls)
def lost(world: World, place: tuple[str, int], _chance: Random) -> None:
    world.machine.wire.on(place[0], world.fire(answer_lost, read_s(place[0])), nth=place[1])


@kind(calls)
def lost_again_and_again(world: World, place: tuple[str, int], chance: Random) -> None:
    world.machine.wire.on(
        place[0], world.fire(answer_lost, read_s(place[0])), nth=place[1], times=chance.choice([2, 4, 9])
    )


@kind(calls)
def closed(world: World, place: tuple[str, int], _chance: Random) -> None:
    world.machine.wire.on(place[0], world.fire(connection_closed), nth=place[1])


@kind(calls)
def not_connected(world: World, place: tuple[str, int], chance: Random) -> None:
    world.machine.wire.on(place[0], world.fire(unreachable, CONNECT_S), nth=place[1], times=chance.choice([1, 1, 4]))


# The bucket's policy is the customer's text, and not an answer's form.
@kind(lambda policy: [call for call in calls(policy) if call != ("s3:GetObject", 1)])
def garbled(world: World, place: tuple[str, int], _chance: Random) -> None:
    world.machine.wire.on(place[0], world.fire(answer_garbled), nth=place[1])


@kind(calls)
def died_before(world: World, place: tuple[str, int], _chance: Random) -> None:
    def die(_request: Any, _effect: Effect) -> Any:
        raise FunctionDied

    world.machine.wire.on(place[0], world.fire(die), nth=place[1])


@kind(calls)
def died_after(world: World, place: tuple[str, int], _chance: Random) -> None:
    def die(_request: Any, effect: Effect) -> Any:
        effect()
        raise FunctionDied

    world.machine.wire.on(place[0], world.fire(die), nth=place[1])


@kind(calls)
def denied(world: World, place: tuple[str, int], _chance: Random) -> None:
    code = DENIALS.get(place[0].partition(":")[0], "AccessDeniedException")
    world.machine.wire.on(place[0], world.fire(refused(code, 403)), nth=place[1])


@kind(calls)
def throttled(world: World, place: tuple[str, int], chance: Random) -> None:
    code = THROTTLES.get(place[0].partition(":")[0], "ThrottlingException")
    world.machine.wire.on(place[0], world.fire(refused(code, 400)), nth=place[1], times=chance.choice([1, 1, 5]))


@kind(calls)
def throttled_by_an_unknown_word(world: World, place: tuple[str, int], chance: Random) -> None:
    code, status = chance.choice([("BandwidthLimitExceeded", 400), ("SlowerPlease", 429), ("SlowerPlease", 503)])
    world.machine.wire.on(place[0], world.fire(refused(code, status)), nth=place[1])


@kind(calls)
def broken(world: World, place: tuple[str, int], chance: Random) -> None:
    world.machine.wire.on(
        place[0], world.fire(refused("InternalError", 500)), nth=place[1], times=chance.choice([1, 1, 6])
    )


@kind(calls)
def down(world: World, place: tuple[str, int], chance: Random) -> None:
    """The service is down from this request on, for longer than one try, a state's retries, or all of the run."""
    service, seconds = place[0].partition(":")[0], chance.choice([25.0, 130.0, 900.0, 7200.0, 2 * DAY_S])
    gone = world.fire(unreachable, CONNECT_S)

    def begin(request: Any, effect: Effect) -> Any:
        until_s = world.clock.now_s + seconds

        def still_down(request: Any, effect: Effect) -> Any:
            if world.clock.now_s < until_s:
                return gone(request, effect)
            world.machine.wire.down.pop(service, None)
            return effect()

        world.machine.wire.down[service] = still_down
        return still_down(request, effect)

    world.machine.wire.on(place[0], begin, nth=place[1])


# ---- EC2's and EBS's own refusals


def the_set(world: World) -> int:
    """Return which CreateSnapshots makes the set: Plan tries it by DryRun if the server is to freeze."""
    return CALLS[world.policy]["ec2:CreateSnapshots"]


@kind(everywhere(("ConcurrentSnapshotLimitExceeded", "SnapshotLimitExceeded", "SnapshotCreationPerVolumeRateExceeded")))
def refused_by_ec2(world: World, place: str, chance: Random) -> None:
    world.machine.wire.on(
        "ec2:CreateSnapshots", world.fire(refused(place)), nth=the_set(world), times=chance.choice([1, 1, 6])
    )


@kind(everywhere(("C:", "D:", "E:")))
def snapshot_fails(world: World, place: str, chance: Random) -> None:
    server = world.machine.cloud.servers.servers[world.windows.guest.instance_id]
    RULES.order(server.volumes[place], chance.choice([Fate.ERRS, Fate.VANISHES]))
    world.fired.append(place)


@kind(everywhere((1, 4, 9)))
def listed_late(world: World, place: int, chance: Random) -> None:
    """EC2 lists the set late, and the answer that would have named it is lost."""
    world.before("snapshot", lambda: setattr(RULES, "hidden_lookups", place))
    lose = chance.choice([answer_lost, connection_closed])
    world.machine.wire.on("ec2:CreateSnapshots", world.fire(lose, READ_S), nth=the_set(world))


# ---- functions and executions


@kind(functions)
def not_called(world: World, place: str, chance: Random) -> None:
    """Step Functions cannot call a function, or loses its answer, once or more often than it tries again."""
    busy, died = ["Lambda.ServiceException", "Lambda.TooManyRequestsException"], ["Sandbox.Timedout", "Lambda.Unknown"]
    names = [*busy, *died, "Runtime.ExitError"]
    times, after = chance.choice([1, 1, 12]), chance.random() < 0.5
    world.machine.lambda_fails(place, *[chance.choice(names)] * times, after_the_call=after)
    world.fired.append(place)


@kind(states)
def stopped(world: World, place: str, chance: Random) -> None:
    world.machine.stop_in(place)
    world.swept = chance.random() < 0.75
    world.fired.append(place)


@kind(everywhere((1, 2, 3)))
def stopped_while_it_waits(world: World, place: int, chance: Random) -> None:
    world.clock.at_next_wait(*[lambda: None] * (place - 1), world.machine.stop)
    world.swept = chance.random() < 0.75
    world.fired.append("wait")


@kind(asking(("Freeze", "Snapshot", "Thaw", "WaitForSnapshots", "Complete")))
def abandoned(world: World, place: str, chance: Random) -> None:
    """The execution is stopped, no event arrives, and the server is out of reach for weeks."""
    world.machine.stop_in(place)
    world.swept, world.pause_s = False, chance.choice([8, 15]) * DAY_S
    step = {"WaitForSnapshots": "await_snapshots"}.get(place, place.lower())

    def out_of_reach() -> None:
        world.windows.agent.connected = False
        world.later(world.pause_s - 3600, lambda: setattr(world.windows.agent, "connected", True))

    world.before(step, out_of_reach)


@kind(asking(("freeze", "snapshot", "thaw", "await_snapshots", "complete")))
def switched_off(world: World, place: str, chance: Random) -> None:
    """The server loses its power for a minute, an hour or weeks."""
    seconds = chance.choice([60.0, 3600.0, 15 * DAY_S])
    world.asleep_s, world.pause_s = seconds, seconds

    world.before(place, lambda: world.windows.reboot(seconds))


# ---- the agent


@kind(asking(VERBS))
def agent_lost(world: World, place: str, chance: Random) -> None:
    seconds, when = chance.choice([45.0, 400.0, 3 * 3600.0, 15 * DAY_S]), chance.choice(["before", "during"])
    world.pause_s = seconds if seconds > DAY_S else 0.0

    def lose() -> None:
        world.windows.agent.connected = False
        world.later(seconds, lambda: setattr(world.windows.agent, "connected", True))

    world.verbs[place, when] = lose


@kind(asking(VERBS))
def worker_died(world: World, place: str, chance: Random) -> None:
    """SSM's own Failed: the agent's worker died, or was not allowed to start; once, or each time."""
    always = chance.random() < 0.4

    def die() -> None:
        command = world.windows.agent.commands[-1]
        if always:
            world.verbs[place, "during"] = die
        world.windows.agent.lose_worker(command)

    world.verbs[place, "during"] = die


@kind(asking(VERBS))
def ended_by_ssm(world: World, place: str, chance: Random) -> None:
    word = chance.choice(["Cancelled", "Undeliverable", "Terminated", "Delivery Timed Out", "Execution Timed Out"])

    def end() -> None:
        command = world.windows.agent.commands[-1]
        command.process, command.unreported, command.in_progress = None, None, False
        command.status, command.ended_s = word, world.clock.now_s

    world.verbs[place, "during"] = end


@kind(asking(VERBS))
def agent_restarted(world: World, place: str, _chance: Random) -> None:
    world.verbs[place, "during"] = lambda: world.windows.agent.restart(world.clock.now_s)


# ---- the server


@kind(asking(("snapshot", "thaw", "await_snapshots", "complete", "report")))
def runner_killed(world: World, place: str, _chance: Random) -> None:
    """The session runner's process is killed; the watchdog or the next verb takes over."""

    def kill() -> None:
        for session in world.windows.guest.sessions():
            session.runner = session.process = None

    # The watchdog starts when the session is as old as its limits allow, and half a minute more.
    world.asleep_s = 60.0 + 60.0 + 30.0
    world.before(place, kill)


# What the guest answers if the disk is full when its session begins, nobody has recorded.
@kind(asking(("snapshot", "thaw", "complete")))
def disk_full(world: World, place: str, chance: Random) -> None:
    def fill() -> None:
        world.windows.guest.disk_full = True
        world.later(chance.choice([5.0, 90.0, 4000.0]), lambda: setattr(world.windows.guest, "disk_full", False))

    world.disk_was_full = True
    world.before(place, fill)


@kind(with_vss(("snapshot", "thaw", "await_snapshots", "complete")))
def diskshadow_killed(world: World, place: str, _chance: Random) -> None:
    def kill() -> None:
        for session in world.windows.guest.sessions():
            if session.shadow and session.shadow.process:
                session.shadow.process.kill(world.windows.now_s)

    world.before(place, kill)


@kind(with_vss(("80042314 VSS_E_HOLD_WRITES_TIMEOUT", "80042316 VSS_E_SNAPSHOT_SET_IN_PROGRESS", "80070422 DISABLED")))
def vss_fails(world: World, place: str, chance: Random) -> None:
    vss, once = world.windows.guest.vss, chance.random() < 0.5

    def heal() -> None:
        vss.create_fails = None

    code, symbol = place.split()
    vss.create_fails = (code, symbol)
    world.fired.append(place)
    if once:
        world.machine.before("freeze", lambda: world.machine.before("freeze", heal))
    world.before("report", heal)


@kind(with_scripts(STAGES))
def script_fails(world: World, place: str, chance: Random) -> None:
    world.texts[place] = f"# sandbox: {chance.choice(['exit 3', 'hang', 'run 20 s', 'run 55 s'])}\n"
    world.fired.append(place)


@kind(with_scripts(("snapshot", "thaw", "await_snapshots", "report")))
def started_twice(world: World, place: str, _chance: Random) -> None:
    """Lambda or Step Functions runs a function twice with the same event, at the same time."""
    machine, once = world.machine, []

    def again(event: Any) -> None:
        if not once:
            once.append(event)
            world.fired.append(place)
            try:
                call(place, event)
            except Exception as error:  # noqa: BLE001 - nobody hears of the second's end
                world.fired.append(type(error).__name__)

    call = machine._call

    def doubled(step: str, event: Any) -> Any:
        if step == place:
            again(event)
        return call(step, event)

    machine._call = doubled  # type: ignore[method-assign]


@dataclass(frozen=True)
class Case:
    """One whole run: a policy, and one or two faults with their places; everything follows from seed and number."""

    seed: int
    number: int
    policy: str
    faults: tuple[tuple[str, Any], ...]

    @property
    def chance(self) -> Random:
        """The source of everything else that the case leaves open."""
        return Random(f"{self.seed}/{self.number}/details")

    def __str__(self) -> str:
        faults = [f"{name}@{'.'.join(map(str, p)) if isinstance(p, tuple) else p}" for name, p in self.faults]
        return f"{self.seed}.{self.number}-{self.policy}-{'+'.join(faults)}".replace(" ", "_")


def cases(seed: int, number: int) -> Iterator[Case]:
    """Yield the cases of a seed: every kind in turn, with every second one a pair."""
    names = list(KINDS)
    for each in range(number):
        chance = Random(f"{seed}/{each}")
        first = names[each % len(names)]
        policy = chance.choice([p for p in POLICIES if KINDS[first].places(p)])
        chosen = [first]
        if (each // len(names)) % 2:
            chosen.append(chance.choice([n for n in names if n != first and KINDS[n].places(policy)]))
        faults = tuple((name, chance.choice(KINDS[name].places(policy))) for name in chosen)
        yield Case(seed, each, policy, faults)
