"""Show when a schedule runs next, and which of its runs a change of clocks skips.

python -m quiesce.policy "0 2 ? * MON-FRI *" Europe/Berlin
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile

from quiesce.clock import Clock
from quiesce.policy.cron import read_cron
from quiesce.policy.next_runs import cron_runs
from quiesce.policy.zones import remark_on, zone_of

DESCRIPTION = "Show when EventBridge Scheduler runs a cron expression next."
SHOWN, SKIPS_SHOWN = 5, 3
# Clocks are changed by then, where they are.
AHEAD = timedelta(days=400)


def main(arguments: Sequence[str], now: datetime) -> int:
    """Print the next runs of a schedule, and the nights on which its time does not exist.

    Returns:
        0, or 1 if it never runs again; the parser exits with 2 after an expression or a zone that it does not take.
    """
    parser = argparse.ArgumentParser(prog="python -m quiesce.policy", description=DESCRIPTION)
    parser.add_argument("cron", metavar="CRON", help="six fields, in quotes: '0 2 ? * MON-FRI *'; cron(...) will do")
    parser.add_argument("zone", metavar="ZONE", nargs="?", default="UTC", help="IANA name, such as Europe/Berlin")
    asked = parser.parse_args(arguments)
    try:
        zone, cron = zone_of(asked.zone), read_cron(_inside(asked.cron))
    except ValueError as error:
        parser.error(str(error))
    runs = list(islice((run for run in cron_runs(cron, zone, now) if not run.moved), SHOWN))
    lines = [f"{run.at.astimezone(zone):%a %Y-%m-%d %H:%M %Z}  {run.at:%Y-%m-%d %H:%M} UTC" for run in runs]
    skipped = [run for run in takewhile(lambda run: run.at < now + AHEAD, cron_runs(cron, zone, now)) if run.moved]
    lines += [f"no run on {run.at.astimezone(zone):%a %Y-%m-%d}: clocks are put forward over its time"
              for run in skipped[:SKIPS_SHOWN]]  # fmt: skip
    remark = remark_on(asked.zone)
    sys.stdout.write("\n".join([*(lines or ["It never runs."]), *([remark] if remark else [])]) + "\n")
    return 0 if runs else 1


def _inside(text: str) -> str:
    return text.removeprefix("cron(").removesuffix(")") if text.startswith("cron(") else text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Clock().now().astimezone(UTC)))
