"""The freeze window as a picture: to scale, by the server's clock, and nothing drawn that is not known."""

import pytest

from quiesce.pages.timeline import Timeline, timeline
from quiesce.points.record import FreezeWindow
from tests.support.factories.pages import a_good_run
from tests.support.factories.run import a_script, a_session


def a_line(window: FreezeWindow | None = None, **session: object) -> Timeline:
    """Return the timeline of a window of 4320 ms, of which VSS took 3280 ms, unless a test says otherwise."""
    run = a_good_run()
    of = run.session.model_copy(update=session) if run.session else None
    line = timeline(of, window or run.freeze_window)
    assert line
    return line


def test_lengths_are_to_scale_and_the_parts_fill_the_window() -> None:
    line = a_line()
    scale = (line.ends - line.begins) / 4320
    bars = {bar.label: bar for bar in line.bars}
    parts = [bars[label] for label in bars if label.startswith("until")]
    assert [bar.letter for bar in parts] == ["A", "B", "C"]
    for bar, took in zip([*parts, bars["VSS makes the shadow copies"]], (3560, 410, 350, 3280), strict=True):
        assert bar.width == pytest.approx(took * scale, abs=0.02)
    assert parts[0].x == pytest.approx(line.begins, abs=0.02)
    assert parts[0].x + parts[0].width == pytest.approx(parts[1].x, abs=0.02)
    assert parts[2].x + parts[2].width == pytest.approx(line.ends, abs=0.02)
    # As much of the scripts is shown before the window as behind it.
    assert line.begins == pytest.approx(100 - line.ends, abs=0.02)
    assert line.sentence.startswith("The application was held for 4.3 s: before script 2.2 s, ")
    assert line.total == "4.3 s"


def test_the_scale_begins_with_the_freeze_and_has_round_steps() -> None:
    for total, labels in {
        4320: ["0 s", "2 s", "4 s"],
        90: ["0 ms", "50 ms"],
        353: ["0 ms", "100 ms", "200 ms", "300 ms"],
        240_000: ["0 s", "100 s", "200 s"],
    }.items():
        line = a_line(FreezeWindow(total_ms=total, known_ms=None, snapshots_ms=None, thaw_ms=None))
        assert [tick.label for tick in line.ticks] == labels
        assert line.ticks[0].x == line.begins
        assert all(tick.x <= line.ends for tick in line.ticks)


def test_a_script_that_goes_on_outside_of_the_picture_is_cut_and_says_how_long_it_took() -> None:
    run = a_good_run()
    assert run.session
    assert run.session.before
    before = run.session.before
    long = a_script(started_ms=before.ended_ms - 600_000, ended_ms=before.ended_ms)
    bars = {bar.label: bar for bar in a_line(before=long).bars}
    assert (bars["before script"].cut, bars["before script"].took, bars["before script"].x) == ("left", "10 min 0 s", 0)
    assert all(0 <= bar.x <= 100 and bar.x + bar.width <= 100.01 for bar in bars.values())


def test_parts_that_are_not_known_are_not_drawn_and_that_is_said() -> None:
    line = a_line(FreezeWindow(total_ms=4320, known_ms=3560, snapshots_ms=None, thaw_ms=350))
    assert not any(bar.letter for bar in line.bars)
    assert line.note == "How the window divides between the server and AWS is not known: their clocks differ."


def test_without_vss_there_is_no_bar_of_it() -> None:
    assert not any(bar.kind == "vss" for bar in a_line(shadow=None).bars)


def test_there_is_none_where_nothing_is_known_to_have_been_held() -> None:
    run = a_good_run()
    window = FreezeWindow(total_ms=None, known_ms=None, snapshots_ms=None, thaw_ms=None)
    assert timeline(None, run.freeze_window) is None
    assert timeline(run.session, None) is None
    assert timeline(run.session, window) is None
    assert timeline(a_session("frozen"), run.freeze_window) is None


def test_a_session_script_is_called_by_its_name() -> None:
    labels = [bar.label for bar in a_line(holds=True).bars]
    assert labels[:2] == ["session script freezes", "session script thaws"]
