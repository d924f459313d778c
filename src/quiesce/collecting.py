"""Bring a session's files into the bucket: backup log and state, and the scripts' output if the policy wants it."""

from typing import TYPE_CHECKING

from quiesce import bucket, verbs
from quiesce.errors import QuiesceError
from quiesce.freezing import was_asked
from quiesce.record import Logs
from quiesce.run import RunIdentity
from quiesce.ssm import Guest
from quiesce.state import RunState

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def collect(guest: Guest, links: "S3Client", bucket_name: str, run: RunIdentity, state: RunState) -> Logs | None:
    """Ask the server for the files of a run's session; None where there was none.

    Nothing here keeps the run from being reported: the record then says why it has no files.
    """
    if state.plan is None or not was_asked(state):
        return None
    key = bucket.session_key(run, verbs.ATTEMPT)
    link = bucket.link_for_session(links, bucket_name, key)
    parameters = verbs.collect_parameters(state.plan, link)
    try:
        answer = guest.ask("collect", parameters, verbs.COLLECT_PATIENCE)
    except QuiesceError as error:
        return Logs(place="", problem=f"the session's files stayed on the server: {error}")
    if not answer.ok:
        return Logs(place="", problem=f"the session's files stayed on the server: {answer.error}")
    return Logs(place=f"s3://{bucket_name}/{key}", problem="")
