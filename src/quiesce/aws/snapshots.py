"""EC2's snapshots: how to create, find and tag them, and quiesce's errors for what EC2 refuses."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, EndpointConnectionError

from quiesce import tags
from quiesce.aws.clients import DENIED, THROTTLED, UNREADABLE, code_of, repeatable, tags_of
from quiesce.backup.run import RunIdentity
from quiesce.errors import (
    AccessDenied,
    AwsThrottled,
    AwsUnavailable,
    OutcomeUnknown,
    ServerRefused,
    SnapshotLimitReached,
    SnapshotRefused,
    SnapshotTooSoon,
)
from quiesce.points.parts import Snapshot
from quiesce.points.record import Record

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import SnapshotInfoTypeDef, SnapshotTypeDef

# EBS: "Wait at least 15 seconds between concurrent volume snapshots" (EC2 error codes).
TOO_SOON = {"SnapshotCreationPerVolumeRateExceeded"}
# Of pending snapshots: for one volume (5, or 1 of st1 and sc1) and for the account and Region (EC2 error codes).
LIMITED = {"ConcurrentSnapshotLimitExceeded", "PendingSnapshotLimitExceeded"}
LIMIT_REMEDY = "wait until snapshots of the server's volumes or of the Region have completed, then start a new run"
# botocore had no connection yet, and so it sent nothing (urllib3's ConnectTimeoutError and NewConnectionError).
NOT_SENT = (ConnectTimeoutError, EndpointConnectionError)
# The tag by which AWS's document for VSS says that it has succeeded.
APP_CONSISTENT = "AppConsistent"
# States of a snapshot that can't be tagged: quiesce's for one that EC2 does not know, and the Recycle Bin's.
NOT_TAGGABLE = {"vanished", "recoverable", "recovering"}
# Filters take at most this many values (EC2 API reference).
FILTER_VALUES = 200


def try_create_snapshots(client: "EC2Client", request: dict[str, Any]) -> None:
    """Ask EC2 by DryRun whether CreateSnapshots would be allowed: rights, tags and parameters.

    Raises:
        ServerRefused: EC2 would refuse it; the message has EC2's own words.
    """
    try:
        with repeatable("ec2:CreateSnapshots (DryRun)"):
            client.create_snapshots(DryRun=True, **request)
    except ClientError as error:
        if code_of(error) == "DryRunOperation":
            return
        raise ServerRefused("instance_id", f"EC2 would refuse its snapshots: {error}", "mend what EC2 names") from error
    raise ServerRefused("instance_id", "EC2 answered a DryRun as if it had not been one", "report this to quiesce")


def create_snapshots(client: "EC2Client", request: dict[str, Any]) -> list[Snapshot]:
    """Create the snapshots of all chosen volumes at one point in time, fixed when this returns; send it once.

    Args:
        client: must not retry by itself (``clients.ONCE``): CreateSnapshots takes no token.
        request: from ``snapshots_request``.

    Raises:
        AwsThrottled: nothing was created; retried by the state machine.
        AwsUnavailable: EC2 could not be reached, and nothing was sent; retried by the state machine.
        SnapshotTooSoon: nothing was created; retried after EBS's 15 seconds.
        SnapshotLimitReached: nothing was created; retried once fewer snapshots are pending.
        AccessDenied: nothing was created; not retried.
        SnapshotRefused: nothing was created; not retried.
        OutcomeUnknown: the answer was lost, can't be read or is a fault of EC2: AwaitSnapshots looks for the run's tag.
    """
    try:
        answer = client.create_snapshots(**request)
        return [_snapshot(info, info.get("State", "pending")) for info in answer["Snapshots"]]
    except ClientError as error:
        raise _creation_error(error) from error
    except NOT_SENT as error:
        raise AwsUnavailable(f"ec2:CreateSnapshots was not sent: {error}") from error
    except BotoCoreError as error:
        raise OutcomeUnknown(f"CreateSnapshots was sent and its answer lost: {error}") from error
    except UNREADABLE as error:
        words = f"CreateSnapshots was sent and its answer can't be read ({type(error).__name__}: {error})"
        raise OutcomeUnknown(words) from error


def describe_snapshots(client: "EC2Client", snapshot_ids: Sequence[str]) -> list[Snapshot]:
    """Return those of the snapshots that EC2 knows now; one that EC2 does not know is left out, not an error."""
    found: list[Snapshot] = []
    for start in range(0, len(snapshot_ids), FILTER_VALUES):
        ids = list(snapshot_ids[start : start + FILTER_VALUES])
        found += _described(client, [{"Name": "snapshot-id", "Values": ids}])
    return found


def find_snapshots(client: "EC2Client", run: RunIdentity, stack: str) -> list[Snapshot]:
    """Return the snapshots that carry this run's tags; right after their creation EC2 may not list them yet."""
    ours = {tags.RUN: run.run_id, tags.INSTANCE: run.instance_id, tags.STACK: stack}
    return _described(client, [{"Name": f"tag:{key}", "Values": [value]} for key, value in ours.items()])


def tag_snapshots(client: "EC2Client", record: Record) -> list[str]:
    """Tag a recovery point's snapshots with its consistency; IAM allows it on this stack's snapshots only.

    One beside which the run built another is ``raw``, and only crash-consistent: who picks by tag gets the built one.
    A snapshot that was deleted is skipped, whether the run has noticed it or not: the record names it.

    Returns:
        A note on each snapshot that EC2 refused to tag: only the record then has its consistency.
    """
    untagged, raw = [], {built.built_from for built in record.built}
    for snapshot in record.snapshots:
        # A snapshot that does not exist has no tags, so IAM might deny the call where EC2 would answer "not found".
        if snapshot.state in NOT_TAGGABLE:
            continue
        level = record.consistency.level
        own = {tags.CONSISTENCY: level, tags.DEVICE: snapshot.device}
        if snapshot.snapshot_id in raw and level == "application":
            own |= {tags.CONSISTENCY: "crash", tags.STATE: tags.RAW}
        try:
            with repeatable("ec2:CreateTags"):
                client.create_tags(Resources=[snapshot.snapshot_id], Tags=tags.tag_list(own))
        except (AccessDenied, ClientError) as error:
            if not isinstance(error, ClientError) or code_of(error) != "InvalidSnapshot.NotFound":
                untagged.append(f"{snapshot.snapshot_id} has no {tags.CONSISTENCY}: {error}")
    return untagged


def _described(client: "EC2Client", filters: Any) -> list[Snapshot]:
    with repeatable("ec2:DescribeSnapshots"):
        pages = client.get_paginator("describe_snapshots").paginate(
            OwnerIds=["self"], Filters=filters, PaginationConfig={"PageSize": 1000}
        )
        return [_snapshot(s, s["State"]) for page in pages for s in page["Snapshots"]]


def _creation_error(error: ClientError) -> Exception:
    code, status = code_of(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in THROTTLED:
        return AwsThrottled(f"ec2:CreateSnapshots: {error}")
    if code in TOO_SOON:
        return SnapshotTooSoon(f"ec2:CreateSnapshots: {error}")
    if code in LIMITED:
        return SnapshotLimitReached(f"EC2 creates no snapshot while so many are pending ({error}): {LIMIT_REMEDY}")
    if code in DENIED:
        return AccessDenied(f"ec2:CreateSnapshots: {error}")
    if status >= 500:  # noqa: PLR2004
        return OutcomeUnknown(f"CreateSnapshots ended in a fault of EC2: {error}")
    return SnapshotRefused("CreateSnapshots", f"EC2 refused it: {error}", "mend what EC2 names and start a new run")


def _snapshot(info: "SnapshotInfoTypeDef | SnapshotTypeDef", state: str) -> Snapshot:
    completed: datetime | None = info.get("CompletionTime")  # type: ignore[assignment]
    return Snapshot(
        snapshot_id=info["SnapshotId"],
        volume_id=info["VolumeId"],
        size_gib=info["VolumeSize"],
        state=state,
        state_message=str(info.get("StateMessage") or ""),
        progress=info.get("Progress", ""),
        started_at=info["StartTime"],
        completed_at=completed,
        archived=info.get("StorageTier") == "archive",
        app_consistent=tags_of(info).get(APP_CONSISTENT, "").lower() == "true",
    )
