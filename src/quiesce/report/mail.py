"""The mails about runs and recoveries.

Report mails every run that is neither Successful nor Skipped, the first Successful one after it, one from which a
writer is gone that took part in the last good run, and one that found an old session open; every recovery gets a mail.
"""

from dataclasses import dataclass

from quiesce.backup.session_problems import failed_after
from quiesce.errors import next_step
from quiesce.points.record import BuiltSnapshot, Record
from quiesce.recovery.account import Account
from quiesce.recovery.hand_over import HandOver

# An application that is held is down: this mail does not wait for a summary.
HELD = "May still be held"
HEADINGS = {"yours": "Yours:      ", "done": "Done:       ", "not needed": "Not needed: "}


@dataclass(frozen=True)
class Mail:
    """A mail; the subject is made of bounded names, so that it is at most the 100 ASCII characters that SNS takes."""

    subject: str
    text: str


def mail_of(record: Record, last_status: str | None, *, told_by_policy_run: bool = False) -> Mail | None:
    """Return the mail about a run, or None if it needs none.

    Args:
        record: of the run that has just ended.
        last_status: how the policy's run before it ended on this server, None if there was none.
        told_by_policy_run: whether the run belongs to a policy run, whose own mail tells of all but a held application.
    """
    server = f"{record.instance_name} ({record.instance_id})" if record.instance_name else record.instance_id
    remark = remark_of(record)
    if remark == HELD:
        headline = remark
    elif told_by_policy_run:
        return None
    elif record.status not in ("Successful", "Skipped"):
        headline = record.status
    elif record.status == "Successful" and last_status not in (None, "Successful"):
        headline = "Successful again"
    elif remark:
        headline = remark
    else:
        return None
    return Mail(f"{headline}: backup of {record.instance_id}, policy {record.policy}", _text(record, server))


def remark_of(record: Record) -> str:
    """Return what a person must hear of a run whatever its status is; empty if there is nothing."""
    if record.session and failed_after(record.session):
        return HELD
    if record.shadow and record.shadow.gone_writers:
        return "A writer is gone"
    return "An old session was open" if record.overdue_sessions else ""


def mail_of_recovery(account: Account) -> Mail:
    """Return the mail about an ended recovery."""
    headline = "Recovered" if account.status == "Recovered" else "Recovery failed"
    # Without a recovery_id in the input it is the execution's name, which may have letters beyond ASCII.
    recovery_id = account.recovery_id.encode("ascii", "replace").decode()
    return Mail(f"{headline}: {recovery_id}", _text_of_recovery(account))


def _text_of_recovery(account: Account) -> str:
    at = f", of {account.snapshots_at:%Y-%m-%d %H:%M:%S} UTC" if account.snapshots_at else ""
    lines = [
        f"Recovery:    {account.recovery_id}",
        f"Status:      {account.status}",
        f"Reason:      {account.reason}",
        f"Consistency: {account.consistency or 'no recovery point was chosen'}",
        *(f"Volume:      {each}" for each in account.volumes),
        *(f"Passed over: {each}" for each in account.passed_over),
        *(f"Note:        {each}" for each in account.notes),
        f"Server:      {account.hand_over.server if account.hand_over else account.instance_id or 'none'}",
        *(_hand_over(account.hand_over) if account.hand_over else []),
        f"From:        {account.from_instance_id or 'not known'}, {account.recovery_point or 'no recovery point'}{at}",
        *([f"If not:      {account.fallback}"] if account.fallback else []),
        *(f"Exists:      {r.kind} {r.resource_id} ({r.state}), {r.what}" for r in account.exists),
        f"Started:     {account.started_at:%Y-%m-%d %H:%M:%S} UTC",
        f"Ended:       {account.ended_at:%Y-%m-%d %H:%M:%S} UTC",
        *([f"Took:        {account.took}"] if account.took else []),
        f"Account:     {account.account}",
        f"Execution:   {account.execution}",
    ]
    return "\n".join(lines)


def _hand_over(handed: HandOver) -> list[str]:
    return [
        f"Addresses:   {handed.private_ip or 'no private one'}, {handed.public_ip or 'no public one'}",
        f"Old address: {handed.old_address}",
        f"Console:     {handed.console}",
        *([f"Session:     {handed.session_manager}"] if handed.session_manager else []),
        *(f"{HEADINGS[task.state]} {task.what}: {task.words}" for task in handed.checklist),
    ]


def _text(record: Record, server: str) -> str:
    error = [f"Error:       {record.failure.error}"] if record.failure else []
    to_do = next_step(record.failure.error, record.failure.cause) if record.failure else ""
    error += [f"Next:        {to_do}"] if to_do else []
    notes = [f"Note:        {note}" for note in record.notes]
    evidence = [f"Evidence:    {record.evidence.verdict} ({record.evidence.reason})"] if record.evidence else []
    logs = [f"Logs:        {record.logs.place or record.logs.problem}"] if record.logs else []
    lines = [
        f"Server:      {server}",
        f"Policy:      {record.policy}",
        f"Status:      {record.status}",
        *error,
        f"Reason:      {record.reason}",
        f"Consistency: {record.consistency.level} ({record.consistency.reason})",
        *evidence,
        *_build_line(record),
        *(f"Built:       {_built_words(each)}" for each in record.built),
        *notes,
        f"Started:     {record.started_at:%Y-%m-%d %H:%M:%S} UTC",
        f"Snapshots:   {len(record.snapshots)}",
        *logs,
        f"Record:      {record.record}",
        f"Page:        beside it as .html, in some seconds; to look at it: quiesce report {record.run_id} --open",
        f"Execution:   {record.execution}",
    ]
    return "\n".join(lines)


def _build_line(record: Record) -> list[str]:
    build = record.evidence.build if record.evidence else None
    if build is None:
        return []
    if build.dollars is None:
        return [f"Revert:      {build.verdict} ({build.reason})"]
    work = f"at most {build.blocks_read} blocks read, {build.blocks_written} written, ${build.dollars:.5f}"
    return [f"Revert:      {build.reason} ({work})"]


def _built_words(built: BuiltSnapshot) -> str:
    state = f"as of {built.as_of:%Y-%m-%d %H:%M:%S} UTC" if built.as_of else "without shadow copies"
    return f"{built.snapshot_id} of {', '.join(built.paths) or built.device} {state}, from {built.built_from}"
