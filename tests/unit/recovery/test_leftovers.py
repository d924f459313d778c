"""What a recovered server has left of the backup's session: who has to do what follows from its state alone."""

from typing import Any

import pytest

from quiesce.executions import Cause
from quiesce.recovery.leftovers import Leftovers, LeftSession, left, told
from tests.support.factories.recovery import a_recovery_plan
from tests.support.factories.run import NOW, NOW_MS, a_script, a_session

CLONE = "i-0aaaaaaaaaaaaaaaa"
LATER_MS = NOW_MS + 3_600_000
FROZE, DID_NOT = (a_recovery_plan().model_copy(update={"froze": froze}) for froze in (True, False))


def found(phase: str, **changes: Any) -> Any:
    """Return the session as the clone has it after its boot."""
    cloned = {"instance": CLONE, "phase": phase}
    return a_session("ended", **{"cloned": cloned, "after": None, "complete": None, **changes})


@pytest.mark.parametrize(
    ("session", "after"),
    [
        (found("frozen"), "owed"),
        (found("before"), "owed"),
        (found("frozen", before=a_script(succeeded=False, reason="ExitCode", exit_code=3)), "none"),
        (found("created", before=None), "none"),
        # A policy without scripts: nothing is there to run, whatever the input asks for.
        (found("frozen", before=a_script(reason="Off", exit_code=None)), "none"),
        (
            found("frozen", before=a_script(reason="Off"), after=a_script("1", reason="Off", started_ms=LATER_MS)),
            "none",
        ),
        (found("frozen", after=a_script("1", started_ms=LATER_MS)), "succeeded"),
        # It had begun on the old server, before the snapshots.
        (found("thawed", after=a_script("1", started_ms=NOW_MS - 5000)), "none"),
        (found("after", after=a_script("1", started_ms=NOW_MS - 5000)), "none"),
        # The server could not tell that it is a clone, thawed itself, and was asked afterwards.
        (found("thawed", after=a_script("1", started_ms=LATER_MS)), "succeeded"),
        (a_session("ended"), "none"),
    ],
)
def test_after_is_owed_only_if_before_had_succeeded_and_after_had_not_begun(session: Any, after: str) -> None:
    assert left(session, NOW).after == after


def test_an_after_script_that_failed_there_says_how() -> None:
    after = a_script("1", started_ms=LATER_MS, succeeded=False, reason="ExitCode", exit_code=7)
    assert left(found("frozen", after=after), NOW) == LeftSession(
        found_in="frozen", after="failed", reason="exit code 7"
    )


@pytest.mark.parametrize(
    ("session", "state", "words"),
    [
        (
            LeftSession(found_in="frozen", after="owed"),
            "yours",
            "no script has run. Since the before script had succeeded",
        ),
        (LeftSession(found_in="frozen", after="succeeded"), "done", "the after script has run here and succeeded"),
        (
            LeftSession(found_in="frozen", after="failed", reason="exit code 7"),
            "yours",
            "(exit code 7): the application",
        ),
        (LeftSession(found_in="thawed", after="none"), "done", "no script has run here, and none is owed"),
        (LeftSession(found_in="", after="none"), "not needed", "the snapshots hold no session that was open"),
    ],
)
def test_each_end_of_the_session_says_who_has_to_do_what(session: LeftSession, state: str, words: str) -> None:
    found_state, found_words = told(FROZE, Leftovers(sessions=[session]), None)
    assert found_state == state
    assert words in found_words


def test_of_two_attempts_the_last_counts() -> None:
    sessions = [LeftSession(found_in="", after="none"), LeftSession(found_in="frozen", after="owed")]
    assert told(FROZE, Leftovers(sessions=sessions), None)[0] == "yours"


def test_what_is_not_known_is_said_with_its_reason_and_what_windows_does_by_itself() -> None:
    for leftovers, failure, why in (
        (None, Cause("CommandRefused", "SSM does not have it."), "CommandRefused: SSM does not have it"),
        (None, None, "it was not asked"),
        (Leftovers(unasked="no agent"), None, "no agent"),
    ):
        state, words = told(FROZE, leftovers, failure)
        assert state == "yours"
        assert words.startswith(f"it is not known how it ended ({why}): the session's own task ends it")
        assert "If the before script had succeeded by then" in words


def test_a_backup_that_froze_nothing_leaves_nothing() -> None:
    assert told(DID_NOT, None, None) == (
        "not needed",
        "the backup froze nothing, so its snapshots hold no open session",
    )
