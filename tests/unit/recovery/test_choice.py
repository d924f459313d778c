"""Which recovery point an input chooses: by id, by a word, by time; what it passes over, and what is nearest."""

import random
from datetime import datetime, timedelta
from typing import Any

import pytest

from quiesce.errors import RecoveryRefused
from quiesce.points.point import RecoveryPoint
from quiesce.recovery.choice import (
    NAMED_POINTS,
    NO_POINT,
    Window,
    choose,
    is_final,
    is_settled,
    moment_of,
    only_server,
    shortened,
)
from quiesce.recovery.flaws import FoundSnapshot
from tests.support.factories.recovery import a_point, a_request
from tests.support.factories.run import INSTANCE, NOW, a_volume

GOOD, ARCHIVED = FoundSnapshot("completed", "standard"), FoundSnapshot("completed", "archive")
APPLICATION = {"level": "application", "reason": "VSS took part"}


def snapped(run_id: str, hours: float = 0, **changes: Any) -> RecoveryPoint:
    """Return a recovery point with snapshots of its own."""
    point = a_point(run_id, 0, **changes)
    if "snapshots_at" not in changes:
        point = point.model_copy(update={"snapshots_at": NOW + timedelta(hours=hours)})
    own = [s.model_copy(update={"snapshot_id": f"snap-{run_id}-{n}"}) for n, s in enumerate(point.snapshots)]
    return point.model_copy(update={"snapshots": own})


POINTS = [
    snapped("first", 0, consistency=APPLICATION),
    snapped("half", 30, status="PartiallySuccessful", reason="the after script failed"),
    snapped("second", 24),
    snapped("broken", 40, status="Failed", reason="snapshots in error"),
    snapped(
        "nothing",
        50,
        status="Failed",
        snapshots_at=None,
        snapshots=[],
        reason="no agent",
        started_at=NOW + timedelta(2),
    ),
]


def there(points: list[RecoveryPoint], **changes: FoundSnapshot | None) -> dict[str, FoundSnapshot]:
    """Return all snapshots of the points, changed where a run id says so."""
    ids = {s.snapshot_id: changes.get(p.run_id.replace("-", "_"), GOOD) for p in points for s in p.snapshots}
    return {snapshot_id: found for snapshot_id, found in ids.items() if found}


def chosen(request_: Any, points: list[RecoveryPoint] = POINTS, **changes: FoundSnapshot | None) -> Any:
    return choose(request_, points, there(points, **changes))


def refusal(request_: Any, points: list[RecoveryPoint] = POINTS, **changes: FoundSnapshot | None) -> str:
    with pytest.raises(RecoveryRefused) as refused:
        chosen(request_, points, **changes)
    return str(refused.value)


def at(moment: Any) -> Any:
    return a_request(instance_id=INSTANCE, at=moment)


def hour(hours: float) -> str:
    return (NOW + timedelta(hours=hours)).isoformat()


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("latest", "half"),
        ("latest whole", "second"),
        ("latest application", "first"),
        (hour(1), "first"),
        (hour(0), "first"),
        (hour(24), "second"),
        (hour(35), "half"),
        (hour(100), "half"),
    ],
)
def test_the_latest_that_fits_is_chosen_whatever_their_order(moment: str, expected: str) -> None:
    assert chosen(at(moment)).point.run_id == expected
    assert chosen(at(moment), POINTS[::-1]).point.run_id == expected


def test_a_recovery_point_is_found_by_its_id_even_if_it_is_not_whole() -> None:
    assert chosen(a_request(recovery_point="half")).point.run_id == "half"


def test_a_recovery_point_is_found_by_the_beginning_of_its_id_if_it_is_the_only_one() -> None:
    points = [snapped("night-1"), snapped("night-10"), snapped("noon-1")]
    assert chosen(a_request(recovery_point="noo"), points).point.run_id == "noon-1"
    assert chosen(a_request(recovery_point="night-1"), points).point.run_id == "night-1"
    assert "2 recovery points begin with 'nigh': " in refusal(a_request(recovery_point="nigh"), points)


def test_a_skipped_run_of_a_passive_node_is_passed_over_as_one_that_left_nothing() -> None:
    skipped = snapped(
        "skipped", 60, status="Skipped", snapshots_at=None, snapshots=[], reason="this is a secondary node.",
        started_at=NOW + timedelta(3),
    )  # fmt: skip
    choice = chosen(at("latest whole"), [*POINTS, skipped])
    assert choice.point.run_id == "second"
    assert choice.passed_over[0].endswith(": its run was skipped and left no snapshots: this is a secondary node")


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        (None, "second (2026-03-15 01:30:00 UTC, Successful, crash): the snapshot snap-second-0 of /dev/sda1 was"),
        (FoundSnapshot("recoverable", "standard"), "the snapshot snap-second-0 of /dev/sda1 is in the Recycle Bin"),
        (FoundSnapshot("pending", "standard"), "is pending: EBS has not finished it"),
        (FoundSnapshot("error", "standard"), "is in error: EBS could not make it"),
        (FoundSnapshot("completed", "standard", removing=True), "is marked as being removed"),
    ],
)
def test_what_cannot_be_recovered_is_passed_over_and_named_with_its_reason(gone: Any, words: str) -> None:
    choice = chosen(at("latest whole"), second=gone)
    assert choice.point.run_id == "first"
    assert words in choice.passed_over[-1]


def test_everything_that_was_nearer_is_named_with_its_reason_the_latest_first() -> None:
    choice = chosen(at("latest application"))
    assert [each.partition(" (")[0] for each in choice.passed_over] == ["nothing", "broken", "half", "second"]
    assert choice.passed_over[1].endswith(": its run failed: snapshots in error")
    assert choice.passed_over[2].endswith(": it is not application-consistent: no application was frozen")
    assert choice.passed_over[0] == "nothing (2026-03-16 01:30:00 UTC, Failed, crash): its run failed: no agent"
    [_, _, half, *_] = chosen(at("latest whole")).passed_over
    assert half.endswith(": its run was PartiallySuccessful: the after script failed")


def test_a_recovery_point_without_the_root_is_passed_over_for_a_whole_server() -> None:
    points = [*POINTS, snapped("data", 60, of_volumes=[a_volume(1), a_volume(2)])]
    choice = chosen(at("latest"), points)
    assert choice.point.run_id == "half"
    assert choice.passed_over[0].endswith(": it has no snapshot of the root volume: no server can boot from it")


def test_what_was_passed_over_stays_readable() -> None:
    over = [f"night-{n}" for n in range(NAMED_POINTS + 2)]
    assert shortened(over) == [*over[:NAMED_POINTS], "and 2 older ones"]
    assert shortened(over[:2]) == over[:2]


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        (hour(24), "the nearest application-consistent recovery point is first, 24.0 hours earlier"),
        (hour(0), ""),
    ],
)
def test_a_crash_consistent_choice_names_the_nearest_application_consistent_one(moment: str, words: str) -> None:
    assert chosen(at(moment)).nearest == words


def test_the_nearest_may_be_the_later_one_but_never_one_that_cannot_be_recovered() -> None:
    points = [
        snapped("early", 0, consistency=APPLICATION),
        snapped("this", 10),
        snapped("late", 13, consistency=APPLICATION),
        snapped("gone", 11, consistency=APPLICATION),
    ]
    request_ = a_request(recovery_point="this")
    assert chosen(request_, points, gone=None).nearest.endswith(" is late, 3.0 hours later")
    none = chosen(request_, points, gone=None, late=None, early=None).nearest
    assert none == "no application-consistent recovery point of the server can be recovered"


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (
            at(hour(-1)),
            "has no recovery point for '2026-03-14T00:30:00+00:00' from which it can be recovered. Remedy: choose "
            "one of the latest: half (2026-03-15 07:30:00 UTC, PartiallySuccessful, crash), "
            "second (2026-03-15 01:30:00 UTC, Successful, crash), "
            "first (2026-03-14 01:30:00 UTC, Successful, application).",
        ),
        (a_request(recovery_point="other"), "there is no recovery point 'other', and none whose id begins like this. "),
        (
            a_request(recovery_point="broken"),
            "'broken' can't be recovered: its run failed: snapshots in error. "
            "Remedy: choose another: the next good one is half (",
        ),
    ],
)
def test_what_is_not_there_is_refused_and_what_is_there_is_named(request_: Any, words: str) -> None:
    assert words in refusal(request_)


def test_a_refusal_names_the_server_by_its_name_and_its_id_whichever_the_person_typed() -> None:
    assert f"at: FILES01 ({INSTANCE}) has no recovery point for 'latest' from which" in refusal(
        at("latest"), POINTS[3:]
    )


def test_a_server_without_any_recovery_point_is_refused_with_the_reasons() -> None:
    words = refusal(at("latest"), POINTS[3:])
    assert "no run has left a recovery point" in words
    assert "(passed over: nothing (2026-03-16 01:30:00 UTC, Failed, crash): its run failed: no agent; " in words


HISTORIES = 100
FATES = [GOOD] * 12 + [None, FoundSnapshot("error", "standard"), FoundSnapshot("pending", "standard")]
FATES += [FoundSnapshot("recoverable", "standard"), FoundSnapshot("completed", "standard", removing=True)]


def a_history(chance: random.Random) -> tuple[list[RecoveryPoint], dict[str, FoundSnapshot]]:
    """Return the runs of one server, of all kinds, and the snapshots that are left of them."""
    points, found = [], {}
    for n, hours in enumerate(chance.sample(range(1000), chance.randint(1, 30))):
        status = chance.choice(["Successful", "Successful", "PartiallySuccessful", "Failed"])
        first = chance.choice([0, 0, 0, 1])
        consistency = {"level": chance.choice(["application", "crash", "none"]), "reason": "so"}
        without = {"snapshots": [], "snapshots_at": None} if status == "Failed" and chance.random() < 0.5 else {}
        volumes = [a_volume(v) for v in range(first, first + chance.randint(1, 4))]
        point = snapped(f"r{n}", hours, status=status, consistency=consistency, of_volumes=volumes, **without)
        points.append(point)
        found |= {s.snapshot_id: fate for s in point.snapshots if (fate := chance.choice(FATES)) is not None}
    return points, found


def by_the_issue(points: list[RecoveryPoint], found: dict[str, FoundSnapshot], asked: str, hours: float) -> str | None:
    """Read point 1 anew, from plain data: the id that it names, None if it names none."""
    best: tuple[float, str] | None = None
    for point in (p.model_dump(mode="json") for p in points):
        left = [found.get(s["snapshot_id"]) for s in point["snapshots"]]
        if point["status"] == "Failed" or "/dev/sda1" not in [s["volume"]["device"] for s in point["snapshots"]]:
            continue
        if not all(s and (s.state, s.tier, s.removing) == ("completed", "standard", False) for s in left):
            continue
        age_h = (datetime.fromisoformat(point["snapshots_at"]) - NOW) / timedelta(hours=1)
        wanted = {
            "latest": True,
            "latest whole": point["status"] == "Successful",
            "latest application": point["consistency"]["level"] == "application",
            "time": age_h <= hours,
        }
        if wanted[asked] and (best is None or age_h > best[0]):
            best = (age_h, point["run_id"])
    return best[1] if best else None


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_of_a_random_history_that_point_is_chosen_which_an_independent_reading_names(seed: int) -> None:
    chance = random.Random(seed)
    points, found = a_history(chance)
    for asked in ("latest", "latest whole", "latest application", "time"):
        hours = chance.uniform(-10, 1010)
        request_, expected = at(hour(hours) if asked == "time" else asked), by_the_issue(points, found, asked, hours)
        if expected is None:
            with pytest.raises(RecoveryRefused, match=r"^at: .* from which it can be recovered"):
                choose(request_, points, found)
        else:
            assert choose(request_, points, found).point.run_id == expected


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
    assert only_server("night-1", ["i-1"], "") == "i-1"
    with pytest.raises(RecoveryRefused, match=r"'night-1', or begins like this, exists in this stack\. Remedy: x"):
        only_server("night-1", [], "x")


def test_an_id_that_runs_on_two_servers_share_asks_which_server_is_meant() -> None:
    with pytest.raises(RecoveryRefused) as refused:
        only_server("night-1", ["i-1", "i-2"], "")
    assert str(refused.value) == (
        "recovery_point: 'night-1' is the id of a run on each of i-1 and i-2. "
        "Remedy: add instance_id, to say which server you mean."
    )


def window(points: list[RecoveryPoint], *, before: bool = True, after: bool = True) -> Window:
    return Window(points, goes_on_before=before, goes_on_after=after)


def test_a_choice_of_some_points_is_settled_once_others_could_say_nothing_else() -> None:
    application = {"consistency": APPLICATION}
    near = [snapped("a", 0, **application), snapped("b", 1), snapped("c", 3)]
    choice = chosen(a_request(recovery_point="b"), near)
    assert "is a, 1.0 hours earlier" in choice.nearest
    # One that is nearer than either end of the window.
    assert is_settled(choice, window(near))
    far = [snapped("a", 0, **application), snapped("b", 5), snapped("c", 6)]
    choice = chosen(a_request(recovery_point="b"), far)
    # A younger one may be nearer, unless there is none.
    assert not is_settled(choice, window(far))
    assert is_settled(choice, window(far, after=False))
    alone = [snapped("b", 5), snapped("c", 6)]
    choice = chosen(a_request(recovery_point="b"), alone)
    assert not is_settled(choice, window(alone, after=False))
    assert is_settled(choice, window(alone, before=False, after=False))
    consistent = [snapped("a", 0), snapped("b", 5, **application)]
    assert is_settled(chosen(a_request(recovery_point="b"), consistent), window(consistent))
    assert not is_settled(chosen(a_request(recovery_point="b"), consistent[1:]), window(consistent[1:]))


def test_a_refusal_by_a_name_is_final_where_it_names_others_and_one_by_time_only_with_all_points() -> None:
    named = RecoveryRefused("recovery_point", "there is none", "choose one of the latest: a")
    nothing = RecoveryRefused("recovery_point", "there is none", NO_POINT)
    by_time = RecoveryRefused("at", "no recovery point", "choose one of the latest: a")
    some, all_ = window(POINTS), window(POINTS, before=False, after=False)
    assert [is_final(each, some) for each in (named, nothing, by_time)] == [True, False, False]
    assert all(is_final(each, all_) for each in (named, nothing, by_time))


def test_the_time_around_which_points_are_looked_for_is_that_of_the_only_one_with_the_id() -> None:
    assert moment_of(POINTS[:1]) == NOW
    assert moment_of([]) is None
    assert moment_of(POINTS[:2]) is None


def test_of_many_points_that_begin_alike_a_refusal_does_not_count_what_was_not_read() -> None:
    many = [snapped(f"night-{n}", n) for n in range(NAMED_POINTS + 1)]
    assert f"more than {NAMED_POINTS} recovery points begin with 'night'" in refusal(
        a_request(recovery_point="night"), many
    )
