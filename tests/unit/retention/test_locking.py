"""For how long a recovery point is locked, and the price of a lock that is longer than the rule."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiesce.policy.file import read_policy
from quiesce.policy.lock import Lock
from quiesce.retention.decision import decide
from quiesce.retention.locking import days_left, lock_remark
from tests.support.factories.run import a_policy_document
from tests.unit.retention.histories import NOW, a_rule, nights


@pytest.mark.parametrize(
    ("age", "days"),
    [
        (timedelta(0), 10),
        (timedelta(minutes=5), 10),
        (timedelta(days=1), 9),
        (timedelta(days=9, hours=23), 1),
        (timedelta(days=10), 0),
        (timedelta(days=4000), 0),
        (timedelta(days=-400), 10),
    ],
)
def test_the_days_count_from_the_end_of_the_run(age: timedelta, days: int) -> None:
    assert days_left(Lock(mode="governance", days=10), NOW - age, NOW) == days


@given(st.integers(1, 36_500), st.integers(-(10**7), 10**9), st.integers(0, 10**8))
def test_a_lock_that_is_asked_for_later_ends_less_than_a_day_after_the_first_and_is_never_longer(
    days: int, age_s: int, wait_s: int
) -> None:
    lock, ended_at = Lock(mode="governance", days=days), NOW - timedelta(seconds=age_s)
    first, later = (days_left(lock, ended_at, at) for at in (NOW, NOW + timedelta(seconds=wait_s)))
    assert 0 <= later <= first <= days
    assert not later or timedelta(seconds=wait_s, days=later - first) < timedelta(days=1) or age_s < 0


def policy_that(**given):
    return read_policy({**a_policy_document(), **given}, "p.yaml")


@pytest.mark.parametrize(
    ("keep", "kept", "dollars"),
    [
        ({"last": 7, "daily": 14}, 14, "0.03"),
        ({"daily": 7, "within": "20d"}, 21, "0.01"),
        ({"weekly": 8, "monthly": 12}, 3, "0.05"),
        ({"last": 29, "daily": 14}, 29, "0.00"),
    ],
)
def test_a_lock_that_holds_longer_than_the_rule_has_its_price(keep, kept: int, dollars: str) -> None:
    words = lock_remark(policy_that(keep=keep, lock={"mode": "governance", "days": 30}))
    assert f"for 30 days, and by 'keep' some would go after {kept}, at one a day" in words
    assert f"they stay {30 - kept} days longer, and each GiB that only they hold costs ${dollars} more" in words


def test_a_rule_that_keeps_longer_than_the_lock_and_a_policy_without_either_have_no_remark() -> None:
    lock = {"mode": "governance", "days": 30}
    assert lock_remark(policy_that(keep={"daily": 30}, lock=lock)) == ""
    assert lock_remark(policy_that(lock=lock)) == ""
    assert lock_remark(policy_that(keep={"daily": 3})) == ""


@pytest.mark.parametrize("keep", [{"last": 5}, {"daily": 6, "weekly": 3}, {"weekly": 4}, {"last": 2, "within": "9d"}])
def test_the_days_of_the_remark_are_those_after_which_the_rule_removes_the_first(keep) -> None:
    """Night after night, by the rule itself."""
    rule, points, ages = a_rule(keep=keep, at_least=3), [], set()
    for night in nights(60):
        points.append(night)
        found = decide(points, rule, night.at)
        ages |= {(night.at - each.point.at).days for each in found if not each.keep}
        points = [each.point for each in found if each.keep]
    kept = min(ages)
    words = lock_remark(policy_that(keep=keep, at_least=3, lock={"mode": "governance", "days": 90}))
    assert f"some would go after {kept}," in words
