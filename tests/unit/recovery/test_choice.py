"""Which recovery point an input chooses: by id, by "latest" or "latest whole", by time."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiesce.errors import RecoveryRefused
from quiesce.points.point import RecoveryPoint
from quiesce.recovery.choice import choose, only_server
from tests.support.factories.recovery import a_point, a_request
from tests.support.factories.run import INSTANCE, NOW

POINTS = [
    a_point("first", 0),
    a_point("half", 30, status="PartiallySuccessful"),
    a_point("second", 24),
    a_point("broken", 40, status="Failed"),
    a_point("nothing", 50, status="Failed", snapshots_at=None, snapshots=[]),
]


def at(moment: Any) -> Any:
    return a_request(instance_id=INSTANCE, at=moment)


def hour(hours: float) -> str:
    return (NOW + timedelta(hours=hours)).isoformat()


@pytest.mark.parametrize(
    ("moment", "chosen"),
    [
        ("latest", "half"),
        ("latest whole", "second"),
        (hour(1), "first"),
        (hour(0), "first"),
        (hour(24), "second"),
        (hour(35), "half"),
        (hour(100), "half"),
    ],
)
def test_the_latest_that_fits_is_chosen_whatever_their_order(moment: str, chosen: str) -> None:
    assert choose(at(moment), POINTS).run_id == chosen
    assert choose(at(moment), POINTS[::-1]).run_id == chosen


def test_a_recovery_point_is_found_by_its_id_even_if_it_is_not_whole() -> None:
    assert choose(a_request(recovery_point="half"), POINTS).run_id == "half"


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (
            at(hour(-1)),
            "has no recovery point for '2026-03-14 00:30:00+00:00'. Remedy: choose one of the latest: "
            "first (2026-03-14 01:30:00 UTC, Successful), second (2026-03-15 01:30:00 UTC, Successful), "
            "half (2026-03-15 07:30:00 UTC, PartiallySuccessful).",
        ),
        (a_request(recovery_point="other"), "there is no recovery point 'other'. Remedy: choose one of the latest: "),
        (a_request(recovery_point="broken"), "run 'broken' failed with incomplete snapshots"),
    ],
)
def test_what_is_not_there_is_refused_and_what_is_there_is_named(request_: Any, words: str) -> None:
    with pytest.raises(RecoveryRefused) as refused:
        choose(request_, POINTS)
    assert words in str(refused.value)


def test_a_server_without_any_recovery_point_is_refused() -> None:
    with pytest.raises(RecoveryRefused, match="no run has left a recovery point"):
        choose(at("latest"), POINTS[3:])


statuses = st.sampled_from(["Successful", "PartiallySuccessful", "Failed"])


@given(st.lists(st.tuples(st.integers(0, 50), statuses), unique_by=lambda pair: pair[0]), st.integers(0, 50))
def test_a_time_never_gives_what_is_younger_nor_passes_over_what_is_nearer(
    made: list[tuple[int, Any]], hours: int
) -> None:
    points: list[RecoveryPoint] = [a_point(f"run-{h}", h, status=status) for h, status in made]
    fitting = [h for h, status in made if status != "Failed" and h <= hours]
    if fitting:
        assert choose(at(hour(hours)), points).run_id == f"run-{max(fitting)}"
    else:
        with pytest.raises(RecoveryRefused):
            choose(at(hour(hours)), points)


def test_a_record_that_says_more_than_is_known_here_is_read_all_the_same() -> None:
    later = a_point().model_dump(mode="json") | {"colour": "red"}
    assert RecoveryPoint.model_validate(later) == a_point()


def test_a_record_of_a_later_version_is_read_whatever_it_says_more_of_a_volume_or_the_server() -> None:
    """After a stack was rolled back: one such record must not hide all recovery points of a server."""
    document = a_point().model_dump(mode="json")
    document["snapshots"][0]["volume"]["multi_attach"] = False
    document["source"]["tenancy"] = "default"
    document["consistency"]["evidence"] = "present"
    assert RecoveryPoint.model_validate(document).run_id == "run-1"


def test_the_server_of_a_run_is_known_by_its_snapshots() -> None:
    assert only_server("night-1", ["i-1"]) == "i-1"
    with pytest.raises(RecoveryRefused, match=r"no snapshot of 'night-1' exists in this stack\. "):
        only_server("night-1", [])


def test_an_id_that_runs_on_two_servers_share_asks_which_server_is_meant() -> None:
    with pytest.raises(RecoveryRefused) as refused:
        only_server("night-1", ["i-1", "i-2"])
    assert str(refused.value) == (
        "recovery_point: 'night-1' is the id of a run on each of i-1 and i-2. "
        "Remedy: add instance_id, to say which server you mean."
    )
