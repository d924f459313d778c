"""Every statement of the guest is reached by a contract case, or has a reason why none can reach it."""

import json

from guest.document import SCRIPT
from tests.guest.coverage import RESULT, reasons, script_hash

RECORDED = json.loads(RESULT.read_text())


def test_the_coverage_was_taken_from_this_guest() -> None:
    assert RECORDED["script"] == script_hash(), "make coverage"


def test_what_no_case_reaches_has_its_reason() -> None:
    # Not the other way round: who loses a race runs lines that another run of the same case does not reach.
    assert set(RECORDED["unreached"].values()) <= set(reasons())


def test_a_reason_is_given_for_statements_that_stand_in_the_guest() -> None:
    source = SCRIPT.read_text("ascii")
    assert all(statement in source for statement in reasons())
