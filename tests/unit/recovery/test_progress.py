"""How long a recovery takes and how far it is, in words: by what is known of past ones, and by nothing else."""

from datetime import timedelta

import pytest

from quiesce.recovery.progress import (
    MOVES,
    NO_PAST,
    PastState,
    Progress,
    how_long,
    length,
    past_of,
    seconds_of,
    states_ahead,
    took_words,
)
from tests.support.factories.run import NOW

PAST = {name: PastState(median_s=60, count=7) for name in MOVES}


def a_progress(**changes: object) -> str:
    fields = {
        "recovery": "fire-1 of FILES01 (i-1), recovery point night-1",
        "execution": "arn:1",
        "done": {"Plan": 3.0},
        "state": "Launch",
        "since": NOW,
        "said": "",
        "to_come": MOVES[1:],
        "past": {},
        "written_at": NOW + timedelta(seconds=41),
    }
    return Progress(**{**fields, **changes}).text  # type: ignore[arg-type]


def test_without_a_past_recovery_nothing_is_said_of_how_long_it_takes() -> None:
    assert how_long(MOVES, {}) == NO_PAST
    text = a_progress()
    assert f"Left:      {NO_PAST}\n" in text
    assert "median" not in text


def test_a_state_through_which_no_past_recovery_went_leaves_the_whole_unknown() -> None:
    words = "not known: no past recovery of this stack went through Revert"
    assert how_long(["Revert", *MOVES], PAST) == words
    assert f"Left:      {words}\n" in a_progress(to_come=["Revert", *MOVES], past=PAST)


def test_the_whole_is_the_sum_of_the_medians_and_rests_on_as_few_recoveries_as_its_rarest_state() -> None:
    past = {**PAST, "Revert": PastState(median_s=1200, count=2)}
    words = how_long(["Revert", *MOVES], past)
    assert words.startswith(
        "about 28 min, by 2 past recoveries of this stack, of each state the median: Revert 20 min, "
    )
    assert words.endswith("Finish 60 s")


def test_what_is_left_is_what_the_median_leaves_of_the_present_state_and_all_to_come() -> None:
    assert "Left:      about 7 min, by the medians" in a_progress(past=PAST)
    late = a_progress(past=PAST, written_at=NOW + timedelta(hours=2))
    assert "Now:       Launch, state 2 of 9, for 2.0 h (median of 7 past recoveries: 60 s)\n" in late
    assert "Left:      about 7 min" in late  # a state that is late makes the others no shorter


def test_what_the_state_says_stands_below_its_name() -> None:
    lines = a_progress(said="2 of 3 volumes are being created").splitlines()
    assert lines[1].startswith("Now:       Launch, state 2 of 9, for 41 s")
    assert lines[2] == "           2 of 3 volumes are being created"


def test_the_median_is_of_those_recoveries_that_went_through_a_state() -> None:
    past = past_of([{"Launch": 10, "Revert": 100}, {"Launch": 30}, {"Launch": 20}])
    assert past == {"Launch": PastState(median_s=20, count=3), "Revert": PastState(median_s=100, count=1)}


def test_a_state_takes_from_the_end_of_the_one_before_it() -> None:
    at = {name: NOW + timedelta(seconds=seconds) for name, seconds in (("Plan", 3), ("Launch", 15.5))}
    ends = [("Plan", at["Plan"]), ("Look", None), ("Launch", at["Launch"]), ("Stop", None)]
    assert seconds_of(NOW, ends) == {"Plan": 3.0, "Launch": 12.5}


def test_what_it_took_is_said_with_the_median_only_where_there_is_one() -> None:
    assert took_words({"Plan": 3, "Launch": 12}, {}) == "Plan 3 s, Launch 12 s"
    assert took_words({"Plan": 3, "Launch": 12}, PAST) == (
        "Plan 3 s, Launch 12 s (60 s); in brackets the median of past recoveries"
    )


@pytest.mark.parametrize(
    ("look", "build", "first"), [(True, False, ["Look", "Revert"]), (False, True, ["Revert"]), (False, False, [])]
)
def test_the_states_ahead_are_those_of_this_plan(look: bool, build: bool, first: list[str]) -> None:
    assert states_ahead(look=look, build=build) == [*first, *MOVES]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (89, "89 s"), (90, "2 min"), (5399, "90 min"), (5400, "1.5 h")]
)
def test_a_duration_is_said_in_one_unit(seconds: float, words: str) -> None:
    assert length(seconds) == words
