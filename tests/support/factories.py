"""Things that tests need, with defaults: say only what the test is about."""

from typing import Any


def a_policy(*instance_ids: str, **changes: Any) -> dict[str, Any]:
    """Return a policy as a person would write it, for these servers."""
    return {"name": "files-nightly", "targets": [{"instance_id": i} for i in instance_ids]} | changes
