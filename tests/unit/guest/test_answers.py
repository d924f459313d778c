"""The server's answer: one line in our format, to our question; Guest takes nothing else for an answer."""

import base64
import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiesce.errors import MAX_CHARACTERS, AnswerUnreadable, GuestRefused
from quiesce.guest.answers import (
    MAX_DATA_BYTES,
    Answer,
    Question,
    read_answer,
    recovered_of,
    session_of,
    staged_of,
)
from quiesce.guest.sessions import owes_after
from tests.support.factories.run import INSTANCE, a_freeze, a_line, a_manifest, a_script, a_session, a_state, an_answer
from tests.support.project import ROOT

VERBS = ["stage", "freeze", "thaw", "complete", "collect"]
RECORDED = json.loads((ROOT / "tests" / "guest" / "recordings.json").read_text())["cases"]


def asked(verb: str = "freeze", run: str = "run-1", attempt: str = "1", instance: str = INSTANCE) -> Question:
    return Question(verb, run, attempt, instance)


def read(answer: dict[str, Any], question: Question | None = None) -> Answer:
    return read_answer(a_line(answer), "", question or asked(answer.get("verb") or "freeze"))


def refusal_of(stdout: str, stderr: str = "", question: Question | None = None) -> str:
    with pytest.raises(AnswerUnreadable) as unreadable:
        read_answer(stdout, stderr, question or asked())
    return str(unreadable.value)


def a_session_in_json(**changes: Any) -> dict[str, Any]:
    return {**an_answer()["session"], **changes}


def a_script_in_json(**changes: Any) -> dict[str, Any]:
    return {**an_answer()["session"]["before"], **changes}


@pytest.mark.parametrize("verb", VERBS)
def test_a_good_answer_to_each_verb_is_read(verb: str) -> None:
    answer = read(an_answer(verb))
    assert (answer.ok, answer.verb) == (True, verb)
    assert (answer.staged is None) == (verb != "stage")
    assert (answer.session is None) == (verb == "stage")


def test_what_the_server_says_of_its_session_is_read_field_by_field() -> None:
    assert session_of(read(an_answer("complete"))) == a_session("ended")


def with_numbers(recorded: Any) -> Any:
    """Put numbers where the recordings only show whether there was one: times and process ids differ each time."""
    if isinstance(recorded, list):
        return [with_numbers(each) for each in recorded]
    if not isinstance(recorded, dict):
        return recorded
    unsure = {"processId", "startedMs", "endedMs", "createdMs", "frozenMs", "startedTicks"}
    told = {k: int(bool(v)) if k in unsure else with_numbers(v) for k, v in recorded.items()}
    words = {"nonce": "0" * 32, "why": "another process uses it"}
    return told | {name: text for name, text in words.items() if name in told}


@pytest.mark.parametrize("case", RECORDED)
def test_every_answer_that_the_real_guest_was_seen_to_give_is_read(case: str) -> None:
    for recorded in filter(None, RECORDED[case]["answers"]):
        answer = {"quiesce": 1, **with_numbers(recorded)}
        if isinstance(answer.get("diskShadowLog"), list):
            # Recorded as its lines, so that a change is read line by line.
            answer["diskShadowLog"] = "".join(f"{line}\r\n" for line in answer["diskShadowLog"])
        instance = (recorded.get("session") or recorded.get("staged") or {}).get("instance", INSTANCE)
        question = asked(answer.get("verb", ""), answer.get("run", ""), answer.get("attempt", ""), instance)
        assert read_answer(a_line(answer), "", question).ok == recorded["ok"]


@pytest.mark.parametrize("around", ["{}\r\n", "WARNING: no profile\n{}\n", "\n\n{}", "{}\n[1]\n{{}}"])
def test_the_line_is_found_among_others(around: str) -> None:
    assert read_answer(around.format(a_line(an_answer())), "", asked()).ok


@pytest.mark.parametrize("stdout", ["", "\n", "0", "null", '{"ok":true}', "quiesce", ' {"quiesce":1,"ok":true}'])
def test_an_output_without_the_line_is_no_answer_and_stderr_is_quoted(stdout: str) -> None:
    words = refusal_of(stdout, "File _script.ps1 cannot be loaded because running scripts is disabled")
    assert "has 0 result lines instead of one" in words
    assert repr(stdout) in words
    assert "running scripts is disabled" in words


def test_two_lines_are_no_answer_even_if_they_agree() -> None:
    line = a_line(an_answer())
    assert "has 2 result lines instead of one" in refusal_of(f"{line}\n{line}\n")


@given(st.integers(min_value=len('{"quiesce":'), max_value=len(a_line(an_answer())) - 1))
def test_a_line_cut_anywhere_is_no_answer(length: int) -> None:
    assert "is not what the guest writes" in refusal_of(a_line(an_answer())[:length])
    assert "the agent has cut the server's answer" in refusal_of(a_line(an_answer())[:length] + "--output truncated--")


def with_data(data: str) -> str:
    return json.dumps({**json.loads(a_line(an_answer())), "data": data})


def test_data_that_unpacks_without_end_is_no_answer() -> None:
    endless = gzip.compress(b'{"x": "' + b" " * (MAX_DATA_BYTES + 1) + b'"}')
    assert "its data is damaged" in refusal_of(with_data(base64.b64encode(endless).decode()))


@pytest.mark.parametrize("data", [b"[1]", b"5", b"nonsense", b'{"ok": true} x', b"\xff"])
def test_data_of_another_shape_is_no_answer(data: bytes) -> None:
    assert "is not what the guest writes" in refusal_of(with_data(base64.b64encode(gzip.compress(data)).decode()))


@pytest.mark.parametrize("data", ["%%%", "AAAA", "x"])
def test_data_that_is_not_packed_is_no_answer(data: str) -> None:
    assert "is not what the guest writes" in refusal_of(with_data(data))


def test_data_cannot_change_what_the_line_says_of_itself() -> None:
    lying = gzip.compress(json.dumps({"ok": False, "run": "run-2", "error": "no"}).encode())
    answer = read_answer(with_data(base64.b64encode(lying).decode()), "", asked())
    assert (answer.ok, answer.run, answer.error) == (True, "run-1", "")


def test_of_an_output_without_the_line_both_streams_are_quoted_in_part() -> None:
    words = refusal_of("x" * 24_000, "y" * 8_000)
    assert ("x" * 300 in words, "x" * 301 in words, "y" * 300 in words, "y" * 301 in words) == (True, False) * 2


@pytest.mark.parametrize("stdout", ["x" * 24_000, a_line(an_answer(**{f"field{n}": 0 for n in range(1500)}))])
def test_the_words_of_an_endless_output_are_few_enough_to_be_caught(stdout: str) -> None:
    assert len(refusal_of(stdout, "y" * 8_000)) <= MAX_CHARACTERS


WRONG = {
    "another version": {"quiesce": 2},
    "no version": {"quiesce": None},
    "ok as text": {"ok": "true"},
    "ok as a number": {"ok": 1},
    "no ok": {"ok": None},
    "an unknown field": {"colour": "red"},
    "an error that is none": {"error": 5},
    "an attempt as a number": {"attempt": 1},
    "a session that is a list": {"session": []},
    "an unknown phase": {"session": a_session_in_json(phase="melted")},
    "a field of the session unknown": {"session": a_session_in_json(colour="red")},
    "a field of the session missing": {"session": {k: v for k, v in a_session_in_json().items() if k != "before"}},
    "a field of the session as Python has it": {"session": a_session().model_dump(mode="json")},
    "a time as text": {"session": a_session_in_json(createdMs="now")},
    "a time as digits": {"session": a_session_in_json(createdMs="1")},
    "a time in parts of milliseconds": {"session": a_session_in_json(createdMs=1.5)},
    "a truth as a number": {"session": a_session_in_json(autoThawed=0)},
    "a script that only succeeded": {"session": a_session_in_json(before={"succeeded": True})},
    "a script's truth as text": {"session": a_session_in_json(before=a_script_in_json(succeeded="True"))},
    "an exit code as text": {"session": a_session_in_json(before=a_script_in_json(exitCode="0"))},
    "staged of another kind": {"staged": "yes"},
    "a stage that nobody knows": {"staged": a_manifest(scripts={"during": ""})},
}  # fmt: skip


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG)
def test_an_answer_of_another_shape_is_none(changes: dict[str, Any]) -> None:
    assert "is not what the guest writes" in refusal_of(a_line(an_answer(**changes)))


@given(st.text(max_size=60))
def test_whatever_follows_the_beginning_it_is_read_or_refused_in_our_words(garbage: str) -> None:
    try:
        answer: Answer | None = read_answer('{"quiesce":' + garbage, "", asked())
    except AnswerUnreadable:
        answer = None
    assert answer is None or not answer.ok


FOREIGN = {
    "another verb's": ({"verb": "thaw"}, "'thaw' of run 'run-1', attempt '1'"),
    "another run's": ({"run": "run-2"}, "'freeze' of run 'run-2', attempt '1'"),
    "another attempt's": ({"attempt": "2"}, "'freeze' of run 'run-1', attempt '2'"),
    "with another run's session": (
        {"session": a_session_in_json(run="run-2")},
        f"with the session of run 'run-2', attempt 1, on '{INSTANCE}'",
    ),
    "with another attempt's session": (
        {"session": a_session_in_json(attempt=2)},
        f"with the session of run 'run-1', attempt 2, on '{INSTANCE}'",
    ),
    "with another server's session": (
        {"session": a_session_in_json(instance="i-0fedcba9876543210")},
        "with the session of run 'run-1', attempt 1, on 'i-0fedcba9876543210'",
    ),
    "with another run's recovered sessions": (
        {"recovered": [a_session_in_json(), a_session_in_json(run="run-2")]},
        "with sessions of run run-2",
    ),
    "with another run's files": (
        {"staged": a_manifest(run="run-2")},
        f"with what was staged for run 'run-2' on '{INSTANCE}'",
    ),
    "with another server's files": (
        {"staged": a_manifest(instance="i-0fedcba9876543210")},
        "with what was staged for run 'run-1' on 'i-0fedcba9876543210'",
    ),
}


@pytest.mark.parametrize("ok", [True, False])
@pytest.mark.parametrize(("changes", "words"), FOREIGN.values(), ids=FOREIGN)
def test_an_answer_to_another_question_is_not_taken_for_ours(changes: dict[str, Any], words: str, *, ok: bool) -> None:
    expected = f"asked for freeze of run run-1, attempt 1, on {INSTANCE}, the server answers {words}"
    assert refusal_of(a_line(an_answer(**changes, ok=ok))) == expected


def test_a_yes_to_no_question_is_not_taken_for_ours() -> None:
    nameless = a_line(an_answer(verb="", run="", attempt=""))
    assert refusal_of(nameless).endswith("the server answers '' of run '', attempt ''")


def test_a_constrained_powershell_that_can_only_say_no_is_believed() -> None:
    answer = read_answer('{"quiesce":1,"ok":false,"error":"LanguageMode: PowerShell is constrained"}', "", asked())
    assert (answer.ok, answer.error) == (False, "LanguageMode: PowerShell is constrained")


def test_a_no_has_the_servers_words_and_nothing_else() -> None:
    answer = read(an_answer(ok=False, error="NotFrozen: the session is thawed"))
    for part_of in (session_of, staged_of):
        with pytest.raises(GuestRefused) as refused:
            part_of(answer)
        assert str(refused.value) == "NotFrozen: the session is thawed"


@pytest.mark.parametrize(("part_of", "verb"), [(session_of, "stage"), (staged_of, "freeze")])
def test_a_yes_without_its_matter_is_unreadable(part_of: Any, verb: str) -> None:
    with pytest.raises(AnswerUnreadable, match="successful answer has no"):
        part_of(read(an_answer(verb)))


def test_a_clone_tells_the_sessions_of_the_other_server_with_where_they_ended() -> None:
    cloned = {"instance": "i-0fedcba9876543210", "phase": "frozen"}
    told = [a_session_in_json(phase="ended", cloned=cloned), a_session_in_json(attempt=2)]
    answer = an_answer("recovered", recovered=told)
    first, second = recovered_of(read(answer, asked("recovered", instance="i-0fedcba9876543210")))
    assert (first.instance, first.cloned and first.cloned.phase) == (INSTANCE, "frozen")
    assert second.cloned is None
    assert recovered_of(read(an_answer("recovered", recovered=[]))) == []
    with pytest.raises(AnswerUnreadable, match="successful answer has no sessions"):
        recovered_of(read(an_answer("recovered")))


def test_after_is_owed_only_if_before_has_succeeded_and_after_has_not_begun() -> None:
    good, bad = a_script(), a_script(succeeded=False)
    assert owes_after(a_session(before=good, after=None))
    assert not owes_after(a_session(before=bad, after=None))
    assert not owes_after(a_session(before=None, after=None))
    assert not owes_after(a_session(before=good, after=bad))


def test_the_manifest_says_which_scripts_the_server_has_not_got() -> None:
    scripts = {"before": "before_x.ps1", "after": "", "complete": ""}
    assert staged_of(read(an_answer("stage", staged=a_manifest(scripts=scripts)))).missing() == ["after", "complete"]


def test_a_session_survives_the_state_document() -> None:
    state = a_state(freeze=a_freeze(a_session(before=a_script(succeeded=False, exit_code=None, reason="TimedOut"))))
    assert type(state).model_validate(state.model_dump(mode="json")) == state
