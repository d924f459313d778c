"""Which servers no policy covers, as the stack's last look saw it. Pure."""

from datetime import datetime, timedelta

from quiesce.posture.state import Posture
from quiesce_cli.answers.shapes import LeftPoints, UnprotectedServer, UnprotectedServers

# The stack looks once an hour; the alarm PostureSilentAlarm waits as long.
OLD = timedelta(hours=3)


def unprotected(posture: Posture, now: datetime) -> UnprotectedServers:
    """Return what a person must know of servers without a backup.

    Args:
        posture: as the stack left it.
        now: in UTC.
    """
    problems = list(posture.unknown)
    if now - posture.looked_at > OLD:
        problems.append(
            f"the stack has not looked since {posture.looked_at:%Y-%m-%d %H:%M} UTC: see docs/operate/runbook.md, "
            "Nobody looks at the posture"
        )
    return UnprotectedServers(
        looked_at=posture.looked_at,
        good=not posture.unprotected and not problems,
        windows_servers=posture.windows_servers,
        covered=posture.covered,
        servers=[UnprotectedServer(**each.model_dump()) for each in posture.unprotected],
        left=[LeftPoints(**each.model_dump()) for each in posture.left],
        problems=problems,
    )
