"""AWS's document on one server: what is sent, how its command is found again, and how its end is read."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from quiesce.aws import snapshots
from quiesce.aws.backup.vss_document import LISTED_S, EndedCommand, VssDocument
from quiesce.errors import AccessDenied, AnswerUnreadable, OutcomeUnknown
from quiesce.vss.aws_document import NAME
from tests.support.factories.run import INSTANCE
from tests.support.scripted_ssm import COMMAND_ID, Refusal, ScriptedSsm

NO_ANSWER = ReadTimeoutError(endpoint_url="https://ssm")
TAGS = ["Key=quiesce:run,Value=run-1"]
SINCE = datetime(2026, 3, 14, 1, 30, tzinfo=UTC)
LOOK, LIST = "ListCommandInvocations", "ListCommands"


@pytest.fixture
def ssm() -> Iterator[ScriptedSsm]:
    ssm = ScriptedSsm()
    yield ssm
    assert ssm.unused() == [], "the test prepared an answer that no call used"


def document_on(ssm: ScriptedSsm) -> VssDocument:
    guest = ssm.guest()
    return VssDocument(guest.client, INSTANCE, guest.clock)


def a_command(**changes: Any) -> dict[str, Any]:
    return {"CommandId": COMMAND_ID, "DocumentName": NAME, "Parameters": {"tags": TAGS}, **changes}


def invocations(status: str = "Success", details: str = "", *steps: dict[str, Any]) -> dict[str, Any]:
    one = {"CommandId": COMMAND_ID, "InstanceId": INSTANCE, "Status": status, "StatusDetails": details or status}
    return {"CommandInvocations": [{**one, "CommandPlugins": list(steps)}]}


def test_the_document_is_sent_to_one_server_in_its_default_version_with_a_comment_for_people(ssm: ScriptedSsm) -> None:
    ssm.takes_the_command()
    sent = document_on(ssm).send({"tags": TAGS}, "quiesce aws-vss " + "x" * 100, delivery_s=30)
    assert sent == COMMAND_ID
    assert ssm.sent == [
        (
            "SendCommand",
            {
                "DocumentName": "AWSEC2-CreateVssSnapshot",
                "DocumentVersion": "$DEFAULT",
                "InstanceIds": [INSTANCE],
                "TimeoutSeconds": 30,
                "Comment": ("quiesce aws-vss " + "x" * 100)[:100],
                "Parameters": {"tags": TAGS},
            },
        )
    ]


def test_a_command_is_found_by_its_tags_among_the_documents_recent_ones(ssm: ScriptedSsm) -> None:
    others = [a_command(Parameters={"tags": ["Key=quiesce:run,Value=run-2"]}), a_command(Parameters={})]
    ssm.says(LIST, {"Commands": others, "NextToken": "more"}, {"Commands": [{"CommandId": "0" * 36}, a_command()]})
    assert document_on(ssm).find(TAGS, SINCE) == COMMAND_ID
    filters = [
        {"key": "DocumentName", "value": "AWSEC2-CreateVssSnapshot"},
        {"key": "InvokedAfter", "value": "2026-03-14T01:29:00Z"},
    ]
    assert [given for _, given in ssm.sent] == [
        {"InstanceId": INSTANCE, "Filters": filters},
        {"InstanceId": INSTANCE, "Filters": filters, "NextToken": "more"},
    ]


def test_a_command_that_ssm_lists_late_or_does_not_answer_for_is_found_all_the_same(ssm: ScriptedSsm) -> None:
    ssm.says(LIST, {"Commands": []}, NO_ANSWER, Refusal("ThrottlingException"), {"Commands": [a_command()]})
    assert document_on(ssm).find(TAGS, SINCE) == COMMAND_ID


@pytest.mark.parametrize(
    ("answer", "why"), [({"Commands": []}, "SSM lists no such command"), (NO_ANSWER, "ssm:ListCommands: ")]
)
def test_a_command_that_is_not_found_may_be_there_all_the_same(ssm: ScriptedSsm, answer: Any, why: str) -> None:
    ssm.always_says(LIST, answer)
    with pytest.raises(OutcomeUnknown, match=f"may have been sent to {INSTANCE}: {why}"):
        document_on(ssm).find(TAGS, SINCE)
    assert sum(ssm.pauses_s) == LISTED_S


def test_who_may_not_look_is_told_so(ssm: ScriptedSsm) -> None:
    ssm.says(LIST, Refusal("AccessDeniedException"))
    with pytest.raises(AccessDenied):
        document_on(ssm).find(TAGS, SINCE)


@pytest.mark.parametrize("under_way", ["Pending", "InProgress", "Delayed", "Cancelling"])
def test_an_end_is_waited_for(ssm: ScriptedSsm, under_way: str) -> None:
    ssm.says(LOOK, {"CommandInvocations": []}, NO_ANSWER, invocations(under_way), invocations())
    assert document_on(ssm).await_end(COMMAND_ID, 60) == EndedCommand(succeeded=True, words="")
    assert ssm.sent[0][1] == {"CommandId": COMMAND_ID, "InstanceId": INSTANCE, "Details": True}


def test_of_a_failure_the_output_of_the_steps_that_failed_is_told(ssm: ScriptedSsm) -> None:
    steps = [
        {"Name": "first", "Status": "Success", "Output": "all is well"},
        {"Name": "second", "Status": "Failed", "Output": "Thaw pipe\r\n connection timed out\n" + "x" * 3000},
    ]
    ssm.says(LOOK, invocations("Failed", "", *steps))
    ended = document_on(ssm).await_end(COMMAND_ID, 60)
    assert not ended.succeeded
    told = f"{NAME} on {INSTANCE} (command {COMMAND_ID}) failed: Thaw pipe connection timed out xxx"
    assert ended.words.startswith(told)
    assert len(ended.words) < 1000
    assert "all is well" not in ended.words


def test_a_failure_without_a_word_is_one(ssm: ScriptedSsm) -> None:
    ssm.says(LOOK, invocations("Failed"))
    assert document_on(ssm).await_end(COMMAND_ID, 60).words.endswith("failed: it says nothing")


@pytest.mark.parametrize(
    ("status", "details"),
    [
        ("TimedOut", "Execution Timed Out"),
        ("TimedOut", "Delivery Timed Out"),
        ("Cancelled", "Cancelled"),
        ("Failed", "Undeliverable"),
        ("Failed", "Terminated"),
    ],
)
def test_a_command_that_was_cut_off_may_go_on_on_the_server(ssm: ScriptedSsm, status: str, details: str) -> None:
    ssm.says(LOOK, invocations(status, details))
    with pytest.raises(OutcomeUnknown, match=f"ended as {details.replace(' ', '')}"):
        document_on(ssm).await_end(COMMAND_ID, 60)


def test_a_status_that_ssm_does_not_document_is_no_end(ssm: ScriptedSsm) -> None:
    ssm.says(LOOK, invocations("Failed", "Exploded"))
    with pytest.raises(AnswerUnreadable, match="unknown status: Exploded"):
        document_on(ssm).await_end(COMMAND_ID, 60)


@pytest.mark.parametrize(("answer", "why"), [(invocations("InProgress"), ""), (NO_ANSWER, r" \(ssm:ListCommandInv")])
def test_a_command_without_an_end_in_time_is_an_unknown_outcome(ssm: ScriptedSsm, answer: Any, why: str) -> None:
    ssm.always_says(LOOK, answer)
    with pytest.raises(OutcomeUnknown, match=f"had not ended within 60 s{why}"):
        document_on(ssm).await_end(COMMAND_ID, 60)
    assert sum(ssm.pauses_s) == 60


@pytest.mark.parametrize(
    ("tags", "consistent"),
    [
        ([{"Key": "AppConsistent", "Value": "True"}], True),
        ([{"Key": "AppConsistent", "Value": "true"}], True),
        ([{"Key": "AppConsistent", "Value": "False"}], False),
        ([{"Key": "AppConsistent", "Value": ""}], False),
        ([{"Key": "appconsistent", "Value": "True"}], False),
        ([], False),
    ],
)
def test_a_snapshot_is_consistent_only_if_its_tag_says_so(tags: list[dict[str, str]], *, consistent: bool) -> None:
    described: Any = {
        "SnapshotId": "snap-0123456789abcdef0",
        "VolumeId": "vol-0123456789abcdef0",
        "VolumeSize": 8,
        "StartTime": SINCE,
        "Tags": tags,
    }
    assert snapshots._snapshot(described, "completed").app_consistent is consistent
