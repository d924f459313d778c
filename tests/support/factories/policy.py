"""Things that tests need, with defaults: say only what the test is about."""

from typing import Any


def a_policy(*instance_ids: str, vss: Any = "off", **changes: Any) -> dict[str, Any]:
    """Return a policy as a person would write it, for these servers; without VSS, unless a test is about it."""
    return {"name": "files-nightly", "targets": [{"instance_id": i, "vss": vss} for i in instance_ids]} | changes
