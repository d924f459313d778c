"""What a session's state means for the run: go on or not, held or not, and what failed."""

import pytest

from quiesce.backup.attempts import decide, earlier_attempts
from quiesce.backup.session_problems import WORDS, script_problem, session_problems, was_asked, was_held
from quiesce.backup.state import Plan, RunState
from quiesce.guest.sessions import ScriptResult, Session
from quiesce.points.parts import ShadowOutcome
from quiesce.vss.plan import ShadowPlan, ShadowVolume
from tests.support.factories.run import (
    NOW,
    a_failure,
    a_freeze,
    a_plan,
    a_script,
    a_session,
    a_state,
    a_thaw,
    some_settings,
)

SCRIPTS = {"scripts": {}}
FAILED = a_script(succeeded=False, exit_code=3)


def test_what_the_server_could_not_end_is_a_problem() -> None:
    [problem] = session_problems(a_session("thawed", alive=["runner", "before"]))
    assert problem == "the server could not end runner, before, which may have run on beside what came after it"


def test_a_complete_script_that_was_withheld_says_why_the_server_did_not_know_itself() -> None:
    reason = "IdentityUnknown: no answer of the metadata service: timed out"
    assert script_problem("complete", a_script(succeeded=False, reason=reason)) == (
        "the complete script was not run: the server could not find out its own instance id "
        "(no answer of the metadata service: timed out)"
    )


@pytest.mark.parametrize("consistency", ["application-or-crash", "application"])
@pytest.mark.chapter("6.4.2 held")
def test_snapshots_are_taken_while_a_before_script_holds_the_application(consistency: str) -> None:
    plan = a_plan(settings=some_settings(**SCRIPTS, consistency=consistency))
    decision = decide(plan, a_session(), None, 1)
    assert (decision.go_on, decision.retry, decision.reason) == (True, False, "the before script succeeded")


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
    decision = decide(plan, a_session(before=before), None, 1)
    assert (decision.go_on, decision.retry, decision.reason) == (goes, False, words)


# ---- Another attempt -------------------------------------------------------------------------------------------------

SHADOW_PLAN = ShadowPlan(volumes=[ShadowVolume(volume_guid="d", path="D:", volume_id="")], homes=["d"])


def an_outcome(*, good: bool = False, wait_s: int | None = None) -> ShadowOutcome:
    return ShadowOutcome(good=good, kind="created" if good else "failed", reason="why", wait_s=wait_s)


def with_vss(consistency: str = "application-or-crash", **vss: object) -> Plan:
    settings = some_settings(**SCRIPTS, vss=vss, consistency=consistency)
    return a_plan(settings=settings, shadow=SHADOW_PLAN)


# retry_on, before succeeded, the wait that VSS advises (s; 0: good copies), the attempt -> another one, after s
ATTEMPTS = {
    "good": (("vss-timeout", True, 0, 1), (False, None)),
    "VSS timed out": (("vss-timeout", True, 600, 1), (True, 600)),
    "VSS timed out, the last but one": (("vss-timeout", True, 600, 3), (True, 600)),
    "VSS timed out, no attempt left": (("vss-timeout", True, 600, 4), (False, None)),
    "another requestor was there": (("vss-timeout", True, 30, 1), (True, 30)),
    "the advice is longer than the policy": (("vss-timeout", True, 900, 1), (True, 600)),
    "VSS failed for good": (("vss-timeout", True, None, 1), (False, None)),
    "before failed": (("vss-timeout", False, 0, 1), (False, None)),
    "before failed, and VSS timed out": (("vss-timeout", False, 600, 1), (False, None)),
    "any: good": (("any-failure", True, 0, 1), (False, None)),
    "any: VSS failed for good": (("any-failure", True, None, 1), (True, 600)),
    "any: before failed": (("any-failure", False, 0, 2), (True, 600)),
    "any: no attempt left": (("any-failure", False, None, 4), (False, None)),
}


@pytest.mark.parametrize(("happened", "expected"), ATTEMPTS.values(), ids=ATTEMPTS)
@pytest.mark.parametrize("consistency", ["application-or-crash", "application"])
def test_another_attempt_is_made_where_it_is_worth_it_and_the_policy_says_so(
    happened: tuple[str, bool, int | None, int], expected: tuple[bool, int | None], consistency: str
) -> None:
    retry_on, before, advised_s, attempt = happened
    session = a_session() if before else a_session(before=FAILED)
    shadow = an_outcome(good=advised_s == 0, wait_s=advised_s or None)
    decision = decide(with_vss(consistency, retry_on=retry_on), session, shadow, attempt)
    good = before and advised_s == 0
    assert (decision.retry, decision.wait_s if decision.retry else None) == expected
    assert decision.go_on == (not decision.retry and (good or consistency != "application"))
    assert decision.retry_refused == (retry_on == "any-failure" and attempt <= 3)


def test_a_policy_may_have_no_second_attempt() -> None:
    assert not decide(with_vss(retries=0), a_session(), an_outcome(wait_s=600), 1).retry


def test_without_vss_there_is_one_attempt() -> None:
    decision = decide(a_plan(settings=some_settings(**SCRIPTS)), a_session(before=FAILED), None, 1)
    assert (decision.retry, decision.retry_refused) == (False, False)


def test_an_attempt_that_is_given_up_is_kept_with_why() -> None:
    first = a_freeze(attempt=1, retry=True, go_on=False, reason="VSS timed out")
    assert earlier_attempts(a_state(), NOW) == []
    [kept] = earlier_attempts(a_state(freeze=first), NOW)
    assert (kept.attempt, kept.reason, kept.ended_at) == (1, "VSS timed out", NOW)
    refused = a_freeze(attempt=2, earlier=[kept])
    state = a_state(freeze=refused, snapshot_refused=a_failure("SnapshotRefused", "too many"))
    assert [(a.attempt, a.reason) for a in earlier_attempts(state, NOW)] == [(1, "VSS timed out"), (2, "too many")]


STATES = {
    "nothing yet": (a_state(), 1),
    "the first answered": (a_state(freeze=a_freeze(attempt=1)), 1),
    "the first was lost": (a_state(freeze_failure=a_failure("AgentUnreachable")), 1),
    "the second answered": (a_state(freeze=a_freeze(attempt=2)), 2),
    "the second was lost": (a_state(freeze=a_freeze(attempt=1), freeze_failure=a_failure("AgentUnreachable")), 2),
    "the second was not asked": (a_state(freeze=a_freeze(attempt=1), freeze_failure=a_failure("LeaseLost")), 1),
    "swept": (a_state(swept_attempt=3), 3),
}


@pytest.mark.parametrize(("state", "attempt"), STATES.values(), ids=STATES)
def test_whoever_thaws_and_completes_speaks_of_the_last_attempt_that_was_asked(state: RunState, attempt: int) -> None:
    assert state.attempt == attempt


def test_what_an_earlier_attempt_said_is_not_taken_for_the_last_ones_word() -> None:
    first = a_state(freeze=a_freeze(attempt=1), thaw=a_thaw(a_session("thawed")))
    lost = first.model_copy(update={"freeze_failure": a_failure("AgentUnreachable")})
    assert (first.session is None, lost.session, lost.shadow) == (False, None, None)


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
    "the lease was lost before the second attempt": (
        a_state(plan=ASKING, freeze=a_freeze(retry=True), freeze_failure=a_failure("LeaseLost")),
        True,
    ),
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
    "nothing said": (None, ["the server did not report its session"]),
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
            "the server thawed by itself: no thaw request came in time",
            "the session lost its runner before the thaw: it is not known whether the application was still held",
        ],
    ),
    "complete is not looked at": (a_session("ended", complete=FAILED), []),
}


@pytest.mark.parametrize(("session", "problems"), PROBLEMS.values(), ids=PROBLEMS)
def test_everything_that_went_wrong_up_to_the_thaw_is_told(session: Session | None, problems: list[str]) -> None:
    assert session_problems(session) == problems


# guest/parts gives these reasons; Windows' own message follows NotStarted.
REASONS = [
    "ExitCode",
    "Missing",
    "Unhandled",
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


@pytest.mark.parametrize(
    ("stage", "changes", "words"),
    [
        ("before", {"reason": "EndedEarly", "exit_code": 0}, "ended before it was told to thaw"),
        ("before", {"reason": "TimedOut"}, "it had not made the file of QUIESCE_FROZEN within before_limit_s"),
        ("before", {"reason": "Interrupted"}, "was interrupted"),
        ("before", {"reason": "Missing"}, "is missing"),
        ("after", {"reason": "TimedOut"}, "it had not ended within after_limit_s of the thaw"),
        ("after", {"reason": "Unheard"}, "nobody heard its exit code"),
        ("after", {"exit_code": 3}, "ended with exit code 3"),
    ],
)
def test_a_session_scripts_failure_is_told_as_its_own_and_not_as_one_of_the_pair(
    stage: str, changes: dict[str, object], words: str
) -> None:
    session = a_session("thawed", holds=True, **{stage: a_script(succeeded=False, **changes)})
    [problem] = session_problems(session)
    assert problem.startswith("the session script ")
    assert words in problem
    pair = session_problems(session.model_copy(update={"holds": False}))
    assert pair[0].startswith(f"the {stage} script ")


def test_it_is_said_of_a_session_script_if_nobody_knows_whether_it_has_thawed() -> None:
    assert script_problem("after", None, holds=True) == "it is not known whether the session script has thawed"
    assert script_problem("complete", None, holds=True) == "it is not known whether the complete script ran"


def test_a_session_script_that_holds_lets_the_run_go_on() -> None:
    decision = decide(a_plan(settings=some_settings(**SCRIPTS)), a_session(holds=True), None, 1)
    assert (decision.go_on, decision.reason) == (True, "the session script holds the application")
