"""The mail about a policy run: one for each that is not all good, and for the first good one after it."""

from quiesce.policy_run.state import Ended, Summary
from quiesce.report.mail import Mail

GOOD, SKIPPED = "Successful", "Skipped"


def mail_of_policy_run(summary: Summary, last_status: str | None) -> Mail | None:
    """Return the mail about a policy run, or None if it needs none.

    Args:
        summary: of the policy run that has just ended.
        last_status: ``attention`` of the policy run before it, None if there was none.
    """
    if summary.status == SKIPPED and not summary.warnings:
        return None
    if summary.attention != GOOD:
        headline = summary.attention
    elif last_status not in (None, GOOD):
        headline = "Successful again"
    else:
        return None
    return Mail(f"{headline}: policy {summary.policy}", _text(summary))


def _text(summary: Summary) -> str:
    more = summary.servers - summary.by_status.get(GOOD, 0) - summary.by_status.get(SKIPPED, 0) - len(summary.worst)
    lines = [
        f"Policy:      {summary.policy}",
        f"Status:      {summary.status}",
        f"Reason:      {summary.reason}",
        f"Servers:     {summary.servers}{_counted(summary.by_status)}",
        *([f"Consistency: {_counted(summary.by_consistency)[2:]}"] if summary.by_consistency else []),
        *(f"Server:      {_server(each)}" for each in summary.worst),
        *([f"             and {more} more, see All"] if more > 0 else []),
        *(f"Remark:      {remark}: {count} of the servers, see All" for remark, count in summary.remarks.items()),
        *(f"Warning:     {each}" for each in summary.warnings),
        *(f"Note:        {each}" for each in summary.notes),
        *([f"Scheduled:   {summary.scheduled_time}"] if summary.scheduled_time else []),
        f"Started:     {summary.started_at:%Y-%m-%d %H:%M:%S} UTC",
        f"Ended:       {summary.ended_at:%Y-%m-%d %H:%M:%S} UTC",
        f"All:         {summary.all}",
        "Overview:    pages/overview.html in the same bucket, in a minute; to look at it: quiesce report --open",
        f"Execution:   {summary.execution}",
    ]
    return "\n".join(lines)


def _counted(counts: dict[str, int]) -> str:
    return f": {', '.join(f'{count} {name}' for name, count in counts.items())}" if counts else ""


def _server(ended: Ended) -> str:
    name = f"{ended.instance_name} ({ended.instance_id})" if ended.instance_name else ended.instance_id
    record = f"; {ended.record}" if ended.record else ""
    return f"{name}: {ended.status}, {ended.reason}{record}"
