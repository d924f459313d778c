"""The freeze window in milliseconds: which clock measures each part, and no number where the clocks disagree."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiesce.backup.findings import window_of
from quiesce.backup.state import RunState
from quiesce.points.record import FreezeWindow
from tests.support.factories.run import (
    NOW,
    NOW_MS,
    a_complete,
    a_freeze,
    a_script,
    a_session,
    a_snapshot_set,
    a_state,
    a_thaw,
)


def a_run(
    server: tuple[int, int] = (0, 5000), aws: tuple[int, int] = (1000, 4000), offset_ms: int = 0, **changes: Any
) -> RunState:
    """A run with the freeze window ``server``: its before script ends, its after script begins.

    At ``aws``, Freeze has its answer and CreateSnapshots returns. All in ms; the server's clock is ``offset_ms`` ahead.
    """
    ended_ms, began_ms = (NOW_MS + offset_ms + time_ms for time_ms in server)
    before, after = a_script(ended_ms=ended_ms), a_script("1", started_ms=began_ms)
    known_at, returned_at = (NOW + timedelta(milliseconds=time_ms) for time_ms in aws)
    parts = {
        "freeze": a_freeze(a_session(before=before), known_at=known_at),
        "snapshot": a_snapshot_set(returned_at=returned_at),
        "thaw": a_thaw(a_session("thawed", before=before, after=after)),
    }
    return a_state(**{**parts, **changes})


def test_a_window_has_its_parts() -> None:
    assert window_of(a_run()) == FreezeWindow(total_ms=5000, known_ms=1000, snapshots_ms=3000, thaw_ms=1000)


def test_milliseconds_are_kept() -> None:
    window = window_of(a_run(server=(0, 4321), aws=(1, 4320)))
    assert window == FreezeWindow(total_ms=4321, known_ms=1, snapshots_ms=4319, thaw_ms=1)


@given(offset_ms=st.integers(-1000, 1000))
def test_clocks_that_differ_by_less_than_each_part_move_only_the_border_between_them(offset_ms: int) -> None:
    window = window_of(a_run(offset_ms=offset_ms))
    assert window is not None
    assert (window.total_ms, window.snapshots_ms) == (5000, 3000)
    assert (window.known_ms, window.thaw_ms) == (1000 - offset_ms, 1000 + offset_ms)


@given(offset_ms=st.integers(1001, 10**9) | st.integers(-(10**9), -1001))
def test_clocks_that_differ_by_more_leave_what_either_clock_knows_alone(offset_ms: int) -> None:
    expected = FreezeWindow(total_ms=5000, known_ms=None, snapshots_ms=3000, thaw_ms=None)
    assert window_of(a_run(offset_ms=offset_ms)) == expected


def test_a_server_whose_clock_was_set_back_while_it_was_held_knows_no_total() -> None:
    window = window_of(a_run(server=(0, -1)))
    assert window == FreezeWindow(total_ms=None, known_ms=None, snapshots_ms=3000, thaw_ms=None)


def test_a_server_that_thawed_before_the_snapshots_has_no_part_after_them() -> None:
    window = window_of(a_run(server=(0, 120_000), aws=(1000, 130_000)))
    assert window == FreezeWindow(total_ms=120_000, known_ms=None, snapshots_ms=129_000, thaw_ms=None)


def test_clocks_of_aws_that_run_backwards_leave_no_part_between_them() -> None:
    window = window_of(a_run(aws=(1000, 999)))
    assert window
    assert window.snapshots_ms is None


times = st.integers(-(10**6), 10**6)


@given(st.tuples(times, times), st.tuples(times, times))
def test_no_part_is_ever_negative_and_the_parts_make_the_whole(server: tuple[int, int], aws: tuple[int, int]) -> None:
    window = window_of(a_run(server, aws))
    assert window is not None
    parts = (window.known_ms, window.snapshots_ms, window.thaw_ms)
    known = [part for part in (window.total_ms, *parts) if part is not None]
    assert all(part >= 0 for part in known)
    if len(known) == 4:
        assert window.total_ms == sum(filter(None, parts))


NO_WINDOW = {
    "nothing was frozen": {"freeze": None, "thaw": None},
    "nothing was snapshot": {"snapshot": None},
    "the thaw is not known of": {"thaw": None},
    "after has not begun": {"thaw": a_thaw(a_session())},
    "before is not known of": {"thaw": a_thaw(a_session("thawed", before=None))},
    "before failed, so nothing was held": {"thaw": a_thaw(a_session("thawed", before=a_script(succeeded=False)))},
    "before was never begun": {
        "thaw": a_thaw(a_session("thawed", before=a_script(succeeded=False, reason="NotStarted", ended_ms=0)))
    },
}


@pytest.mark.parametrize("changes", NO_WINDOW.values(), ids=NO_WINDOW)
def test_without_a_beginning_or_an_end_there_is_no_window(changes: dict[str, Any]) -> None:
    assert window_of(a_run(**changes)) is None


def test_the_last_that_the_server_said_counts() -> None:
    after = a_script("1", started_ms=NOW_MS + 7000)
    late_answer = a_complete(a_session("ended", before=a_script(ended_ms=NOW_MS), after=after))
    window = window_of(a_run(thaw=None, complete=late_answer))
    assert window
    assert window.total_ms == 7000
