"""The mutations still fit the guest; ``make mutations`` checks with a PowerShell that each is caught."""

import pytest

from guest.document import read_parts
from tests.guest import cases
from tools.guest.mutations import CHECKER, Mutation, load

MUTATIONS = load()
ENOUGH = 26


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_changes_one_place_and_names_what_catches_it(mutation: Mutation) -> None:
    parts = read_parts()
    assert mutation.applied(parts) != parts
    assert mutation.caught_by in {CHECKER, *(case.name for case in cases.load())}


def test_there_are_enough_of_them_and_none_twice() -> None:
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS) >= ENOUGH
