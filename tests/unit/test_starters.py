"""Who started an execution: what the command line writes into the input, and nothing that is no ARN of a person."""

import pytest

from quiesce.backup.input import read_request
from quiesce.errors import PolicyRefused, RecoveryRefused
from quiesce.executions import starter_of
from quiesce.policy_run.input import read_policy_request
from quiesce.recovery.input import read_recovery_request

PERSON = "arn:aws:sts::123456789012:assumed-role/Operators/ana@example.com"
BACKUP = {"policy": "files-nightly", "instance_id": "i-0123456789abcdef0"}
RECOVERY = {"instance_id": "i-0123456789abcdef0", "at": "latest"}


@pytest.mark.parametrize("arn", [PERSON, "arn:aws-us-gov:iam::123456789012:user/ana", "arn:aws:iam::123456789012:root"])
def test_a_users_or_a_sessions_arn_is_taken_by_backup_and_recovery(arn: str) -> None:
    assert starter_of({"started_by": arn}) == arn
    assert read_request({**BACKUP, "started_by": arn}).started_by == arn
    assert read_recovery_request({**RECOVERY, "started_by": arn}, "UTC").started_by == arn
    assert read_policy_request({"policy": "files", "started_by": arn}).started_by == arn


def test_a_run_of_a_policy_run_was_started_by_who_started_that() -> None:
    of_policy_run = {"id": "run-1", "target": 0, "started_by": PERSON}
    assert starter_of({**BACKUP, "policy_run": of_policy_run}) == PERSON
    request = read_request({**BACKUP, "policy_run": of_policy_run})
    assert request.policy_run is not None
    assert request.policy_run.started_by == PERSON


@pytest.mark.parametrize("given", ["ana", "arn:aws:ec2:eu-west-1:123456789012:instance/i-1", f"{PERSON}\n", 7, None])
def test_nothing_else_is_kept(given: object) -> None:
    assert starter_of({"started_by": given}) == ""


def test_what_is_no_arn_of_a_person_is_refused_by_its_field() -> None:
    with pytest.raises(PolicyRefused, match="started_by: 'ana': must be the ARN of a user"):
        read_request({**BACKUP, "started_by": "ana"})
    with pytest.raises(RecoveryRefused, match="started_by: 'ana': must be the ARN of a user"):
        read_recovery_request({**RECOVERY, "started_by": "ana"}, "UTC")
    with pytest.raises(PolicyRefused, match="started_by: 'ana': must be the ARN of a user"):
        read_policy_request({"policy": "files", "started_by": "ana"})


@pytest.mark.parametrize(
    "raw", [None, [], "x", {}, BACKUP, {"policy_run": 7}, {"policy_run": {"id": "x", "target": 0}}]
)
def test_an_input_that_names_nobody_gives_nobody(raw: object) -> None:
    assert starter_of(raw) == ""
