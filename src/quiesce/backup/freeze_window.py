"""The freeze window: how long the application was held, and which part of it took how long."""

from datetime import datetime

from quiesce.backup.state import Crossing, RunState


class FreezeWindow(Crossing):
    """Milliseconds from the end of the before script to the start of the after script, and its parts.

    ``total_ms`` is by the server's clock alone, ``snapshots_ms`` (until CreateSnapshots had returned) by AWS's.
    ``known_ms`` (until AWS knew of the freeze) and ``thaw_ms`` (until the after script began) each begin on one clock
    and end on the other: if the clocks differ, one is too long by as much as the other is too short.
    What would be negative is None, of these two both: the clocks then differ by more than it took, or the server's was
    set back, or the server thawed before the snapshots.
    """

    total_ms: int | None
    known_ms: int | None
    snapshots_ms: int | None
    thaw_ms: int | None


def window_of(state: RunState) -> FreezeWindow | None:
    """Measure a run's freeze window; None unless before succeeded, after began and CreateSnapshots answered."""
    session, frozen, created = state.session, state.freeze, state.snapshot
    if session is None or session.before is None or session.after is None or frozen is None or created is None:
        return None
    if not session.before.succeeded:
        return None
    held_ms, thawed_ms = session.before.ended_ms, session.after.started_ms
    known_ms, returned_ms = _milliseconds(frozen.known_at), _milliseconds(created.returned_at)
    clocks_agree = held_ms <= known_ms and returned_ms <= thawed_ms
    return FreezeWindow(
        total_ms=_span(held_ms, thawed_ms),
        known_ms=known_ms - held_ms if clocks_agree else None,
        snapshots_ms=_span(known_ms, returned_ms),
        thaw_ms=thawed_ms - returned_ms if clocks_agree else None,
    )


def _milliseconds(time: datetime) -> int:
    return round(time.timestamp() * 1000)


def _span(start_ms: int, end_ms: int) -> int | None:
    return end_ms - start_ms if start_ms <= end_ms else None
