"""Histories of recovery points for the tests of retention, and a second reading of its rules."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from quiesce.policy.keep import Retention
from quiesce.retention.decision import Point

NOW = datetime(2026, 11, 28, 3, tzinfo=UTC)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata")

# What `make grids` tries of a property, and in how many parts, of which a sample tries three.
EXAMPLES, PARTS = 2_000, 20


def a_rule(**fields) -> Retention:
    return Retention.model_validate({"keep": {"daily": 3}, "at_least": 1, **fields})


def a_point(run_id: str, at: datetime, **fields) -> Point:
    values = {"ended_at": at + timedelta(minutes=20), "status": "Successful", "application": True, **fields}
    return Point(run_id, at, **values)


def nights(count: int, last: datetime = NOW, **fields) -> list[Point]:
    """Return a good recovery point of each of so many nights, oldest first."""
    return [a_point(f"n{n:03}", last - timedelta(days=count - 1 - n), **fields) for n in range(count)]


@st.composite
def rules(draw) -> Retention:
    few = st.integers(0, 4)
    keep = {name: draw(few) for name in ("last", "daily", "weekly", "monthly", "yearly")}
    if not any(keep.values()):
        keep["daily"] = 1
    if draw(st.booleans()):
        keep["within"] = f"{draw(st.integers(1, 40))}d"
    return Retention.model_validate(
        {
            "keep": keep,
            "at_least": draw(st.integers(1, 3)),
            "partial_counts": draw(st.booleans()),
            "keep_partial_days": draw(st.integers(1, 9)),
            "timezone": draw(st.sampled_from(ZONES)),
        }
    )


@st.composite
def histories(draw) -> list[Point]:
    """Points with gaps, failures, holds, equal times, unreadable records, and clocks that jumped, in any order."""
    at = datetime(2024, 1, 1, 1, 30, tzinfo=UTC) + timedelta(days=draw(st.integers(0, 600)))
    points = []
    for number in range(draw(st.integers(0, 24))):
        at += draw(
            st.sampled_from([timedelta(0), timedelta(hours=1), timedelta(hours=23), timedelta(days=1)])
            | st.integers(0, 90).map(lambda days: timedelta(days=days))
        )
        jump = draw(st.sampled_from([0, 0, 0, 0, 0, 0, 0, 400, 4000]))
        points.append(
            a_point(
                f"p{number:02}",
                at + timedelta(days=jump),
                status=draw(st.sampled_from(["Successful"] * 4 + ["PartiallySuccessful", "Failed", None])),
                application=draw(st.booleans()),
                kept_for=tuple(draw(st.sets(st.sampled_from(["held", "leased", "locked"]), max_size=1))),
                removing=draw(st.sampled_from([False] * 9 + [True])),
            )
        )
    return draw(st.permutations(points))


def second_reading(points: Sequence[Point], rule: Retention, now: datetime) -> set[str]:  # noqa: C901 - all rules at once
    """Return the ids of what stays, read from the rules anew: by asking of each point who else could stand for it."""

    def day(point):
        return point.at.astimezone(rule.zone).date()

    def newer(a, b):
        return a.at > b.at or (a.at == b.at and a.run_id > b.run_id)

    def counts(point):
        good = {"Successful", "PartiallySuccessful"} if rule.partial_counts else {"Successful"}
        return point.status in good and not point.removing and point.at <= now + timedelta(hours=1)

    def stands(point, name):
        key = {"daily": "%F", "weekly": "%G-%V", "monthly": "%Y-%m", "yearly": "%Y"}[name]
        period = format(day(point), key)
        if any(newer(other, point) and format(day(other), key) == period for other in whole):
            return False
        later = {format(day(other), key) for other in whole if newer(other, point)}
        return len(later) < getattr(rule.keep, name)

    whole = [point for point in points if counts(point)]
    stays = set()
    for point in points:
        future = point.at > now + timedelta(hours=1)
        if future or point.status is None or point.kept_for:
            stays.add(point.run_id)
        elif point.removing:
            continue
        elif point in whole:
            ahead = [other for other in whole if newer(other, point)]
            newest = max(day(other) for other in whole)
            if (
                len(ahead) < max(1, rule.at_least, rule.keep.last)
                or (point.status == "Successful" and not any(other.status == "Successful" for other in ahead))
                or (point.application and not any(other.application for other in ahead))
                or any(stands(point, name) for name in ("daily", "weekly", "monthly", "yearly"))
                or (rule.keep.within and (newest - day(point)).days <= int(rule.keep.within.rstrip("d")))
            ):
                stays.add(point.run_id)
        else:
            later = [other for other in whole if (day(other) - day(point)).days >= rule.keep_partial_days]
            best = [
                p for p in points
                if p.application and p.status in ("Successful", "PartiallySuccessful") and not p.removing
                and p.at <= now + timedelta(hours=1)
            ]  # fmt: skip
            if not later or (point in best and not any(newer(other, point) for other in best)):
                stays.add(point.run_id)
    return stays


def in_parts(*strategies: Any) -> Callable[[Callable[..., None]], Callable[[int], None]]:
    """Test a property by 2,000 histories: a grid of 20 parts, each with examples of its own, the same on every run."""

    def decorate(holds: Callable[..., None]) -> Callable[[int], None]:
        @pytest.mark.grid
        @pytest.mark.parametrize("part", range(PARTS))
        def test(part: int) -> None:
            some = settings(max_examples=EXAMPLES // PARTS, deadline=None)
            seed(part)(some(given(*strategies)(holds)))()

        test.__name__, test.__doc__ = holds.__name__, holds.__doc__
        return test

    return decorate
