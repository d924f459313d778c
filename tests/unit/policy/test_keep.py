"""What a policy says of retention, and the refusal of what keeps nothing."""

import pytest

from quiesce.errors import PolicyRefused
from quiesce.policy.file import read_policy
from quiesce.policy.keep import Keep, Retention
from tests.support.factories.run import a_policy_document


def a_policy_that(**given):
    return read_policy({**a_policy_document(), **given}, "p.yaml")


def test_a_policy_without_keep_removes_nothing() -> None:
    assert a_policy_that().retention is None


def test_a_policy_gives_its_whole_rule() -> None:
    policy = a_policy_that(
        keep={"last": 7, "daily": 14, "weekly": 8, "monthly": 12, "yearly": 3, "within": "30d"},
        at_least=2,
        partial_counts=True,
        keep_partial_days=3,
        timezone="Europe/Berlin",
    )

    assert policy.retention == Retention(
        keep=Keep(last=7, daily=14, weekly=8, monthly=12, yearly=3, within="30d"),
        at_least=2,
        partial_counts=True,
        keep_partial_days=3,
        timezone="Europe/Berlin",
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"keep": {}}, "keeps nothing by itself; give 'last' or one of 'daily'"),
        ({"keep": {"daily": 0, "last": 0}}, "keeps nothing by itself"),
        ({"keep": {"within": "30d"}}, "keeps nothing by itself"),
        ({"keep": {"last": -1}}, "keep.last"),
        ({"keep": {"last": True}}, "keep.last"),
        ({"keep": {"daily": 3, "within": "1m"}}, "must be a number of days from 1d to 99999d, such as 30d"),
        ({"keep": {"daily": 3, "within": "0d"}}, "must be a number of days from 1d"),
        ({"keep": {"hourly": 3}}, "keep.hourly"),
        ({"keep": {"daily": 3}, "at_least": 0}, "at_least"),
        ({"at_least": 2}, "'at_least' has no meaning without 'keep'"),
        ({"keep_partial_days": 3}, "'keep_partial_days' has no meaning without 'keep'"),
        ({"timezone": "W. Europe Standard Time"}, "write Europe/Berlin"),
    ],
)
def test_a_rule_that_keeps_nothing_or_cannot_be_meant_is_refused(given, words: str) -> None:
    with pytest.raises(PolicyRefused) as refused:
        a_policy_that(**given)
    assert words in str(refused.value)
