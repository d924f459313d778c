"""A plan's id, the days of a changed rule, the daily limit, and clocks."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quiesce.retention.listing import describe
from quiesce.retention.plan import Former, Group, clock_problem, idle_parts, make_plan
from tests.unit.retention.histories import NOW, a_point, a_rule, histories, in_parts, nights, rules, second_reading

GROUP = Group("i-0123456789abcdef0", "orders")


def going(plan) -> list[str]:
    return [decision.point.run_id for decision in plan.removals]


def test_a_plan_has_the_same_id_only_as_long_as_group_rule_points_and_holds_are_the_same() -> None:
    points, rule = nights(5), a_rule()
    first = make_plan(GROUP, points, rule, NOW).plan_id
    assert make_plan(GROUP, points[::-1], rule, NOW + timedelta(hours=5)).plan_id == first
    others = [
        make_plan(replace(GROUP, policy="other"), points, rule, NOW),
        make_plan(replace(GROUP, instance_id="i-0123456789abcdef1"), points, rule, NOW),
        make_plan(GROUP, points, a_rule(keep={"daily": 4}), NOW),
        make_plan(GROUP, points, a_rule(timezone="Europe/Berlin"), NOW),
        make_plan(GROUP, points[1:], rule, NOW),
        make_plan(GROUP, [replace(points[0], kept_for=("held",)), *points[1:]], rule, NOW),
        make_plan(GROUP, [replace(points[0], removing=True), *points[1:]], rule, NOW),
    ]
    assert len({first, *(plan.plan_id for plan in others)}) == len(others) + 1


def test_a_changed_rule_removes_for_three_days_nothing_that_the_former_one_keeps() -> None:
    points, rule, former = nights(7), a_rule(), [Former(a_rule(keep={"daily": 6}), NOW - timedelta(days=1))]
    plan = make_plan(GROUP, points, rule, NOW, formers=former)
    assert going(plan) == ["n000"]
    assert plan.decisions[4].because == ("the former rule, until 2026-11-30 03:00 UTC: daily 5 of 6",)
    assert going(make_plan(GROUP, points, rule, NOW + timedelta(days=2), formers=former)) == [
        "n003",
        "n002",
        "n001",
        "n000",
    ]


# The rules before, each with the hours since it was replaced; None: every recovery point stayed.
FORMERS = st.lists(st.tuples(st.none() | rules(), st.integers(0, 100)), max_size=3)


@in_parts(histories(), rules(), FORMERS)
def test_a_changed_rule_removes_only_what_no_rule_of_the_last_three_days_keeps(points, rule, changes) -> None:
    formers = [Former(old, NOW - timedelta(hours=hours)) for old, hours in changes]
    plan = make_plan(GROUP, points, rule, NOW, formers=formers)
    stays = second_reading(points, rule, NOW)
    for old, hours in changes:
        if hours < 72:
            kept = second_reading(points, old, NOW) if old else {p.run_id for p in points if not p.removing}
            stays |= kept
    assert set(going(plan)) == {point.run_id for point in points} - stays
    confirmed = make_plan(GROUP, points, rule, NOW, formers=formers, confirmed=plan.plan_id)
    assert set(going(confirmed)) == {p.run_id for p in points} - second_reading(points, rule, NOW)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=30),
    st.lists(rules(), min_size=4, max_size=4),
    st.integers(1, 3),
)
def test_over_any_changes_of_the_rule_nothing_goes_that_a_rule_of_these_days_keeps_nor_by_a_second_look(
    in_force, choice, looks
) -> None:
    """Night by night with a new recovery point; in the end the last rule alone decides, however often it was looked."""
    formers, left, before = [], [], choice[in_force[0]]
    for number, night in enumerate(nights(len(in_force) + 4)):
        rule = choice[in_force[min(number, len(in_force) - 1)]]
        if rule != before:
            formers.append(Former(before, night.at))
        before, recent = rule, [former.rule for former in formers if night.at < former.changed_at + timedelta(days=3)]
        left.append(night)
        must = set().union(*(second_reading(left, each, night.at) for each in [rule, *recent]))
        for _ in range(looks):
            gone = going(make_plan(GROUP, left, rule, night.at, formers=formers))
            left = [point for point in left if point.run_id not in gone]
        assert must <= {point.run_id for point in left}
    assert {point.run_id for point in left} == second_reading(left, before, left[-1].at)


def test_a_person_ends_these_days_with_this_very_plan_and_with_no_other() -> None:
    points, rule, former = nights(7), a_rule(), [Former(a_rule(keep={"daily": 7}), NOW)]
    shown = make_plan(GROUP, points, rule, NOW, formers=former)
    assert going(shown) == []
    assert len(going(make_plan(GROUP, points, rule, NOW, formers=former, confirmed=shown.plan_id))) == 4
    held = [replace(points[0], kept_for=("held",)), *points[1:]]
    assert going(make_plan(GROUP, held, rule, NOW, formers=former, confirmed=shown.plan_id)) == []


def test_the_nightly_removals_of_a_rule_stay_below_the_limit_every_night() -> None:
    """Hourly points, 24 of them a day: the removals of a day are as many as the day's points, and no more."""
    hours = [a_point(f"h{n:03}", NOW - timedelta(hours=77 - n)) for n in range(78)]
    plan = make_plan(GROUP, hours, a_rule(keep={"last": 50}), NOW)
    assert (len(plan.removals), plan.problem) == (28, "")


@pytest.mark.parametrize(("count", "removed", "refused"), [(8, 0, False), (9, 0, False), (10, 0, True), (8, 2, True)])
def test_more_removals_than_a_days_limit_need_a_persons_word(count: int, removed: int, refused: bool) -> None:
    """One point became whole in these 24 hours, so 1 + 5 may go: those of the day before count as well."""
    points, gone = nights(count), [NOW - timedelta(hours=2)] * removed
    plan = make_plan(GROUP, points, a_rule(), NOW, removed=gone)
    assert bool(plan.problem) == refused
    assert not make_plan(GROUP, points, a_rule(), NOW, removed=gone, confirmed=plan.plan_id).problem
    assert not make_plan(GROUP, points[-9:], a_rule(), NOW, removed=[NOW - timedelta(hours=24)]).problem


def test_what_has_begun_to_be_removed_was_counted_when_it_began() -> None:
    points = [replace(point, removing=number < 7) for number, point in enumerate(nights(10))]
    plan = make_plan(GROUP, points, a_rule(), NOW)
    assert (len(plan.removals), plan.problem) == (7, "")


@pytest.mark.parametrize(("seconds", "agrees"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)])
def test_nothing_is_removed_by_a_clock_that_differs_from_awss_by_more_than_five_minutes(seconds, agrees) -> None:
    assert (clock_problem(NOW, NOW + timedelta(seconds=seconds)) == "") == agrees


def test_parts_of_a_rule_that_keep_nothing_of_their_own_are_named() -> None:
    """The figures of a nightly backup: 45 recovery points stay, and within 30d covers last 7 and daily 14."""
    keep = {"last": 7, "daily": 14, "weekly": 8, "monthly": 12, "yearly": 3, "within": "30d"}
    rule = a_rule(keep=keep, at_least=3)
    plan = make_plan(GROUP, nights(1500), rule, NOW)
    assert len(plan.decisions) - len(plan.removals) == 45
    assert idle_parts(plan.decisions, rule) == ["last", "daily"]
    words = describe(plan, rule)
    assert "Nothing stays by last or daily alone: other parts of the rule keep the same ones." in words
    assert "Not without a person's word: 1455 of 1500 recovery points would go; more than 301 in 24 hours" in words
