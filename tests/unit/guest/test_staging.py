"""What stage found, in the words of the record's notes."""

from quiesce.guest.manifest import KeptRun, Staged, StrangeSessions
from quiesce.guest.staging import staged_notes

STAGED = Staged.model_construct(source="off", scripts={}, unsure={}, ignored={}, overdue=[])


def test_a_session_whose_state_is_lost_and_one_of_another_server_are_named() -> None:
    strange = StrangeSessions(unreadable=["run-1/1"], foreign=["run-2/1 of i-0123456789abcdef0"])
    lost, foreign = staged_notes(STAGED.model_copy(update={"strange": strange}), "on the server")
    assert lost.startswith("the state of the session run-1/1 cannot be read")
    assert foreign.startswith("the session run-2/1 of i-0123456789abcdef0 is of the server that this one is a copy of")


def test_an_old_run_that_stays_is_named_with_windows_reason() -> None:
    kept = [KeptRun(run="run-1", why="another process uses it")]
    [note] = staged_notes(STAGED.model_copy(update={"kept": kept}), "on the server")
    assert note == "the server could not remove the old run run-1, and will try again: another process uses it"


def test_beside_a_session_script_complete_alone_is_missed() -> None:
    scripts = {"before": "", "after": "", "complete": "", "session": "session_x.ps1"}
    staged = STAGED.model_copy(update={"source": "server", "scripts": scripts})
    assert staged_notes(staged, "on the server") == ["there is no complete script on the server"]


def test_a_session_script_that_cannot_be_started_is_named_where_before_is_missed() -> None:
    scripts = {"before": "", "after": "after_x.cmd", "complete": "complete_x.cmd", "session": ""}
    ignored = {"session": "session_x.py"}
    staged = STAGED.model_copy(update={"source": "server", "scripts": scripts, "ignored": ignored})
    [note] = staged_notes(staged, "on the server")
    assert note.startswith("there is no before script on the server: session_x.py is none, because")
