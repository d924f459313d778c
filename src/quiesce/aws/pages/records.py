"""Records of runs in the bucket: which there are, the newest first, and what is in them."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import NamedTuple

from pydantic import ValidationError

from quiesce.aws.bucket import Bucket
from quiesce.points.record import Record

FOLDER = "records/"
SIDE_BY_SIDE = 16


class Kept(NamedTuple):
    """A record in the bucket, by its name alone; ``written_at`` is when its run ended, in UTC."""

    key: str
    instance_id: str
    run_id: str
    written_at: datetime


class Unread(NamedTuple):
    """A record that can't be read, and why."""

    kept: Kept
    why: str


def list_records(bucket: Bucket, instance_id: str = "") -> list[Kept]:
    """Return the records of a server, or of all, the newest first; a call of S3 for each thousand."""
    listed = bucket.list_below(f"{FOLDER}{instance_id}/" if instance_id else FOLDER)
    found = [kept for written_at, key in listed if (kept := _kept(key, written_at))]
    return sorted(found, key=lambda kept: (kept.written_at, kept.key), reverse=True)


def _kept(key: str, written_at: datetime) -> Kept | None:
    server, _, name = key.removeprefix(FOLDER).rpartition("/")
    return Kept(key, server, name.removesuffix(".json"), written_at) if server and name.endswith(".json") else None


def read_records(bucket: Bucket, wanted: Sequence[Kept]) -> list[Record | Unread]:
    """Return what is in these records, in their order, read side by side."""
    if not wanted:
        return []
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        return list(pool.map(lambda kept: _read(bucket, kept), wanted))


def _read(bucket: Bucket, kept: Kept) -> Record | Unread:
    text = bucket.read_json(kept.key)
    if text is None:
        return Unread(kept, "it is gone")
    try:
        # A stack of a later version may write more than this one knows.
        return Record.model_validate_json(text, extra="ignore")
    except ValidationError as error:
        first = error.errors()[0]
        return Unread(kept, f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}")
