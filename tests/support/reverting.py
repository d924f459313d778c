"""The input of a build, as a person would make it from a run's record."""

from typing import Any


def request_of(record: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return what to build: every volume of a recovery point as of its shadow copy."""
    fields = ("snapshot_id", "volume_id", "device", "size_gib")
    copies = [{name: copy[name] for name in ("shadow_id", "path", "volume_id")} for copy in record["shadow"]["copies"]]
    return {
        "built_for": "drill-7",
        "instance_id": record["instance_id"],
        "set_id": record["shadow"]["set_id"],
        "snapshots": [{name: each[name] for name in fields} for each in record["snapshots"]],
        "copies": copies,
        **changes,
    }
