"""EC2 and EBS: what we ask of them, and their answers in our words."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from quiesce import tags
from quiesce.aws.clients import DENIED, THROTTLED, code_of, repeatable
from quiesce.aws.servers import source_of
from quiesce.backup.planning import Server
from quiesce.backup.recording import Record
from quiesce.backup.run import RunIdentity
from quiesce.backup.state import Plan, Snapshot, Volume
from quiesce.backup.volumes import AttachedVolume
from quiesce.errors import AccessDenied, AwsThrottled, OutcomeUnknown, ServerRefused, SnapshotRefused, SnapshotTooSoon

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import InstanceTypeDef, SnapshotInfoTypeDef, SnapshotTypeDef, VolumeTypeDef

# EBS: "Wait at least 15 seconds between concurrent volume snapshots" (EC2 error codes).
TOO_SOON = {"SnapshotCreationPerVolumeRateExceeded"}
# States of a snapshot that can't be tagged: ours for one that EC2 does not know, and the Recycle Bin's.
GONE = {"vanished", "recoverable", "recovering"}
# Filters take at most so many values (EC2 API reference).
FILTER_VALUES = 200


def describe_server(client: "EC2Client", instance_id: str, region: str) -> "InstanceTypeDef":
    """Return the instance as EC2 describes it.

    Raises:
        ServerRefused: EC2 does not know it here, or it can't be backed up in its state.
    """
    try:
        with repeatable("ec2:DescribeInstances"):
            reservations = client.describe_instances(InstanceIds=[instance_id])["Reservations"]
    except ClientError as error:
        if code_of(error) not in ("InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed"):
            raise
        reservations = []
    instances = [instance for reservation in reservations for instance in reservation["Instances"]]
    if not instances:
        raise ServerRefused(
            "instance_id",
            f"{instance_id} does not exist in {region} in this account",
            "correct the id; a server in another region is backed up by a stack there",
        )
    return instances[0]


def server_of(instance: "InstanceTypeDef") -> Server:
    """Return what the plan needs to know of a server that can be backed up now.

    Raises:
        ServerRefused: it is neither running nor stopped, or a recovery is making it.
    """
    found = tags_of(instance)
    if recovery := found.get(tags.RECOVERING):
        problem = f"the server is being made by recovery {recovery}: it is nobody's yet"
        raise ServerRefused("instance_id", problem, "back it up once the recovery has ended")
    state, platform = _usable_state(instance), instance.get("PlatformDetails", "")
    return Server(name=found.get("Name", ""), state=state, platform=platform, source=source_of(instance))


def _usable_state(instance: "InstanceTypeDef") -> Literal["running", "stopped"]:
    match state := instance["State"]["Name"]:
        case "running" | "stopped":
            return state
        case "terminated" | "shutting-down":
            problem, remedy = f"the server is {state}: its volumes are gone or going", "take it out of the policy"
        case _:
            problem, remedy = f"the server is {state}", "start the run again once it is running or stopped"
    raise ServerRefused("instance_id", problem, remedy)


def describe_volumes(client: "EC2Client", instance: "InstanceTypeDef") -> list[AttachedVolume]:
    """Return the EBS volumes of a server, the root first, then by device."""
    devices = {m["Ebs"]["VolumeId"]: m["DeviceName"] for m in instance.get("BlockDeviceMappings", []) if "Ebs" in m}
    filters: Any = [{"Name": "attachment.instance-id", "Values": [instance["InstanceId"]]}]
    with repeatable("ec2:DescribeVolumes"):
        pages = client.get_paginator("describe_volumes").paginate(Filters=filters, PaginationConfig={"PageSize": 200})
        volumes = [volume for page in pages for volume in page["Volumes"] if volume["VolumeId"] in devices]
    root = instance.get("RootDeviceName", "")
    attached = [_attached(volume, devices[volume["VolumeId"]], root, instance["InstanceId"]) for volume in volumes]
    return sorted(attached, key=lambda a: (not a.volume.root, a.volume.device))


def tags_of(resource: Any) -> dict[str, str]:
    """Return the tags of a described resource as a plain mapping."""
    return {tag["Key"]: tag["Value"] for tag in resource.get("Tags", [])}


def request_of(plan: Plan, *, vss: bool) -> dict[str, Any]:
    """Return the arguments of a run's one CreateSnapshots: Plan tries them by DryRun, Snapshot sends them.

    ``vss`` says whether good shadow copies are known to be on the volumes: the description tells it for good.
    """
    specification: dict[str, Any] = {
        "InstanceId": plan.instance_id,
        "ExcludeBootVolume": any(e.root for e in plan.excluded),
    }
    if data := [e.volume_id for e in plan.excluded if not e.root]:
        specification["ExcludeDataVolumeIds"] = data
    return {
        "InstanceSpecification": specification,
        "Description": tags.description(plan.policy, plan.instance_id, vss=vss),
        "TagSpecifications": [{"ResourceType": "snapshot", "Tags": _tag_list(plan.tags)}],
    }


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
        client: must not retry by itself (``aws.ONCE``): CreateSnapshots takes no token.
        request: from ``request_of``.

    Raises:
        AwsThrottled: nothing was created; retried by the state machine.
        SnapshotTooSoon: nothing was created; retried after EBS's 15 seconds.
        AccessDenied: nothing was created; not retried.
        SnapshotRefused: nothing was created; not retried.
        OutcomeUnknown: the answer was lost or a server's fault: AwaitSnapshots looks for the run's tag.
    """
    try:
        answer = client.create_snapshots(**request)
    except ClientError as error:
        raise _creation_error(error) from error
    except BotoCoreError as error:
        raise OutcomeUnknown(f"CreateSnapshots was sent and its answer lost: {error}") from error
    return [_snapshot(info, info.get("State", "pending")) for info in answer["Snapshots"]]


def describe_snapshots(client: "EC2Client", snapshot_ids: Sequence[str]) -> list[Snapshot]:
    """Return those of the snapshots that EC2 knows now; one that it does not is left out, not an error."""
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
    """Write the final truth on a recovery point's snapshots; IAM allows it on this stack's snapshots only.

    A snapshot that somebody deleted is left out, known or not: the record names it.

    Returns:
        What the record should say of snapshots that could not be tagged for good: their truth is in the record alone.
    """
    untagged = []
    for snapshot in record.snapshots:
        # What does not exist has no tags, so that IAM might answer with a denial instead of "not found".
        if snapshot.state in GONE:
            continue
        pair = {tags.CONSISTENCY: record.consistency.level, tags.DEVICE: snapshot.device}
        try:
            with repeatable("ec2:CreateTags"):
                client.create_tags(Resources=[snapshot.snapshot_id], Tags=_tag_list(pair))
        except (AccessDenied, ClientError) as error:
            if not isinstance(error, ClientError) or code_of(error) != "InvalidSnapshot.NotFound":
                untagged.append(f"{snapshot.snapshot_id} has no {tags.CONSISTENCY}: {error}")
    return untagged


def _tag_list(tag_set: Mapping[str, str]) -> list[Any]:
    return [{"Key": key, "Value": value} for key, value in tag_set.items()]


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
    if code in DENIED:
        return AccessDenied(f"ec2:CreateSnapshots: {error}")
    if status >= 500:  # noqa: PLR2004
        return OutcomeUnknown(f"CreateSnapshots ended in a fault of EC2: {error}")
    return SnapshotRefused("CreateSnapshots", f"EC2 refused it: {error}", "mend what EC2 names and start a new run")


def _attached(volume: "VolumeTypeDef", device: str, root: str, instance_id: str) -> AttachedVolume:
    attachment: Any = next((a for a in volume.get("Attachments", []) if a.get("InstanceId") == instance_id), {})
    described = Volume(
        volume_id=volume["VolumeId"],
        device=device,
        root=device == root,
        size_gib=volume["Size"],
        volume_type=volume["VolumeType"],
        iops=volume.get("Iops"),
        throughput_mibps=volume.get("Throughput"),
        encrypted=volume.get("Encrypted", False),
        kms_key_id=volume.get("KmsKeyId"),
        delete_on_termination=attachment.get("DeleteOnTermination", False),
    )
    return AttachedVolume(described, tags_of(volume))


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
    )
