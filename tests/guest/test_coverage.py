"""A contract case reaches every statement of the guest, or there is a reason why none can."""

import json

from guest.document import guest_text
from tests.guest.coverage import RESULT, part_hashes, reasons

RECORDED = json.loads(RESULT.read_text())


def test_the_coverage_was_taken_from_this_guest() -> None:
    assert RECORDED["parts"] == part_hashes(), "python -m tests.guest.coverage --changed"


def test_what_no_case_reaches_has_its_reason() -> None:
    # Not the other way round: a process that loses a race runs lines that another run of the case does not reach.
    assert set(RECORDED["unreached"].values()) <= set(reasons())


def test_a_reason_is_given_for_statements_that_stand_in_the_guest() -> None:
    source = guest_text()
    assert all(statement in source for statement in reasons())
