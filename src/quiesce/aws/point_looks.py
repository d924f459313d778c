"""What EC2 has of recovery points: their snapshots, in the Recycle Bin too, and the servers that they are of."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from quiesce import tags
from quiesce.aws.clients import repeatable, tags_of
from quiesce.errors import AccessDenied
from quiesce.recovery.flaws import FoundSnapshot

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

# Filters take at most this many values (EC2 API reference).
FILTER_VALUES = 200


def find_snapshots(client: "EC2Client", snapshot_ids: Iterable[str]) -> dict[str, FoundSnapshot]:
    """Return the snapshots with these ids that EC2 has, those in the Recycle Bin included; by filters, without error.

    Whether a missing one is in the Recycle Bin is not known where the right to look there is missing.
    """
    wanted, found = sorted(set(snapshot_ids)), {}
    for start in range(0, len(wanted), FILTER_VALUES):
        filters: Any = [{"Name": "snapshot-id", "Values": wanted[start : start + FILTER_VALUES]}]
        with repeatable("ec2:DescribeSnapshots"):
            pages = client.get_paginator("describe_snapshots").paginate(OwnerIds=["self"], Filters=filters)
            for snapshot in (s for page in pages for s in page["Snapshots"]):
                tier = str(snapshot.get("StorageTier", "standard"))
                removing = tags.REMOVING in tags_of(snapshot)
                full_bytes = int(snapshot.get("FullSnapshotSizeInBytes") or 0)
                archived = tier == "archive" or "RestoreExpiryTime" in snapshot
                state = str(snapshot["State"])
                found[snapshot["SnapshotId"]] = FoundSnapshot(state, tier, removing, full_bytes, archived)
    missing = set(wanted) - found.keys()
    return found | (_in_recycle_bin(client, missing) if missing else {})


def find_instances(client: "EC2Client", stack: str, run_id: str) -> list[str]:
    """Return the servers that runs whose id is or begins with this backed up, by the tags of their snapshots.

    There may be several: the name of an execution, from which the id comes, is free again after 90 days.
    """
    found = _instances_by_run(client, stack, f"{run_id}*")
    exact = {instance_id for instance_id, run in found if run == run_id}
    return sorted(exact or {instance_id for instance_id, _ in found})


def find_backed_up(client: "EC2Client", stack: str) -> list[str]:
    """Return all servers of which this stack has snapshots."""
    return sorted({instance_id for instance_id, _ in _instances_by_run(client, stack, "*")})


def find_names(client: "EC2Client", instance_ids: Sequence[str]) -> dict[str, str]:
    """Return the Name tags of those of these servers that EC2 still has, empty where one has none."""
    names: dict[str, str] = {}
    for start in range(0, len(instance_ids), FILTER_VALUES):
        filters: Any = [{"Name": "instance-id", "Values": list(instance_ids[start : start + FILTER_VALUES])}]
        with repeatable("ec2:DescribeInstances"):
            pages = client.get_paginator("describe_instances").paginate(Filters=filters)
            found = [i for page in pages for reservation in page["Reservations"] for i in reservation["Instances"]]
            names |= {instance["InstanceId"]: tags_of(instance).get("Name", "") for instance in found}
    return names


def _instances_by_run(client: "EC2Client", stack: str, run: str) -> set[tuple[str, str]]:
    ours = {tags.STACK: stack, tags.RUN: run}
    filters: Any = [{"Name": f"tag:{key}", "Values": [value]} for key, value in ours.items()]
    with repeatable("ec2:DescribeSnapshots"):
        pages = client.get_paginator("describe_snapshots").paginate(OwnerIds=["self"], Filters=filters)
        found = [tags_of(snapshot) for page in pages for snapshot in page["Snapshots"]]
    return {(each[tags.INSTANCE], each[tags.RUN]) for each in found if each.get(tags.INSTANCE)}


def _in_recycle_bin(client: "EC2Client", wanted: set[str]) -> dict[str, FoundSnapshot]:
    """Return those in the Recycle Bin; the call has no filter, and what it says of an unknown id is not documented."""
    try:
        with repeatable("ec2:ListSnapshotsInRecycleBin"):
            pages = client.get_paginator("list_snapshots_in_recycle_bin").paginate()
            ids = [str(snapshot["SnapshotId"]) for page in pages for snapshot in page["Snapshots"]]
    except AccessDenied:
        return {}
    return {snapshot_id: FoundSnapshot("recoverable", "standard") for snapshot_id in ids if snapshot_id in wanted}
