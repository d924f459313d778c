"""The account of a failed recovery: what to do with what exists follows from the error, never from its words."""

import pytest

from quiesce.errors import NEXT, ChangeRefused, NotReady, RecoveryBroken, RecoveryUsedUp
from quiesce.executions import Cause
from quiesce.recovery.account import OTHER_ID, Remains, failed
from tests.support.factories.recovery import a_recovery_plan, an_ending

VOLUME = Remains(kind="volume", resource_id="vol-1", state="error", what="xvdf")
EXISTS = "This exists: volume vol-1 (error)"


def reason(error: type[Exception], words: str = "so.") -> str:
    return failed(an_ending(), a_recovery_plan(), Cause(error.__name__, words), [VOLUME]).reason


def test_where_the_id_is_used_up_the_account_does_not_say_to_go_on_under_it() -> None:
    assert reason(RecoveryUsedUp) == (
        f"RecoveryUsedUp: so. {EXISTS}; to delete it, start 'drill-7' again with on_failure 'clean-up'."
    )


@pytest.mark.parametrize("error", [ChangeRefused, NotReady, RecoveryBroken])
def test_after_any_other_error_the_recovery_goes_on_whatever_the_words_are(error: type[Exception]) -> None:
    words, to_do = f"if it was deleted, {OTHER_ID}", NEXT.get(error.__name__)
    then = f"Next: {to_do}. " if to_do else ""
    assert reason(error, words) == (
        f"{error.__name__}: {words}. {then}{EXISTS}; to go on, start it again under recovery_id 'drill-7'; "
        "with on_failure 'clean-up', this is deleted if it fails again."
    )
