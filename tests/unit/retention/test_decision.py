"""Which recovery points stay, and why."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings

from quiesce.policy.keep import Retention
from quiesce.retention.decision import BEGUN, Decision, decide
from tests.unit.retention.histories import (
    NOW,
    ZONES,
    a_point,
    a_rule,
    histories,
    in_parts,
    nights,
    rules,
    second_reading,
)

EXAMPLES = json.loads((Path(__file__).parent / "examples.json").read_text())["examples"]
STATUS = {"Successful": "Successful", "Partial": "PartiallySuccessful", "Failed": "Failed", "Unreadable": None}
# Of each property by itself.
MANY = settings(max_examples=300, deadline=None)


def kept(decisions: list[Decision]) -> set[str]:
    return {decision.point.run_id for decision in decisions if decision.keep}


def of_example(point):
    marks = tuple(mark for mark in ("held", "leased") if point.get(mark))
    return a_point(
        point["id"],
        datetime.fromisoformat(point["time"]),
        status=STATUS[point.get("status", "Successful")],
        application=point.get("consistency", "application") == "application",
        kept_for=marks,
    )


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["id"])
def test_a_worked_example_comes_out_as_it_was_worked_out(example) -> None:
    rule = Retention.model_validate(
        {name: example[name] for name in ("keep", "at_least", "partial_counts", "keep_partial_days")}
        | {"timezone": example["zone"]}
    )
    points = [of_example(point) for point in example["points"]]
    found = decide(points, rule, datetime.fromisoformat(example["now"]))
    assert {d.point.run_id: {"keep": d.keep, "because": list(d.because)} for d in found} == example["expect"]
    left = [point for point in points if point.run_id in kept(found)]
    assert kept(decide(left, rule, datetime.fromisoformat(example["now"]))) == {point.run_id for point in left}


@in_parts(histories(), rules())
def test_a_second_reading_of_the_rules_agrees(points, rule) -> None:
    assert kept(decide(points, rule, NOW)) == second_reading(points, rule, NOW)


@MANY
@given(histories(), rules())
def test_a_second_run_removes_nothing_more(points, rule) -> None:
    stays = kept(decide(points, rule, NOW))
    left = [point for point in points if point.run_id in stays]
    assert kept(decide(left, rule, NOW)) == stays


@MANY
@given(histories(), rules())
def test_pruning_after_each_point_ends_as_pruning_once(points, rule) -> None:
    """Points arrive in the order of their times here: one that is of the future, or late, is another matter."""
    ordered = sorted((p for p in points if p.at <= NOW and not p.removing), key=lambda point: point.order)
    left = []
    for point in ordered:
        found = decide([*left, point], rule, NOW)
        left = [p for p in [*left, point] if p.run_id in kept(found)]
    assert {p.run_id for p in left} == kept(decide(ordered, rule, NOW))


@MANY
@given(histories(), rules())
def test_a_hold_and_its_end_change_no_other_points_fate(points, rule) -> None:
    free = [replace(point, kept_for=()) for point in points]
    without, held = decide(free, rule, NOW), decide(points, rule, NOW)
    for before, after in zip(without, held, strict=True):
        assert after.keep == (before.keep or bool(after.point.kept_for))


@MANY
@given(histories(), rules())
def test_what_must_stay_stays_whatever_the_rule_says(points, rule) -> None:
    found = decide(points, rule, NOW)
    going = [decision.point for decision in found if not decision.keep]
    judged = [p for p in points if p.status and not p.removing and p.at <= NOW + timedelta(hours=1)]
    successful = [p for p in judged if p.status == "Successful"]
    consistent = [p for p in judged if p.application and p.status != "Failed"]
    for best in (successful, consistent):
        if best:
            assert max(best, key=lambda point: point.order) not in going
    assert not any(p.kept_for or p.status is None for p in going)
    if not successful and not rule.partial_counts:
        assert all(point.removing for point in going)


def test_a_point_whose_removal_has_begun_takes_no_place_and_is_finished() -> None:
    *older, newest = nights(3)
    found = decide([*older, replace(newest, removing=True)], a_rule(keep={"last": 1}), NOW)
    assert [(d.keep, d.because[0]) for d in found] == [(False, BEGUN), (True, "newest"), (False, "no rule keeps it")]


def test_a_server_that_was_off_for_years_keeps_what_it_had() -> None:
    """Traps 5, 6 and 7: nothing goes by its age from now, and the last good one does not expire."""
    points = nights(5, datetime(2020, 1, 5, 1, tzinfo=UTC))
    rule = a_rule(keep={"daily": 5, "within": "7d"})
    assert kept(decide(points, rule, NOW)) == {point.run_id for point in points}


def test_failed_backups_take_the_place_of_no_good_one() -> None:
    """Trap 8: after a week of failures the good ones are all there."""
    good = nights(3, NOW - timedelta(days=10))
    bad = [a_point(f"x{n}", NOW - timedelta(days=n), status="Failed") for n in range(7)]
    found = decide([*good, *bad], a_rule(keep={"last": 3}), NOW)
    assert {point.run_id for point in good} <= kept(found)


def test_a_clock_far_ahead_removes_nothing_and_a_point_of_it_takes_no_place() -> None:
    """Traps 3 and 11."""
    points = nights(30)
    rule = a_rule(keep={"daily": 30, "within": "30d"})
    ahead = NOW + timedelta(days=365)
    assert kept(decide(points, rule, ahead)) == {point.run_id for point in points}
    future = a_point("z", ahead)
    assert kept(decide([*points, future], rule, NOW)) == {"z", *(point.run_id for point in points)}


def test_another_time_of_day_of_the_schedule_removes_nothing_that_the_rule_keeps() -> None:
    """Trap 10."""
    points = [*nights(5), a_point("later", NOW + timedelta(minutes=50))]
    found = decide(points, a_rule(keep={"daily": 6}), NOW + timedelta(hours=1))
    assert {d.point.run_id: d.because for d in found if not d.keep} == {"n004": ("no rule keeps it",)}


def test_days_are_those_of_the_policys_zone_whatever_zone_a_time_was_written_in() -> None:
    """Traps 2 and 16: half of the points were written down in other zones, and nothing changes by it."""
    points = [
        *nights(40),
        *(replace(point, run_id=f"{point.run_id}-b") for point in nights(40, NOW - timedelta(hours=9))),
    ]
    rule = a_rule(keep={"daily": 9, "weekly": 4, "monthly": 2}, timezone="America/New_York")
    zones = [ZoneInfo(name) for name in ZONES]
    moved = [replace(p, at=p.at.astimezone(zones[n % len(zones)])) for n, p in enumerate(points)]
    assert kept(decide(moved, rule, NOW)) == kept(decide(points, rule, NOW))


def test_the_minimum_counts_generations_and_not_what_failed_or_has_begun_to_go() -> None:
    """Trap 9: below it nothing goes, whatever else is there."""
    good = nights(5, NOW - timedelta(days=10))
    bad = [a_point(f"x{n}", NOW - timedelta(hours=n), status="Failed") for n in range(4)]
    begun = [a_point("y", NOW, removing=True)]
    found = decide([*good, *bad, *begun], a_rule(keep={"yearly": 1}, at_least=4), NOW)
    assert {p.run_id for p in good[1:]} == kept(found) & {p.run_id for p in good}
