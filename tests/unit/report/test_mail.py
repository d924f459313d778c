"""Which runs cause a mail, and its text."""

from typing import get_args

import pytest

from quiesce.executions import Cause
from quiesce.points.parts import ShadowOutcome
from quiesce.points.record import FailureRecord, Logs, Status
from quiesce.recovery.account import failed
from quiesce.report.mail import mail_of, mail_of_recovery
from tests.support.factories.recovery import an_ending
from tests.support.factories.run import INSTANCE, a_record, a_script, a_session

BAD = [status for status in get_args(Status) if status not in ("Successful", "Skipped")]


@pytest.mark.parametrize("status", BAD)
@pytest.mark.parametrize("last", [None, *get_args(Status)])
def test_every_run_that_is_not_successful_is_told(status: str, last: str | None) -> None:
    notice = mail_of(a_record(status=status), last)
    assert notice
    assert notice.subject == f"{status}: backup of {INSTANCE}, policy files-nightly"


@pytest.mark.parametrize("last", BAD)
def test_the_first_good_run_after_a_bad_one_is_told(last: str) -> None:
    notice = mail_of(a_record(), last)
    assert notice
    assert notice.subject == f"Successful again: backup of {INSTANCE}, policy files-nightly"


@pytest.mark.parametrize("last", [None, "Successful"])
def test_a_good_run_among_good_ones_is_no_news(last: str | None) -> None:
    assert mail_of(a_record(), last) is None


def test_a_good_run_of_which_a_writer_is_gone_is_told() -> None:
    gone = ShadowOutcome(good=True, kind="created", reason="", gone_writers=["SqlServerWriter"])
    notice = mail_of(a_record(shadow=gone), "Successful")
    assert notice
    assert notice.subject == f"A writer is gone: backup of {INSTANCE}, policy files-nightly"
    assert mail_of(a_record(shadow=gone.model_copy(update={"gone_writers": []})), "Successful") is None


def test_a_good_run_that_found_an_old_session_open_is_told() -> None:
    notice = mail_of(a_record(overdue_sessions=["run old, attempt 1"], notes=["the session of run old"]), "Successful")
    assert notice
    assert notice.subject == f"An old session was open: backup of {INSTANCE}, policy files-nightly"
    assert "Note:        the session of run old" in notice.text


@pytest.mark.parametrize("status", get_args(Status))
def test_an_application_that_may_still_be_held_stands_before_everything_else(status: str) -> None:
    record = a_record(status=status, session=a_session("thawed", after=a_script("1", succeeded=False)), policy="A" * 40)
    mail = mail_of(record, "Successful")
    assert mail
    assert mail.subject == f"May still be held: backup of {INSTANCE}, policy {'A' * 40}"
    assert len(mail.subject) <= 100


@pytest.mark.parametrize("last", [None, *get_args(Status)])
def test_a_passive_node_of_a_cluster_is_no_news_but_what_was_found_there_is(last: str | None) -> None:
    assert mail_of(a_record(status="Skipped"), last) is None
    notice = mail_of(a_record(status="Skipped", overdue_sessions=["run old, attempt 1"]), last)
    assert notice
    assert notice.subject == f"An old session was open: backup of {INSTANCE}, policy files-nightly"


@pytest.mark.parametrize("status", [*BAD, "Successful"])
def test_the_longest_names_make_a_subject_that_sns_takes(status: str) -> None:
    notice = mail_of(a_record(status=status, policy="A" * 40), "Failed")
    assert notice
    assert len(notice.subject) <= 100
    assert notice.subject.isascii()
    assert notice.subject.isprintable()


def test_the_text_says_what_happened_and_where_to_read_on() -> None:
    record = a_record(
        status="Failed", reason="no", failure=FailureRecord(error="ServerBusy", cause="no"), notes=["one", "two"]
    )
    notice = mail_of(record, None)
    assert notice
    assert notice.text.splitlines() == [
        f"Server:      FILES01 ({INSTANCE})",
        "Policy:      files-nightly",
        "Status:      Failed",
        "Error:       ServerBusy",
        "Next:        wait for the other run or stop it, then start again",
        "Reason:      no",
        f"Consistency: crash ({record.consistency.reason})",
        "Note:        one",
        "Note:        two",
        "Started:     2026-03-14 01:30:00 UTC",
        "Snapshots:   0",
        "Record:      s3://bucket/records/r.json",
        "Page:        beside it as .html, in some seconds; to look at it: quiesce report run-1 --open",
        f"Execution:   {record.execution}",
    ]


def test_a_server_without_a_name_is_told_by_its_id() -> None:
    notice = mail_of(a_record(status="Failed", instance_name=""), None)
    assert notice
    assert notice.text.startswith(f"Server:      {INSTANCE}\n")


@pytest.mark.parametrize(
    ("logs", "line"),
    [
        (Logs(place="s3://bucket/logs/i/r/1/", files=["session.log"], problem=""), "s3://bucket/logs/i/r/1/"),
        (Logs(place="s3://bucket/logs/i/r/1.zip", files=[], problem="packed"), "s3://bucket/logs/i/r/1.zip"),
        (Logs(place="", files=[], problem="no answer"), "no answer"),
    ],
)
def test_where_the_sessions_files_are_or_why_they_are_not_is_told(logs: Logs, line: str) -> None:
    notice = mail_of(a_record(status="PartiallySuccessful", logs=logs), None)
    assert notice
    assert f"Logs:        {line}" in notice.text.splitlines()


@pytest.mark.parametrize("name", ["A" * 80, "Wiederherstellung-für-Müller", "復旧" * 40])
def test_the_longest_and_the_strangest_name_of_a_recovery_makes_a_subject_that_sns_takes(name: str) -> None:
    notice = mail_of_recovery(failed(an_ending(name), None, Cause("RecoveryRefused", "so"), []))
    assert len(notice.subject) <= 100
    assert notice.subject.isascii()
    assert name in notice.text
