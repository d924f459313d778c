"""By which text of a policy a run goes."""

from types import SimpleNamespace
from typing import Any

import pytest

from quiesce.errors import PolicyRefused
from quiesce.steps.policy_in_force import policy_in_force
from tests.support.factories.run import INSTANCE

GOOD = f"name: orders\ntargets: [{{instance_id: {INSTANCE}}}]\n"


def in_force(content: str, kept: str, *, scheduled: bool) -> Any:
    bucket: Any = SimpleNamespace(read_policy=lambda _name: (content.encode(), "orders.yaml"))
    table: Any = SimpleNamespace(text=lambda _name: kept)
    return policy_in_force(bucket, table, "orders", scheduled=scheduled)


@pytest.mark.parametrize("scheduled", [True, False])
def test_a_good_file_counts_as_it_is_even_before_anything_has_looked_at_it(scheduled: bool) -> None:
    found = in_force(GOOD + "owner: new\n", GOOD, scheduled=scheduled)
    assert (found.policy.owner, found.note) == ("new", "")


def test_a_scheduled_run_of_a_bad_file_goes_by_the_last_good_text_and_says_so() -> None:
    found = in_force("x", GOOD, scheduled=True)
    assert (found.policy.name, found.content) == ("orders", GOOD.encode())
    assert found.note.startswith("the policy's file is bad, and its last good text is in force: orders.yaml: ")


def test_a_person_who_starts_a_run_of_a_bad_file_hears_of_its_error() -> None:
    with pytest.raises(PolicyRefused, match=r"^orders\.yaml: is not a policy"):
        in_force("x", GOOD, scheduled=False)


def test_a_bad_file_without_a_text_in_force_is_refused_by_schedule_too() -> None:
    with pytest.raises(PolicyRefused, match=r"^orders\.yaml: is not a policy"):
        in_force("x", "", scheduled=True)
