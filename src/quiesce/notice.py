"""Who hears of a run, and in which words: every one that is not Successful, and the first good one after it."""

from dataclasses import dataclass

from quiesce.record import Record


@dataclass(frozen=True)
class Notice:
    """A mail; the subject is made of bounded names, so that it is at most the 100 ASCII characters that SNS takes."""

    subject: str
    text: str


def notice_of(record: Record, last_status: str | None) -> Notice | None:
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
    return Notice(f"{headline}: backup of {record.instance_id}, policy {record.policy}", _text(record, server))


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
