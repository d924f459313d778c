"""What a policy says of locks, and the refusal of what can't be undone or has no meaning."""

import pytest

from quiesce.errors import PolicyRefused
from quiesce.policy.file import read_policy
from quiesce.policy.lock import Lock
from tests.support.factories.run import a_policy_document


def lock_of(**lock):
    return read_policy({**a_policy_document(), "lock": lock}, "p.yaml").lock


def test_a_policy_locks_nothing_unless_it_says_so() -> None:
    assert read_policy(a_policy_document(), "p.yaml").lock is None


def test_a_lock_is_taken_as_it_is_written() -> None:
    assert lock_of(mode="governance", days=30) == Lock(mode="governance", days=30)
    full = {"mode": "compliance", "days": 36_500, "cool_off_hours": 72, "i_know": True}
    assert lock_of(**full) == Lock(**full)


@pytest.mark.parametrize(
    ("lock", "words"),
    [
        ({"mode": "governance"}, "lock.days: is missing"),
        ({"days": 30}, "lock.mode: is missing"),
        ({"mode": "forever", "days": 30}, "must be 'governance' or 'compliance'"),
        ({"mode": "governance", "days": 0}, "must be a whole number from 1 to 36500"),
        ({"mode": "governance", "days": 36_501}, "must be a whole number from 1 to 36500"),
        ({"mode": "governance", "days": "30"}, "must be a whole number"),
        ({"mode": "governance", "days": 30, "until": "2027"}, "is not a field that quiesce knows"),
        ({"mode": "governance", "days": 30, "cool_off_hours": 1}, "'cool_off_hours' is of 'compliance' alone"),
        ({"mode": "compliance", "days": 30, "i_know": True, "cool_off_hours": 73}, "a whole number from 1 to 72"),
        ({"mode": "compliance", "days": 30, "i_know": True, "cool_off_hours": 0}, "a whole number from 1 to 72"),
        ({"mode": "compliance", "days": 30}, "can't be undone: nobody, not even AWS"),
        ({"mode": "compliance", "days": 30, "i_know": False}, "add 'i_know: true'"),
        ({"mode": "compliance", "days": 30, "i_know": "yes"}, "must be true or false"),
    ],
)
def test_a_lock_that_cannot_be_meant_is_refused(lock, words: str) -> None:
    with pytest.raises(PolicyRefused) as refused:
        lock_of(**lock)
    assert words in str(refused.value)
