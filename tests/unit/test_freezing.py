"""What a session is worth, whatever it says: go on, held or not, and what failed."""

import pytest

from quiesce.freezing import WORDS, goes_on, script_problem, session_problems, was_asked, was_held
from quiesce.session import ScriptResult, Session
from quiesce.state import RunState
from tests.unit.factories import a_failure, a_freeze, a_plan, a_script, a_session, a_state, some_settings

SCRIPTS = {"scripts": {}}
FAILED = a_script(succeeded=False, exit_code=3)


@pytest.mark.parametrize("consistency", ["application-or-crash", "application"])
def test_snapshots_are_taken_while_a_before_script_holds_the_application(consistency: str) -> None:
    plan = a_plan(settings=some_settings(**SCRIPTS, consistency=consistency))
    assert goes_on(plan, a_session()) == (True, "the before script succeeded")


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (FAILED, "the before script ended with exit code 3"),
        (a_script(succeeded=False, exit_code=None, reason="Missing"), "the before script is missing"),
        (None, "it is not known whether the before script ran"),
    ],
)
@pytest.mark.parametrize(("consistency", "goes"), [("application-or-crash", True), ("application", False)])
def test_a_before_script_that_failed_ends_the_run_only_where_the_policy_takes_nothing_less(
    before: ScriptResult | None, words: str, consistency: str, *, goes: bool
) -> None:
    plan = a_plan(settings=some_settings(**SCRIPTS, consistency=consistency))
    assert goes_on(plan, a_session(before=before)) == (goes, words)


ASKING = a_plan(settings=some_settings(**SCRIPTS))
ASKED = {
    "nothing planned": (a_state(), False),
    "nothing to freeze": (a_state(plan=a_plan()), False),
    "nobody could be asked": (a_state(plan=ASKING.model_copy(update={"freezes": False})), False),
    "before Freeze, or in it": (a_state(plan=ASKING), True),
    "frozen": (a_state(plan=ASKING, freeze=a_freeze()), True),
    "the answer was lost": (a_state(plan=ASKING, freeze_failure=a_failure("AgentUnreachable")), True),
    "the server refused": (a_state(plan=ASKING, freeze_failure=a_failure("GuestRefused")), True),
    "the answer was garbage": (a_state(plan=ASKING, freeze_failure=a_failure("AnswerUnreadable")), True),
    "the function died": (a_state(plan=ASKING, freeze_failure=a_failure("Sandbox.Timedout")), True),
    "the lease was lost before it was asked": (a_state(plan=ASKING, freeze_failure=a_failure("LeaseLost")), False),
}


@pytest.mark.parametrize(("state", "expected"), ASKED.values(), ids=ASKED)
def test_a_server_that_may_have_been_asked_is_thawed(state: RunState, *, expected: bool) -> None:
    assert was_asked(state) == expected


HELD = {
    "all went well": (a_session("thawed"), True),
    "and complete too": (a_session("ended"), True),
    "after failed, later": (a_session("thawed", after=FAILED), True),
    "it thawed by itself": (a_session("thawed", auto_thawed=True), False),
    "its runner was lost": (a_session("thawed", runner_lost=True), False),
    "before failed": (a_session("thawed", before=FAILED), False),
    "before unknown": (a_session("thawed", before=None), False),
    "not yet thawed, as far as is known": (a_session("frozen"), False),
    "nothing is known": (None, False),
}


@pytest.mark.parametrize(("session", "expected"), HELD.values(), ids=HELD)
def test_an_application_was_held_only_where_that_is_certain(session: Session | None, *, expected: bool) -> None:
    assert was_held(session) == expected


PROBLEMS = {
    "none": (a_session("thawed"), []),
    "nothing said": (None, ["the server said nothing of its session"]),
    "after unknown": (a_session(), ["it is not known whether the after script ran"]),
    "all at once": (
        a_session(
            "thawed",
            before=FAILED,
            after=a_script("0", succeeded=False, exit_code=1),
            auto_thawed=True,
            runner_lost=True,
        ),
        [
            "the before script ended with exit code 3",
            "the after script ended with exit code 1",
            "the server thawed by itself: nobody asked it in time",
            "the session lost its runner before the thaw: nobody knows whether the application was still held",
        ],
    ),
    "complete is not looked at": (a_session("ended", complete=FAILED), []),
}


@pytest.mark.parametrize(("session", "problems"), PROBLEMS.values(), ids=PROBLEMS)
def test_everything_that_went_wrong_up_to_the_thaw_is_told(session: Session | None, problems: list[str]) -> None:
    assert session_problems(session) == problems


# guest/quiesce.ps1 gives these reasons, and NotStarted with Windows' own words behind it.
REASONS = [
    "ExitCode",
    "Missing",
    "TimedOut",
    "Interrupted",
    "NotStarted",
    "IdentityUnknown",
    "AlreadyRun",
    "Superseded",
]


def test_every_reason_of_the_guests_has_words() -> None:
    assert {"ExitCode", *WORDS} == set(REASONS)


@pytest.mark.parametrize("reason", [*REASONS, "NotStarted: access denied", "what nobody has seen", ""])
def test_a_script_that_did_not_succeed_is_a_problem_whatever_its_reason(reason: str) -> None:
    words = script_problem("after", a_script("1", succeeded=False, exit_code=None, reason=reason))
    assert words.startswith("the after script ")
    assert WORDS.get(reason, reason if reason != "ExitCode" else "exit code None") in words


def test_a_script_that_succeeded_is_none() -> None:
    assert script_problem("after", a_script("1")) == ""
