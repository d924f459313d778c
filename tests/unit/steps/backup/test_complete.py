"""Complete keeps what Windows lists of the shadow copies, unless Thaw has kept it already."""

import pytest

from quiesce.backup.state import Thaw
from quiesce.steps.backup.complete import new_listing
from tests.support.factories.run import a_session, a_thaw

SESSION = a_session("ended", attempt=2)


def thawed(attempt: int, listing: str) -> Thaw:
    return a_thaw(a_session("thawed", attempt=attempt)).model_copy(update={"listing": listing})


@pytest.mark.parametrize(
    ("thaw", "kept"),
    [
        (thawed(2, "same"), ""),
        (thawed(2, "another"), "same"),
        (thawed(1, "same"), "same"),
        (a_thaw(None), "same"),
        (None, "same"),
    ],
    ids=["the same", "another", "an earlier attempt's", "Thaw had nothing to do", "Thaw failed"],
)
def test_a_listing_is_left_out_only_if_thaw_kept_the_same_of_this_attempt(thaw: Thaw | None, kept: str) -> None:
    assert new_listing(thaw, SESSION, "same") == kept
