"""The hashes of a child's blocks, which do not fit a state document: one list for each call that wrote some."""

import base64
import hashlib
from collections.abc import Sequence

from quiesce.executions import Crossing


class Hashes(Crossing):
    """What one call wrote from block ``first`` to before ``after``: each block's index, and its SHA-256 in base64.

    The list that begins where this one ends is under ``after``.
    """

    first: int
    after: int
    blocks: list[tuple[int, str]]


def hash_of(data: bytes) -> str:
    """Return a block's SHA-256 as EBS takes it."""
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def hashes_key(child_id: str, first: int) -> str:
    """Return where the list that begins with a block lies in the bucket."""
    return f"reverts/{child_id}/from-{first}.json"


def aggregated(lists: Sequence[Hashes]) -> str:
    """Return the checksum over the blocks' own in the order of their indexes, as CompleteSnapshot takes it.

    EBS's reference speaks of one string; coldsnap, a client by AWS, joins their bytes.
    """
    blocks = sorted(block for each in lists for block in each.blocks)
    return hash_of(b"".join(base64.b64decode(digest) for _, digest in blocks))
