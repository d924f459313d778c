"""Policies with defaults: a test states only what it is about."""

from typing import Any


def a_policy(*instance_ids: str, vss: Any = "off", **changes: Any) -> dict[str, Any]:
    """Return a policy as a person would write it, for these servers; without VSS by default."""
    return {"name": "files-nightly", "targets": [{"instance_id": i, "vss": vss} for i in instance_ids]} | changes
