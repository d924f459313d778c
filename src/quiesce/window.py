"""The freeze window: how long the application was held, and which part of it took how long."""

from quiesce.state import Crossing, RunState


class FreezeWindow(Crossing):
    """Milliseconds from the end of the before script to the start of the after script, and its parts.

    ``total_ms`` is by the server's own clock. The parts span two clocks, which may differ: ``known_ms`` until AWS
    knew that the application was frozen, ``snapshots_ms`` until CreateSnapshots had returned, ``thaw_ms`` until the
    after script began.
    """

    total_ms: int
    known_ms: int
    snapshots_ms: int
    thaw_ms: int


def window_of(state: RunState) -> FreezeWindow | None:
    """Measure a run's freeze window; None unless before and after ran and the snapshots' answer is known."""
    session, frozen, created = state.session, state.freeze, state.snapshot
    if session is None or session.before is None or session.after is None or frozen is None or created is None:
        return None
    known = int(frozen.known_at.timestamp() * 1000)
    returned = int(created.returned_at.timestamp() * 1000)
    return FreezeWindow(
        total_ms=session.after.started_ms - session.before.ended_ms,
        known_ms=known - session.before.ended_ms,
        snapshots_ms=returned - known,
        thaw_ms=session.after.started_ms - returned,
    )
