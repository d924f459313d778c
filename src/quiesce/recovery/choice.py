"""Which recovery point a request selects."""

from collections.abc import Sequence
from datetime import datetime

from quiesce.errors import RecoveryRefused
from quiesce.points.point import RecoveryPoint
from quiesce.recovery.input import RecoveryRequest

# So many recovery points keep a message readable.
NAMED_POINTS = 5


def choose(request: RecoveryRequest, points: Sequence[RecoveryPoint]) -> RecoveryPoint:
    """Choose the recovery point that a request selects, from those of the server.

    ``latest whole`` is the latest that counts as a generation; a time selects the latest that is not younger.

    Raises:
        RecoveryRefused: there is none; the remedy names the latest that exist.
    """
    if request.recovery_point is not None:
        return _named(request.recovery_point, points)
    found = sorted((p for p in points if p.usable), key=_time)
    if request.at == "latest whole":
        fitting = [point for point in found if point.status == "Successful"]
    elif (moment := request.moment) is not None:
        fitting = [point for point in found if _time(point) <= moment]
    else:
        fitting = found
    if not fitting:
        raise RecoveryRefused("at", f"{request.instance_id} has no recovery point for '{request.at}'", _known(found))
    return fitting[-1]


def only_server(run_id: str, servers: Sequence[str]) -> str:
    """Return the server whose run has this id, given the servers with snapshots of that id.

    Raises:
        RecoveryRefused: there is none, or there are several: only the caller knows which is meant.
    """
    if not servers:
        problem = f"no snapshot of '{run_id}' exists in this stack"
        raise RecoveryRefused("recovery_point", problem, "look for its id in the records (output ReadRecords)")
    if servers[1:]:
        problem = f"'{run_id}' is the id of a run on each of {' and '.join(servers)}"
        raise RecoveryRefused("recovery_point", problem, "add instance_id, to say which server you mean")
    return servers[0]


def _named(run_id: str, points: Sequence[RecoveryPoint]) -> RecoveryPoint:
    point = next((p for p in points if p.run_id == run_id), None)
    if point is None:
        usable = sorted((p for p in points if p.usable), key=_time)
        raise RecoveryRefused("recovery_point", f"there is no recovery point '{run_id}'", _known(usable))
    if not point.usable:
        raise RecoveryRefused("recovery_point", f"run '{run_id}' failed with incomplete snapshots", "choose another")
    return point


def _known(points: Sequence[RecoveryPoint]) -> str:
    if not points:
        return "look at the records in the bucket (output ReadRecords of the stack): no run has left a recovery point"
    latest = [f"{p.run_id} ({_time(p):%Y-%m-%d %H:%M:%S} UTC, {p.status})" for p in points[-NAMED_POINTS:]]
    return f"choose one of the latest: {', '.join(latest)}"


def _time(point: RecoveryPoint) -> datetime:
    if point.snapshots_at is None:
        raise ValueError(f"run {point.run_id} left no snapshots: it is no recovery point")
    return point.snapshots_at
