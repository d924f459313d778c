"""Copy a session's files into the bucket: backup log and state, and the scripts' output if the policy wants it."""

from quiesce.aws.bucket import Bucket, session_folder
from quiesce.aws.clients import ANY_REFUSAL
from quiesce.aws.ssm import Guest
from quiesce.backup.parameters import collect_parameters
from quiesce.backup.run import RunIdentity
from quiesce.backup.session_problems import was_asked
from quiesce.backup.state import Plan, RunState
from quiesce.errors import AnswerUnreadable
from quiesce.guest import patience
from quiesce.guest.session_files import unpack
from quiesce.points.record import Logs


def collect(guest: Guest, bucket: Bucket, run: RunIdentity, state: RunState) -> Logs | None:
    """Copy the files of a run's session into the bucket; None where there was no session.

    A refusal does not keep Report from ending the run: the record then says why it has no files.
    """
    if state.plan is None or not was_asked(state):
        return None
    try:
        return _collect(guest, bucket, run, state.plan, state.attempt)
    except ANY_REFUSAL as error:
        return Logs(place="", files=[], problem=f"the session's files are not in the bucket: {error}")


def _collect(guest: Guest, bucket: Bucket, run: RunIdentity, plan: Plan, attempt: int) -> Logs:
    folder = session_folder(run, attempt)
    archive = f"{folder.removesuffix('/')}.zip"
    parameters = collect_parameters(plan, attempt, bucket.link_to_put(archive))
    answer = guest.ask("collect", parameters, patience.COLLECT_PATIENCE)
    if not answer.ok:
        return Logs(place="", files=[], problem=f"the session's files are not in the bucket: {answer.error}")
    try:
        files = unpack(bucket.read_archive(archive))
    except AnswerUnreadable as error:
        return Logs(place=bucket.place(archive), files=[], problem=f"the files stay packed: {error}")
    written = {name: content for name, content in files.items() if content}
    for name, content in written.items():
        bucket.write_session_file(folder + name, content)
    return Logs(place=bucket.place(folder), files=sorted(written), problem="")
