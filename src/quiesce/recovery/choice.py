"""Which recovery point a request selects, what it passes over for it, and the nearest one that is better."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from quiesce.errors import RecoveryRefused
from quiesce.points.point import RecoveryPoint
from quiesce.points.restoring import hours_of
from quiesce.recovery.flaws import FoundSnapshot, archived_of, flaws_of_point, flaws_of_run, told
from quiesce.recovery.input import RecoveryRequest
from quiesce.recovery.servers import full_name

# So many recovery points keep a message readable.
NAMED_POINTS = 5
NO_POINT = "look at the records in the bucket (output ReadRecords of the stack): no run has left a recovery point"
NO_OTHER = "look at what is left in the records (output ReadRecords): no other recovery point can be recovered"
SECONDS_AN_HOUR = 3600
# Sorts runs that left no time before all others.
NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Choice:
    """The recovery point that a request selects.

    ``passed_over`` names each one that was nearer to what was asked for, and why it was not taken, the latest first.
    ``nearest`` names the nearest application-consistent one and the hours between, if the chosen one is not.
    ``instead`` is the remedy that names the next good one, ``good`` all from which a server can be recovered.
    """

    point: RecoveryPoint
    passed_over: tuple[str, ...]
    nearest: str
    instead: str
    good: Sequence[RecoveryPoint] = ()


@dataclass(frozen=True)
class Window:
    """Some of a server's recovery points, all that there are from the oldest to the newest of them.

    ``goes_on_before`` and ``goes_on_after`` say whether there may be older and newer ones.
    """

    points: Sequence[RecoveryPoint]
    goes_on_before: bool
    goes_on_after: bool

    @property
    def is_whole(self) -> bool:
        """Whether these are all."""
        return not (self.goes_on_before or self.goes_on_after)


class _Candidate(NamedTuple):
    """A recovery point, and why a whole server can't be recovered from it; empty if one can."""

    point: RecoveryPoint
    flaw: str


def choose(request: RecoveryRequest, points: Sequence[RecoveryPoint], snapshots: Mapping[str, FoundSnapshot]) -> Choice:
    """Choose the recovery point that a request selects, from those of the server that can be recovered.

    ``latest whole`` is the latest whose run was Successful, ``latest application`` the latest that is
    application-consistent; a time selects the latest that is not younger.

    Args:
        request: what the person asked for; ``recovery_point`` may be the beginning of an id.
        points: all that the server's runs left, in any order.
        snapshots: those that EC2 has of all points, by id.

    Raises:
        RecoveryRefused: there is none; the remedy names those that exist.
    """
    candidates = [_Candidate(_seen(point, snapshots), told(flaws_of_point(point, snapshots))) for point in points]
    latest_first = sorted(candidates, key=lambda candidate: _time(candidate.point), reverse=True)
    good = [candidate.point for candidate in latest_first if not candidate.flaw]
    if request.recovery_point is not None:
        # What its snapshots lack stands among the plan's obstacles, so that a dry run lists all of it.
        point = _named(request.recovery_point, [c.point for c in latest_first], good)
        return Choice(point, (), _nearest(point, good), next_good(point, good), good)
    passed: list[str] = []
    for point, flaw in latest_first:
        if (moment := request.moment) is not None and _time(point) > moment:
            continue
        reason = flaw or _misfit(request, point)
        if not reason:
            return Choice(point, tuple(passed), _nearest(point, good), next_good(point, good), good)
        passed.append(f"{_name(point)}: {reason}")
    asked = request.moment.isoformat() if request.moment else request.at
    server = full_name(request.instance_id or "", latest_first[0].point.instance_name if latest_first else "")
    problem = f"{server} has no recovery point for '{asked}' from which it can be recovered"
    over = f" (passed over: {'; '.join(shortened(passed))})" if passed else ""
    raise RecoveryRefused("at", problem + over, known(good))


def is_settled(choice: Choice, window: Window) -> bool:
    """Say whether what a choice says of other recovery points would be the same if all of the server's were known."""
    if window.is_whole:
        return True
    at = _time(choice.point)
    older = any(_time(other) < at for other in choice.good) or not window.goes_on_before
    if choice.point.consistency.level == "application":
        return older
    others = [abs(_time(o) - at) for o in choice.good if o.consistency.level == "application"]
    times = sorted(_time(point) for point in window.points)
    reaches = [
        *([at - times[0]] if window.goes_on_before else []),
        *([times[-1] - at] if window.goes_on_after else []),
    ]
    return older and bool(others) and min(others) <= min(reaches)


def is_final(refusal: RecoveryRefused, window: Window) -> bool:
    """Say whether a refusal would be the same if all of the server's recovery points were known."""
    named = refusal.field == "recovery_point" and refusal.remedy not in (NO_POINT, NO_OTHER)
    return window.is_whole or named


def moment_of(points: Sequence[RecoveryPoint]) -> datetime | None:
    """Return the time of the only recovery point that was found by its id; None if there is none, or are several."""
    return _time(points[0]) if len(points) == 1 else None


def only_server(run_id: str, servers: Sequence[str], remedy: str) -> str:
    """Return the server whose run has this id, given the servers with snapshots of that id.

    ``remedy`` is what to do if there is none.

    Raises:
        RecoveryRefused: there is none, or there are several: only the caller knows which is meant.
    """
    if not servers:
        problem = f"no snapshot of a run whose id is '{run_id}', or begins like this, exists in this stack"
        raise RecoveryRefused("recovery_point", problem, remedy)
    if servers[1:]:
        problem = f"'{run_id}' is the id of a run on each of {' and '.join(servers)}"
        raise RecoveryRefused("recovery_point", problem, "add instance_id, to say which server you mean")
    return servers[0]


def known(good: Sequence[RecoveryPoint]) -> str:
    """Return the remedy that names the recovery points from which a server can be recovered, the latest first."""
    if not good:
        return NO_POINT
    return f"choose one of the latest: {', '.join(f'{_name(p)}' for p in good[:NAMED_POINTS])}"


def shortened(passed: Sequence[str]) -> list[str]:
    """Return the first of what was passed over, and the number of the others."""
    more = [f"and {len(passed) - NAMED_POINTS} older ones"] if len(passed) > NAMED_POINTS else []
    return [*passed[:NAMED_POINTS], *more]


def next_good(point: RecoveryPoint, good: Sequence[RecoveryPoint]) -> str:
    """Return the remedy that names the recovery point to take instead: the latest older one, else the latest."""
    older = [other for other in good if _time(other) < _time(point)]
    other = next((each for each in (*older, *good) if each.run_id != point.run_id), None)
    return f"choose another: the next good one is {_name(other)}" if other else NO_OTHER


def _misfit(request: RecoveryRequest, point: RecoveryPoint) -> str:
    """Say why a recovery point that can be recovered is not what ``at`` asks for; empty if it is."""
    if request.at == "latest whole" and point.status != "Successful":
        return f"its run was {point.status}: {point.reason}".rstrip(": ")
    if request.at == "latest application" and point.consistency.level != "application":
        return f"it is not application-consistent: {point.consistency.reason}"
    return ""


def _named(typed: str, points: Sequence[RecoveryPoint], good: Sequence[RecoveryPoint]) -> RecoveryPoint:
    """Return the recovery point of this id, or the only one whose id begins like this."""
    exact = [point for point in points if point.run_id == typed]
    fitting = exact or [point for point in points if point.run_id.startswith(typed)]
    if not fitting:
        problem = f"there is no recovery point '{typed}', and none whose id begins like this"
        raise RecoveryRefused("recovery_point", problem, known(good))
    if fitting[1:]:
        names = ", ".join(_name(point) for point in fitting[:NAMED_POINTS])
        many = len(fitting) if len(fitting) <= NAMED_POINTS else f"more than {NAMED_POINTS}"
        problem = f"{many} recovery points begin with '{typed}': {names}"
        raise RecoveryRefused("recovery_point", problem, "write more of the one that you mean")
    point = fitting[0]
    if flaws := flaws_of_run(point):
        problem = f"'{point.run_id}' can't be recovered: {told(flaws)}"
        raise RecoveryRefused("recovery_point", problem, next_good(point, good))
    return point


def _nearest(point: RecoveryPoint, good: Sequence[RecoveryPoint]) -> str:
    """Name the nearest application-consistent recovery point, unless the point is one."""
    if point.consistency.level == "application":
        return ""
    others = [other for other in good if other.consistency.level == "application"]
    if not others:
        return "no application-consistent recovery point of the server can be recovered"
    best = min(others, key=lambda other: abs(_time(other) - _time(point)))
    hours = (_time(best) - _time(point)).total_seconds() / SECONDS_AN_HOUR
    between = f"{abs(hours):.1f} hours {'later' if hours > 0 else 'earlier'}"
    return f"the nearest application-consistent recovery point is {best.run_id}, {between}"


def _seen(point: RecoveryPoint, snapshots: Mapping[str, FoundSnapshot]) -> RecoveryPoint:
    archived = archived_of(point, snapshots)
    return point.model_copy(update={"archived": archived}) if archived else point


def _name(point: RecoveryPoint) -> str:
    time = _time(point)
    at = "" if time == NEVER else f"{time:%Y-%m-%d %H:%M:%S} UTC, "
    archived = f", archived: up to {hours_of(point.archived)} h" if point.archived else ""
    return f"{point.run_id} ({at}{point.status}, {point.consistency.level}{archived})"


def _time(point: RecoveryPoint) -> datetime:
    """Return a recovery point's time; that of a run without snapshots is its start."""
    return point.snapshots_at or point.started_at or NEVER
