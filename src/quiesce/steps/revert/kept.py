"""The lists of hashes in the bucket: the first one under a key stays, so that all executions of a build agree."""

from collections.abc import Iterator

from quiesce.aws.bucket import Bucket
from quiesce.errors import NotReady
from quiesce.revert.hashes import Hashes, hashes_key


def read_list(bucket: Bucket, child_id: str, first: int) -> Hashes | None:
    """Return the list that begins with a block, None if there is none."""
    kept = bucket.read_json(hashes_key(child_id, first))
    return Hashes.model_validate_json(kept) if kept else None


def keep_list(bucket: Bucket, child_id: str, hashes: Hashes) -> Hashes:
    """Keep a list, and return it, or the one that is kept under its key already."""
    if bucket.keep_json(hashes_key(child_id, hashes.first), hashes.model_dump_json()):
        return hashes
    kept = read_list(bucket, child_id, hashes.first)
    if kept is None:
        raise NotReady(f"S3 has a list of hashes of {child_id} from block {hashes.first}, and does not return it yet")
    return kept


def read_chain(bucket: Bucket, child_id: str, first: int, after: int) -> Iterator[Hashes]:
    """Yield the lists of a part in order.

    Raises:
        NotReady: one is missing, which another execution of the same build will write; retried.
    """
    while first < after:
        kept = read_list(bucket, child_id, first)
        if kept is None:
            raise NotReady(f"the hashes of {child_id} from block {first} on are not in the bucket")
        yield kept
        first = kept.after
