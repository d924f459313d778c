"""Bring a session's files into the bucket: backup log and state, and the scripts' output if the policy wants it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from quiesce.aws import bucket
from quiesce.aws.clients import ANY_REFUSAL
from quiesce.aws.ssm import Guest
from quiesce.backup.recording import Logs
from quiesce.backup.run import RunIdentity
from quiesce.backup.session_problems import was_asked
from quiesce.backup.state import Plan, RunState
from quiesce.errors import AnswerUnreadable
from quiesce.guest import patience
from quiesce.guest.session_files import unpack

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class LogStore:
    """The bucket with the logs: one client that reads and writes, and one whose links name the bucket's own host."""

    client: "S3Client"
    links: "S3Client"
    bucket: str


def collect(guest: Guest, store: LogStore, run: RunIdentity, state: RunState) -> Logs | None:
    """Bring the files of a run's session into the bucket; None where there was no session.

    Nothing here keeps the run from being reported: the record then says why it has no files.
    """
    if state.plan is None or not was_asked(state):
        return None
    try:
        return _collect(guest, store, run, state.plan, state.attempt)
    except ANY_REFUSAL as error:
        return Logs(place="", files=[], problem=f"the session's files are not in the bucket: {error}")


def _collect(guest: Guest, store: LogStore, run: RunIdentity, plan: Plan, attempt: int) -> Logs:
    folder = bucket.session_folder(run, str(attempt))
    archive = f"{folder.removesuffix('/')}.zip"
    parameters = patience.collect_parameters(plan, attempt, bucket.link_to_put(store.links, store.bucket, archive))
    answer = guest.ask("collect", parameters, patience.COLLECT_PATIENCE)
    if not answer.ok:
        return Logs(place="", files=[], problem=f"the session's files are not in the bucket: {answer.error}")
    try:
        files = unpack(bucket.read_archive(store.client, store.bucket, archive))
    except AnswerUnreadable as error:
        return Logs(place=f"s3://{store.bucket}/{archive}", files=[], problem=f"the files stay packed: {error}")
    written = {name: content for name, content in files.items() if content}
    for name, content in written.items():
        bucket.write_session_file(store.client, store.bucket, folder + name, content)
    return Logs(place=f"s3://{store.bucket}/{folder}", files=sorted(written), problem="")
