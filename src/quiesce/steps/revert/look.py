"""Look: what can be built out of a recovery point, and what that takes; nothing is created."""

from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import UUID

from quiesce.aws.child_snapshots import describe_snapshots, encrypts_by_default
from quiesce.aws.snapshot_blocks import Allowance
from quiesce.disks.search import ExpectedCopy, examine
from quiesce.revert.look import Looked, Parents, look
from quiesce.revert.request import RevertRequest
from quiesce.steps.snapshot_disks import open_disks

if TYPE_CHECKING:
    from mypy_boto3_ebs import EBSClient
    from mypy_boto3_ec2 import EC2Client

# Lists of 31 GiB of old data and the bitmap of 64 TiB take fewer; time ends before.
LOOK_CALLS = 50_000


def look_into(ec2: "EC2Client", ebs: "EBSClient", request: RevertRequest, remaining_ms: Callable[[], int]) -> Looked:
    """Look into the raw snapshots of a recovery point.

    Raises:
        AwsThrottled, AwsUnavailable: retried by the state machine.
    """
    ids = [raw.snapshot_id for raw in request.snapshots]
    allowance = Allowance(remaining_ms, LOOK_CALLS, LOOK_CALLS)
    disks = [opened.disk for opened in open_disks(ec2, ebs, ids, allowance)]
    on = {raw.volume_id: raw.snapshot_id for raw in request.snapshots}
    set_id = UUID(request.set_id)
    expected = [ExpectedCopy(UUID(copy.shadow_id), set_id, on.get(copy.volume_id)) for copy in request.copies]
    known = describe_snapshots(ec2, ids)
    unencrypted = {found.snapshot_id for found in known.values() if not found.encrypted}
    # Asked only where it matters.
    parents = Parents(unencrypted, encrypted_by_default=bool(unencrypted) and encrypts_by_default(ec2))
    evidence = examine(disks, expected) if expected else []
    return look(
        disks, list(zip(request.copies, evidence, strict=True)), request.snapshots, parents, allowance.check_time
    )
