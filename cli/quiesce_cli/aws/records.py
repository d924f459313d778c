"""The record of a run that a person names."""

import re
from collections.abc import Sequence

from quiesce.aws.bucket import Bucket
from quiesce.aws.pages.records import Kept, Unread, list_records, read_records
from quiesce.points.record import Record
from quiesce_cli.troubles import Usage

NAMED_RUNS = 5
# Most runs are named after their server, and then its records alone are listed.
INSTANCE_ID = re.compile(r"i-(?:[0-9a-f]{17}|[0-9a-f]{8})(?![0-9a-f])")


def _fitting(records: Sequence[Kept], name: str) -> list[Kept]:
    return [kept for kept in records if kept.run_id == name] or [k for k in records if k.run_id.startswith(name)]


def find_record(bucket: Bucket, run: str) -> Record:
    """Return the record of a run, by its id, the beginning of it, or the place of its record.

    Raises:
        Usage: there is none, there are several, or it can't be read.
    """
    name = run.rpartition("/")[2].removesuffix(".json")
    server = INSTANCE_ID.search(run)
    fitting = _fitting(list_records(bucket, server.group()), name) if server else []
    # A person's own name of a run may have another server's id in it.
    fitting = fitting or _fitting(list_records(bucket), name)
    if not fitting:
        raise Usage(f"no run has left a record whose id is or begins with '{name}'", "quiesce points --all lists them")
    if fitting[1:]:
        names = ", ".join(kept.run_id for kept in fitting[:NAMED_RUNS])
        raise Usage(f"{len(fitting)} runs begin with '{name}': {names}", "write more of the one that you mean")
    [record] = read_records(bucket, fitting)
    if isinstance(record, Unread):
        problem = f"the record {bucket.place(record.kept.key)} can't be read ({record.why})"
        raise Usage(problem, "update this command line to the stack's release")
    return record
