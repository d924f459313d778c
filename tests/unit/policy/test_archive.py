"""What a policy says of the archive, and the refusal of what would archive nothing, or is billed for nothing."""

from datetime import date

import pytest

from quiesce.errors import PolicyRefused
from quiesce.policy.archive import Archive, shortest_stays
from quiesce.policy.file import read_policy
from quiesce.policy.keep import Keep
from tests.support.factories.run import a_policy_document

KEEP = {"daily": 14, "monthly": 12, "yearly": 3}


def policy_that(archive, keep=KEEP):
    document = {**a_policy_document(), "archive": archive, **({"keep": keep} if keep else {})}
    return read_policy(document, "p.yaml")


def test_a_policy_archives_nothing_unless_it_says_so() -> None:
    assert read_policy(a_policy_document(), "p.yaml").archive is None


def test_an_archive_is_taken_as_it_is_written_and_its_90_days_need_not_be() -> None:
    assert policy_that({"after_days": 60, "keep_days": 200}).archive == Archive(after_days=60, keep_days=200)
    assert policy_that({"after_days": 60}).archive == Archive(after_days=60, keep_days=90)


@pytest.mark.parametrize(
    ("archive", "words"),
    [
        ({"keep_days": 90}, "archive.after_days: is missing"),
        ({"after_days": 0}, "must be a whole number from 1 to 36500"),
        ({"after_days": 36_501}, "must be a whole number from 1 to 36500"),
        ({"after_days": "60"}, "must be a whole number"),
        ({"after_days": 60, "tier": "cold"}, "is not a field that quiesce knows"),
        ({"after_days": 60, "keep_days": 0}, "must be a whole number from 1 to 36500"),
        ({"after_days": 60, "keep_days": 89}, "EBS bills 90 days of the archive in any case, $0.0375 for each GiB"),
    ],
)
def test_an_archive_that_cannot_be_meant_is_refused(archive, words: str) -> None:
    with pytest.raises(PolicyRefused) as refused:
        policy_that(archive)
    assert words in str(refused.value)


@pytest.mark.parametrize("keep", [None, {"last": 7, "daily": 400, "weekly": 90, "within": "400d"}])
def test_without_monthly_or_yearly_ones_there_is_nothing_to_archive(keep) -> None:
    with pytest.raises(PolicyRefused, match=r"stays by keep\.monthly or keep\.yearly, and 'keep' has neither"):
        policy_that({"after_days": 60}, keep)


def test_a_rule_by_which_they_go_before_their_days_are_over_is_refused_with_dollars() -> None:
    with pytest.raises(PolicyRefused) as refused:
        policy_that({"after_days": 60}, {"daily": 7, "monthly": 5})
    words = str(refused.value)
    assert "a monthly one may go after 121 days, which is 61 days after 'archive' took it" in words
    assert "90 days are billed, $0.0375 for each GiB of the snapshot in full" in words
    assert "those 61 days cost at most $0.1017 for a GiB" in words


@pytest.mark.parametrize(
    ("archive", "keep", "good"),
    [
        ({"after_days": 31}, {"monthly": 5}, True),
        ({"after_days": 32}, {"monthly": 5}, False),
        ({"after_days": 600}, {"monthly": 3, "yearly": 3}, True),
        ({"after_days": 642}, {"monthly": 3, "yearly": 3}, False),
        ({"after_days": 30, "keep_days": 400}, {"monthly": 12}, False),
    ],
)
def test_one_part_that_keeps_long_enough_is_enough(archive, keep, good: bool) -> None:
    if good:
        assert policy_that(archive, keep).archive
    else:
        with pytest.raises(PolicyRefused):
            policy_that(archive, keep)


@pytest.mark.parametrize("months", [*range(1, 30), 60])
def test_the_shortest_stay_is_that_of_the_calendar(months: int) -> None:
    """From the last day of each month of four years, to the first of the month after the last that counts."""
    found = []
    for month in range(2023 * 12, 2027 * 12):
        made = _first(month + 1).toordinal() - 1
        found.append(_first(month + months).toordinal() - made)
    shortest = shortest_stays(Keep(monthly=months, yearly=1))
    assert shortest["yearly"] == 1
    assert 0 <= min(found) - shortest["monthly"] <= months // 48 + 1


def _first(month: int) -> date:
    return date(month // 12, month % 12 + 1, 1)
