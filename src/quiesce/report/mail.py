"""Who hears of what, and in which words.

Of runs: every one that is not Successful, and the first good one after it. Of recoveries: every one.
"""

from dataclasses import dataclass

from quiesce.points.record import Record
from quiesce.recovery.account import Account


@dataclass(frozen=True)
class Mail:
    """A mail; the subject is made of bounded names, so that it is at most the 100 ASCII characters that SNS takes."""

    subject: str
    text: str


def mail_of(record: Record, last_status: str | None) -> Mail | None:
    """Return the mail that a run deserves, or None.

    Args:
        record: of the run that has just ended.
        last_status: how the policy's run before it ended on this server, None if there was none.
    """
    server = f"{record.instance_name} ({record.instance_id})" if record.instance_name else record.instance_id
    if record.status != "Successful":
        headline: str = record.status
    elif last_status not in (None, "Successful"):
        headline = "Successful again"
    else:
        return None
    return Mail(f"{headline}: backup of {record.instance_id}, policy {record.policy}", _text(record, server))


def mail_of_recovery(account: Account) -> Mail:
    """Return the mail that an ended recovery deserves: somebody waits for it."""
    headline = "Recovered" if account.status == "Recovered" else "Recovery failed"
    # An execution's name may have other letters, and stands here where the input has no recovery_id.
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
    seen = [f"Evidence:    {record.evidence.verdict} ({record.evidence.reason})"] if record.evidence else []
    logs = [f"Logs:        {record.logs.place or record.logs.problem}"] if record.logs else []
    lines = [
        f"Server:      {server}",
        f"Policy:      {record.policy}",
        f"Status:      {record.status}",
        *error,
        f"Reason:      {record.reason}",
        f"Consistency: {record.consistency.level} ({record.consistency.reason})",
        *seen,
        *notes,
        f"Started:     {record.started_at:%Y-%m-%d %H:%M:%S} UTC",
        f"Snapshots:   {len(record.snapshots)}",
        *logs,
        f"Record:      {record.record}",
        f"Execution:   {record.execution}",
    ]
    return "\n".join(lines)
