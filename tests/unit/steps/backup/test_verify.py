"""Verify when EBS denies every read: its answer fits into the state document like any other."""

from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from botocore.exceptions import ClientError

from quiesce.points.parts import ShadowCopy, ShadowOutcome
from quiesce.steps import snapshot_disks
from quiesce.steps.backup import verify
from quiesce.steps.backup.verify import ALL_WORDS, MAX_WORDS
from tests.support.environment import MAX_STATE_BYTES
from tests.support.factories.run import a_freeze, a_plan, a_snapshot, a_state, an_awaited

# As many volumes as a Xen server with Windows has at most (EC2 User Guide).
VOLUMES = 26
DENIED = (
    "User: arn:aws:sts::123456789012:assumed-role/quiesce-VerifyFunctionRole-1ABCDEFGHIJKL/"
    "quiesce-VerifyFunction-1ABCDEFGHIJKL is not authorized to perform: ebs:ListSnapshotBlocks on resource: "
    "arn:aws:ec2:eu-central-1::snapshot/{} with an explicit deny in a service control policy"
)


def deny(SnapshotId: str, **_: Any) -> Any:  # noqa: N803 - boto3's own name
    error = {"Code": "AccessDeniedException", "Message": DENIED.format(SnapshotId)}
    answer: Any = {"Error": error, "ResponseMetadata": {"HTTPStatusCode": 403}, "Reason": "UNAUTHORIZED_ACCOUNT"}
    raise ClientError(answer, "ListSnapshotBlocks")


def a_copy(number: int) -> ShadowCopy:
    """A shadow copy of a server whose disks don't say which EBS volume they are, as on Xen."""
    guid = f"\\\\?\\volume{{{UUID(int=number)}}}\\"
    return ShadowCopy(shadow_id=f"{{{UUID(int=number)}}}", volume_guid=guid, path="D:", volume_id="", storage_guid=guid)


def test_what_verify_says_of_snapshots_that_nobody_may_read_fits_into_the_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    snapshots = [a_snapshot(n) for n in range(VOLUMES)]
    copies = [a_copy(n) for n in range(VOLUMES)]
    shadow = ShadowOutcome(good=True, kind="created", reason="made", set_id=f"{{{UUID(int=99)}}}", copies=copies)
    monkeypatch.setattr(snapshot_disks, "describe_snapshots", lambda *_: snapshots)
    state = a_state(plan=a_plan(VOLUMES), freeze=a_freeze(shadow=shadow), await_snapshots=an_awaited(*snapshots))
    client: Any = SimpleNamespace(list_snapshot_blocks=deny)
    verified = verify.verify(client, client, state, lambda: 180_000)
    assert verified.verdict == "not verifiable"
    assert len(verified.model_dump_json().encode()) < MAX_STATE_BYTES
    assert all(copy.reason.startswith("it may be in what could not be read (26 places): ") for copy in verified.copies)
    words = [*(copy.reason for copy in verified.copies), *(read.problem for read in verified.snapshots)]
    assert max(map(len, words)) == ALL_WORDS // VOLUMES
    assert verified.reason.startswith("D: not verifiable: it may be in what could not be read (26 places): ")
    assert len(verified.reason) == len("D: not verifiable: ") + MAX_WORDS, "the worst one's is longer than each entry's"
