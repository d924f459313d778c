"""The mails about runs and recoveries.

Report mails every run that is not Successful, the first Successful one after it, one from which a writer is gone that
took part in the last good run, and one that found an old session open; every recovery gets a mail.
"""

from dataclasses import dataclass

from quiesce.backup.session_problems import failed_after
from quiesce.points.record import Record
from quiesce.recovery.account import Account


@dataclass(frozen=True)
class Mail:
    """A mail; the subject is made of bounded names, so that it is at most the 100 ASCII characters that SNS takes."""

    subject: str
    text: str


def mail_of(record: Record, last_status: str | None) -> Mail | None:
    """Return the mail about a run, or None if it needs none.

    Args:
        record: of the run that has just ended.
        last_status: how the policy's run before it ended on this server, None if there was none.
    """
    server = f"{record.instance_name} ({record.instance_id})" if record.instance_name else record.instance_id
    if record.session and failed_after(record.session):
        # Before everything else: an application that is held is down.
        headline = "May still be held"
    elif record.status != "Successful":
        headline = record.status
    elif last_status not in (None, "Successful"):
        headline = "Successful again"
    elif record.shadow and record.shadow.gone_writers:
        headline = "A writer is gone"
    elif record.overdue_sessions:
        headline = "An old session was open"
    else:
        return None
    return Mail(f"{headline}: backup of {record.instance_id}, policy {record.policy}", _text(record, server))


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
        f"Server:      {account.instance_id or 'none'}",
        f"From:        {account.from_instance_id or 'not known'}, {account.recovery_point or 'no recovery point'}{at}",
        *(f"Exists:      {r.kind} {r.resource_id} ({r.state}), {r.what}" for r in account.exists),
        f"Started:     {account.started_at:%Y-%m-%d %H:%M:%S} UTC",
        f"Ended:       {account.ended_at:%Y-%m-%d %H:%M:%S} UTC",
        f"Account:     {account.account}",
        f"Execution:   {account.execution}",
    ]
    return "\n".join(lines)


def _text(record: Record, server: str) -> str:
    error = [f"Error:       {record.failure.error}"] if record.failure else []
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
        *notes,
        f"Started:     {record.started_at:%Y-%m-%d %H:%M:%S} UTC",
        f"Snapshots:   {len(record.snapshots)}",
        *logs,
        f"Record:      {record.record}",
        f"Execution:   {record.execution}",
    ]
    return "\n".join(lines)
