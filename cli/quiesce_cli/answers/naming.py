"""Names of what a person starts: readable, in the order of time, and of no other start."""

import secrets
from datetime import UTC, datetime

# Of an execution, whose name is its run's id; a policy's name has at most 40 characters.
RANDOM_BYTES = 2


def name_of_start(what: str, now: datetime) -> str:
    """Return the name of an execution that a person starts now."""
    return f"{what}-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(RANDOM_BYTES)}"
