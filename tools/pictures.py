"""README's pictures of the overview, out of what `make demo` left: `python -m tools.pictures`, then look at them.

The demo's last scene is the first night of a policy for four servers. A picture of one night shows little: for it, each
server has the nights of five weeks, copies of its own record, and two of them went well until three nights ago.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from quiesce.pages.found import Found, PolicyFound, ServerFound, beside
from quiesce.pages.render import overview_html
from quiesce.points.record import Record
from quiesce.policy.file import read_policy_file
from quiesce.recovery.account import Account
from tests.support.browser import Browser, chromium, find_chromium
from tests.support.project import ROOT

OUTCOME, PICTURES = ROOT / ".sandbox" / "outcome", ROOT / "docs" / "pictures"
POLICY, NIGHTS, SINCE = "nightly", 35, 3
DAY = timedelta(days=1)
LOOKS = {"light": False, "dark": True}
WIDTH, SCALE = 1280, 1.25
# The picture ends with the calendar.
TO = "section[aria-labelledby=calendar]"


def picture_html(outcome: Path) -> str:
    """Return the overview with five weeks of nights of the demo's last policy."""
    last = [record for record in _records(outcome) if record.policy == POLICY]
    now = max(record.ended_at for record in last) + timedelta(minutes=30)
    text = (outcome / f"policies/{POLICY}.yaml").read_bytes()
    policy = PolicyFound(
        POLICY,
        read_policy_file(text, POLICY, POLICY),
        servers=[ServerFound(record.instance_id, record.instance_name) for record in last],
        since=now - NIGHTS * DAY,
    )
    accounts = [Account.model_validate_json(path.read_text()) for path in outcome.glob("recoveries/*/*.json")]
    found = Found(
        stack="quiesce",
        region="eu-central-1",
        now=now,
        zone=ZoneInfo("UTC"),
        policies=[policy],
        records=[record for night in range(NIGHTS) for record in _nights(last, night)],
        recoveries=accounts,
        alarms=[],
        running=[],
        unprotected=[],
        unprotected_at=now - timedelta(minutes=20),
        link=beside,
    )
    return overview_html(found)


def _records(outcome: Path) -> list[Record]:
    return [Record.model_validate_json(path.read_text()) for path in sorted(outcome.glob("records/*/*.json"))]


def _nights(last: list[Record], ago: int) -> list[Record]:
    """Return the last night's records as those of an earlier one."""
    good = next(record for record in last if record.status == "Successful" and record.shadow)
    return [_moved(record, record if ago < SINCE or record.status == "Successful" else good, ago) for record in last]


def _moved(record: Record, like: Record, ago: int) -> Record:
    """Return a server's record as one of so many nights ago, which went as another one did."""
    own = {"instance_id": record.instance_id, "instance_name": record.instance_name}
    at = datetime.strptime(record.run_id[-16:], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) - ago * DAY
    times = {name: getattr(like, name) - ago * DAY for name in ("started_at", "ended_at", "snapshots_at")}
    return like.model_copy(update={**own, **times, "run_id": f"{POLICY}-{record.instance_id}-{at:%Y%m%dT%H%M%SZ}"})


def take(browser: Browser, page: Path, to: Path) -> None:
    """Take the pictures of a page."""
    browser.open(page)
    for look, dark in LOOKS.items():
        browser.look(width=WIDTH, dark=dark, scale=SCALE)
        (to / f"overview-{look}.png").write_bytes(browser.picture(TO))


def main() -> None:
    """Make the pictures of what the demo left."""
    page = OUTCOME / "picture.html"
    page.write_text(picture_html(OUTCOME), encoding="utf-8")
    with chromium(find_chromium()) as browser:
        take(browser, page, PICTURES)


if __name__ == "__main__":
    main()
