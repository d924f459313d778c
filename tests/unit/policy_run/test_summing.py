"""What a policy run came to where nodes of clusters were skipped."""

from datetime import UTC, datetime

import pytest

from quiesce.executions import Cause
from quiesce.policy_run.input import PolicyRunIdentity
from quiesce.policy_run.state import Ended, Found, Summary
from quiesce.policy_run.summing import NOBODY, Known, summarize
from quiesce.report.policy_mail import mail_of_policy_run

NOW = datetime(2026, 3, 30, 8, tzinfo=UTC)


def summary_of(*statuses: str, cause: Cause | None = None) -> Summary:
    ends = [
        Ended.model_validate({"instance_id": f"i-{n}", "run_id": f"r-{n}", "status": status, "reason": status})
        for n, status in enumerate(statuses)
    ]
    found = Found(servers=len(ends), notes=[], warnings=[])
    run = PolicyRunIdentity("nightly-1", "nightly", "arn")
    return summarize(run, {}, Known(found, ends, cause), started_at=NOW, now=NOW, place="s3://b")


@pytest.mark.parametrize(
    ("statuses", "status", "reason"),
    [
        (("Skipped",), "Skipped", "role leaves out its server"),
        (("Skipped", "Skipped"), "Skipped", "role leaves out all 2 servers"),
        (
            ("Skipped", "Successful"),
            "Successful",
            "of 2 servers 1 is backed up, 1 passive node of clusters was skipped",
        ),
        (
            ("Skipped", "Skipped", "Successful", "Successful"),
            "Successful",
            "of 4 servers 2 are backed up, 2 passive nodes of clusters were skipped",
        ),
        (("Successful", "Successful"), "Successful", "all 2 servers are backed up"),
        (("Skipped", "Failed"), "Failed", "of 2 servers: 1 Failed, 1 Skipped"),
        (("Skipped", "NotStarted"), "Failed", "of 2 servers: 1 NotStarted, 1 Skipped"),
        (("Skipped", "Unreported"), "Failed", "of 2 servers: 1 Unreported, 1 Skipped"),
        (
            ("Skipped", "PartiallySuccessful"),
            "PartiallySuccessful",
            "of 2 servers: 1 PartiallySuccessful, 1 Skipped",
        ),
        (
            ("Skipped", "Failed", "Successful"),
            "PartiallySuccessful",
            "of 3 servers: 1 Failed, 1 Skipped, 1 Successful",
        ),
    ],
)
def test_a_policy_run_is_as_good_as_its_servers_that_were_not_skipped(
    statuses: tuple[str, ...], status: str, reason: str
) -> None:
    summary = summary_of(*statuses)
    assert (summary.status, summary.reason) == (status, reason)
    assert summary.servers == len(statuses)
    assert {end.status for end in summary.worst} == {*statuses} - {"Successful", "Skipped"}


def test_only_where_all_were_skipped_people_are_told_that_nobody_was_backed_up() -> None:
    everybody = summary_of("Skipped", "Skipped")
    assert (everybody.warnings, everybody.attention) == ([NOBODY], "Skipped, with a warning")
    mail = mail_of_policy_run(everybody, "Successful")
    assert mail
    assert NOBODY in mail.text
    assert mail_of_policy_run(summary_of("Skipped", "Successful"), "Successful") is None


def test_a_policy_run_that_broke_off_is_not_made_good_by_those_that_were_skipped() -> None:
    broken = summary_of("Skipped", "Skipped", cause=Cause("ExecutionStopped", "somebody stopped it"))
    assert (broken.status, broken.reason) == ("Failed", "ExecutionStopped: somebody stopped it")


def test_a_mail_does_not_count_the_skipped_among_those_that_it_leaves_out() -> None:
    mail = mail_of_policy_run(summary_of("Failed", *["Skipped"] * 30), None)
    assert mail
    assert "more, see All" not in mail.text
    assert "Servers:     31: 1 Failed, 30 Skipped" in mail.text
