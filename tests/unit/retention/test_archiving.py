"""Which recovery points go into the archive, until when they stay at least, and what the archive costs and saves."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quiesce.points.listed import ListedPoint
from quiesce.policy.archive import Archive
from quiesce.policy.file import read_policy
from quiesce.retention.archiving import GIB, Size, archive_remark, due, neighbours, weigh
from quiesce.retention.decision import decide
from quiesce.retention.gather import Existing, Known
from tests.support.factories.run import a_policy_document
from tests.unit.retention.histories import NOW, a_point, a_rule, histories, in_parts, nights, rules, second_reading

MANY = settings(max_examples=300, deadline=None)
ARCHIVES = st.builds(Archive, after_days=st.integers(1, 200), keep_days=st.integers(90, 200))
RULE = a_rule(keep={"daily": 3, "monthly": 12})
ARCHIVE = Archive(after_days=60)


def known_of(points, **fields):
    def known(point):
        listed = ListedPoint(run_id=point.run_id, policy="p", instance_id="i-1", status="Successful", level="crash",
                             at=point.at, ended_at=point.ended_at, snapshots=[])  # fmt: skip
        return Known(listed, "Successful", **fields)

    return {point.run_id: known(point) for point in points}


def found(points, rule=RULE, archive=ARCHIVE, now=NOW, **fields):
    """Return what is due, by run id, with the first day on which it may go."""
    each = due(decide(points, rule, now), known_of(points, **fields), rule, archive, now)
    return {one.point.run_id: one.stays_until for one in each}


def monthly(count, **fields):
    """Return a recovery point of the middle of each of so many months before the newest, and three newest nights."""
    first = [a_point(f"m{n:02}", datetime(2025 + n // 12, n % 12 + 1, 15, 2, tzinfo=UTC), **fields) for n in range(22)]
    return [*first[22 - count :], *nights(3)]


def test_months_that_are_old_enough_and_stay_long_enough_are_due_the_oldest_first() -> None:
    """November 2026 is the newest month; of twelve, July 2026 is the fifth, and goes when eight more have begun."""
    due_ones = found(monthly(12))
    assert list(due_ones) == ["m14", "m15", "m16", "m17", "m18", "m19", "m20"]
    assert due_ones["m18"] == datetime(2027, 7, 1, tzinfo=UTC).date()
    assert due_ones["m14"] == datetime(2027, 3, 1, tzinfo=UTC).date()


@pytest.mark.parametrize(
    "change",
    [
        {"kept_for": ("held: the audit",)},
        {"kept_for": ("in use by recovery drill until 2026-11-30 03:00 UTC",)},
        {"kept_for": ("archived, and billed until 2027-02-01 in any case",)},
        {"status": "PartiallySuccessful"},
        {"status": None},
        {"removing": True},
    ],
    ids=str,
)
def test_what_is_not_whole_not_free_or_going_is_not_archived(change) -> None:
    points = [replace(point, **change) if point.run_id == "m15" else point for point in monthly(12)]
    assert "m15" in found(monthly(12))
    assert "m15" not in found(points, a_rule(keep={"daily": 3, "monthly": 12}, partial_counts=True))


@pytest.mark.parametrize("keep", [{"last": 99}, {"daily": 99}, {"weekly": 99}, {"within": "999d", "daily": 1}])
def test_what_stays_for_another_reason_as_well_is_not_archived(keep) -> None:
    assert found(monthly(12), a_rule(keep={"monthly": 12, "yearly": 3, **keep})) == {}
    assert found(monthly(12), a_rule(keep={"monthly": 12}, at_least=99)) == {}


def test_a_point_that_stands_for_a_year_and_a_month_stays_for_the_longer_of_both() -> None:
    points = [*monthly(12), a_point("y", datetime(2025, 12, 31, 2, tzinfo=UTC))]
    found_ones = found(points, a_rule(keep={"daily": 3, "monthly": 12, "yearly": 3}))
    assert found_ones["y"] == datetime(2028, 1, 1, tzinfo=UTC).date()


@pytest.mark.parametrize("count", [9_999, 10_000])
def test_a_rule_for_longer_than_the_calendar_has_is_for_ever(count: int) -> None:
    points = [*monthly(3), a_point("y", datetime(2024, 6, 1, tzinfo=UTC))]
    assert found(points, a_rule(keep={"daily": 3, "yearly": count}))["y"].year == 9999


def test_what_is_archived_or_was_weighed_this_week_is_left_alone_and_what_was_begun_is_not() -> None:
    points = monthly(12)
    assert found(points, archived_at=NOW - timedelta(days=400)) == {}
    assert found(points, weighed_at=NOW - timedelta(days=6)) == {}
    assert found(points, weighed_at=NOW - timedelta(days=7)) != {}
    assert found(points, weighed_at=NOW, archiving=True) == found(points)


def test_nothing_whole_archives_nothing() -> None:
    assert found([replace(point, status="Failed") for point in monthly(12)]) == {}
    assert found([]) == {}


@in_parts(histories(), rules(), ARCHIVES)
def test_what_is_due_stays_by_months_or_years_alone_and_is_none_of_the_newest(points, rule, archive) -> None:
    """A second reading: without months and years it would go, and it is neither the newest of a kind nor in use."""
    quick = rule.model_copy(update={"keep": rule.keep.model_copy(update={"monthly": 0, "yearly": 0})})
    stays, without = second_reading(points, rule, NOW), second_reading(points, quick, NOW)
    for run_id in found(points, rule, archive):
        [point] = [point for point in points if point.run_id == run_id]
        assert run_id in stays
        assert run_id not in without
        assert (point.status, point.removing, point.kept_for) == ("Successful", False, ())
        whole = [p for p in points if p.status == "Successful" and not p.removing and p.at <= NOW + timedelta(hours=1)]
        assert point.order < max(p.order for p in whole)
        assert (max(whole, key=lambda p: p.order).at - point.at).days >= archive.after_days - 1


@in_parts(histories(), rules(), ARCHIVES, st.lists(st.integers(0, 2), min_size=1, max_size=12))
def test_what_is_due_is_kept_until_its_day_whatever_backups_come(points, rule, archive, gaps) -> None:
    """Night after night, with gaps, until the last day before the one on which the rule may let it go."""
    points = [point for point in points if point.at <= NOW]
    due_ones = found(points, rule, archive)
    if not due_ones:
        return
    last = min(max(due_ones.values()), (NOW + timedelta(days=800)).date())
    at, number, left = NOW, 0, points
    while at.astimezone(rule.zone).date() < last:
        left = [*left, a_point(f"z{number:04}", at)]
        found_now = {each.point.run_id for each in decide(left, rule, at) if each.keep}
        day = at.astimezone(rule.zone).date()
        assert {run_id for run_id, until in due_ones.items() if day < until} <= found_now
        left = [point for point in left if point.run_id in found_now]
        at += timedelta(days=14 * gaps[number % len(gaps)] + 1)
        number += 1


@MANY
@given(histories(), rules(), ARCHIVES)
def test_it_has_its_days_to_stay_from_now_on(points, rule, archive) -> None:
    today = NOW.astimezone(rule.zone).date()
    assert all((until - today).days >= archive.keep_days >= 90 for until in found(points, rule, archive).values())


@MANY
@given(histories(), rules(), ARCHIVES)
def test_being_archived_changes_no_points_fate(points, rule, archive) -> None:
    before = decide(points, rule, NOW)
    due_ones = found(points, rule, archive)
    after = decide([replace(p, archived=p.run_id in due_ones) for p in points], rule, NOW)
    assert [(d.keep, d.because) for d in before] == [(d.keep, d.because) for d in after]


@MANY
@given(histories(), rules(), ARCHIVES, st.integers(-500, 500))
def test_a_clock_that_is_ahead_archives_no_more(points, rule, archive, days) -> None:
    """Behind, only what is newer than that is of the future, and known as such."""
    points = [point for point in points if point.at <= NOW]
    ahead = found(points, rule, archive, now=NOW + timedelta(days=abs(days)))
    assert ahead.keys() <= found(points, rule, archive).keys()


@given(st.lists(st.tuples(st.integers(1, 2**44), st.integers(0, 2**44)), min_size=1, max_size=5))
def test_the_archive_is_cheaper_where_more_than_a_quarter_is_its_own(sizes) -> None:
    weighed = weigh([Size(full, min(own, full)) for full, own in sizes])
    full, own = sum(full for full, _ in sizes), sum(min(own, full) for full, own in sizes)
    if abs(full - 4 * own) > full * 1e-9:
        assert weighed.is_cheaper == (4 * own > full)


def test_both_prices_are_said() -> None:
    weighed = weigh([Size(100 * GIB, 40 * GIB), Size(20 * GIB, 0)])
    assert weighed.is_cheaper
    assert weighed.because == (
        "120.00 GiB in full are $1.5000 a month in the archive, and of these 40.00 GiB that nothing else holds are "
        "$2.0000 in the standard tier"
    )


def an_existing(days: int, **changes) -> Existing:
    values = {"run_id": "r", "built_for": "", "state": "completed", "hold": None, "removing": False, "size_gib": 8}
    return Existing(**(values | {"started_at": NOW + timedelta(days=days), "volume_id": "vol-1"} | changes))


def test_the_neighbours_are_the_nearest_ones_of_the_volume_that_may_share_its_data() -> None:
    others = {
        "far": an_existing(-9),
        "before": an_existing(-3),
        "archived": an_existing(-1, archived=True),
        "other": an_existing(-1, volume_id="vol-2"),
        "pending": an_existing(1, state="pending"),
        "after": an_existing(4),
        "later": an_existing(8),
    }
    assert neighbours("me", an_existing(0), others | {"me": an_existing(0)}) == ("before", "after")
    assert neighbours("me", an_existing(-30), others) == ("", "far")
    assert neighbours("me", an_existing(30), others) == ("later", "")


def policy_that(**given_):
    return read_policy({**a_policy_document(), **given_}, "p.yaml")


def test_a_policys_remark_has_the_prices_the_minimum_and_the_hours() -> None:
    words = archive_remark(policy_that(keep={"monthly": 12}, archive={"after_days": 60}))
    for part in ("60 days older than the newest", "$0.0125 a GiB and month", "at least 90 days ($0.0375 a GiB)",
                 "($0.05)", "a quarter of it", "up to 72 h more", "$0.03 a GiB"):  # fmt: skip
        assert part in words
    assert "go too early" not in words
    words = archive_remark(policy_that(keep={"monthly": 3, "yearly": 3}, archive={"after_days": 60}))
    assert "monthly ones go too early by 'keep', and stay in the standard tier" in words
    assert archive_remark(policy_that(keep={"monthly": 12})) == ""
