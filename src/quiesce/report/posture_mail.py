"""The mails about the posture: of a policy that falls behind and of its end, and of what is not ours to delete."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from quiesce.posture.state import ServerPosture
from quiesce.posture.telling import Notice
from quiesce.posture.unclaimed import KINDS, Unclaimed, UnclaimedList
from quiesce.report.mail import Mail

# So that a mail stays readable; the rest is in the file.
NAMED = 20
MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400


def mail_of_notice(notice: Notice, goal: str, looked_at: datetime, place: str) -> Mail:
    """Return the mail about a policy.

    Args:
        notice: what to tell.
        goal: the policy's, in words.
        looked_at: in UTC.
        place: of the whole posture.
    """
    end = [f"Looked at:   {looked_at:%Y-%m-%d %H:%M:%S} UTC", f"All:         {place}"]
    goals = [f"Goal:        {goal}"] if goal else []
    match notice.kind:
        case "behind":
            new = {server.instance_id for server in notice.new}
            servers = sorted(notice.behind, key=lambda server: server.instance_id not in new)
            told = len(notice.behind) - len(notice.new)
            counted = f"{len(notice.behind)}, of which {told} were told before" if told else str(len(notice.behind))
            lines = [
                "The servers below have no recovery point that is good and new enough. You are told once of each.",
                "What to do: docs/operate/runbook.md, A policy is behind.",
                *goals,
                f"Behind:      {counted}",
                *_named([f"Server:      {_server(server)}" for server in servers]),
            ]
            return Mail(f"Behind: policy {notice.policy}", "\n".join([*lines, *end]))
        case "over":
            whole = not notice.left
            lines = [
                "No server of this policy is behind any more.",
                *goals,
                *_named([f"Good again:  {_server(server)}" for server in notice.good]),
                *_named([f"Not known:   {i} was behind, and the policy no longer means it" for i in notice.left]),
            ]
            headline = "Good again" if whole else "Nothing behind any more"
            return Mail(f"{headline}: policy {notice.policy}", "\n".join([*lines, *end]))
        case "unwatched":
            lines = [
                "The policy, or its 'alert', is gone while servers were behind: nobody will tell how it goes on.",
                *_named([f"Was behind:  {instance_id}" for instance_id in notice.left]),
            ]
            return Mail(f"No alert any more: policy {notice.policy}", "\n".join([*lines, *end]))


def mail_of_unclaimed(found: UnclaimedList, place: str) -> Mail | None:
    """Return the weekly mail about what is not ours to delete, None if there is nothing and all was looked at."""
    if not found.items and not found.unknown:
        return None
    lines = ["Nothing below is removed by itself: look at it, and remove what nobody needs (docs/use/retention.md)."]
    lines += _named([f"Not known:   {words}" for words in found.unknown])
    for kind, words in KINDS.items():
        items = [item for item in found.items if item.kind == kind]
        if items:
            lines += ["", f"{words}: {len(items)}, {_dollars(items)}", *_named([f"  {_item(item)}" for item in items])]
    end = ["", f"Looked at:   {found.looked_at:%Y-%m-%d %H:%M:%S} UTC", f"All:         {place}"]
    return Mail(f"Not ours to delete: {found.stack[:60]}", "\n".join([*lines, *end]))


def age(seconds: int) -> str:
    """Write an age as a person reads it."""
    if seconds < HOUR_S:
        return f"{seconds // MINUTE_S} min"
    return f"{seconds // HOUR_S} h" if seconds < 2 * DAY_S else f"{seconds // DAY_S} days"


def _server(server: ServerPosture) -> str:
    name = f"{server.name} ({server.instance_id})" if server.name else server.instance_id
    lost = f"; EC2 no longer has the snapshots of {', '.join(server.lost[-3:])}" if server.lost else ""
    state = "" if server.state == "running" else f"; it is {server.state}"
    if server.through and server.standing != "behind":
        return f"{name}: a passive node of cluster {server.cluster}; the good one is that of {server.through}"
    if server.cluster:
        state = f"{state}; no node of its cluster {server.cluster} has a newer one"
    if server.newest:
        when = f"{age(server.age_s or 0)} old: {server.newest.run_id}"
        return f"{name}: the newest good one is {when}, {server.newest.at:%Y-%m-%d %H:%M} UTC{lost}{state}"
    since = f"{server.first_seen:%Y-%m-%d %H:%M} UTC" if server.first_seen else "this look"
    return f"{name}: no good one at all, looked for since {since}; {server.points} others{lost}{state}"


def _item(item: Unclaimed) -> str:
    of = " ".join(filter(None, [item.what, item.instance_id, item.policy]))
    return f"{of}: {item.reason}; {item.count} snapshots, {_dollars([item])}"


def _dollars(items: Sequence[Unclaimed]) -> str:
    least, most = (sum(i.dollars_at_least for i in items), sum(i.dollars_at_most for i in items))
    return f"${least:,.2f} to ${most:,.2f} a month" if most else "nothing is paid for it"


def _named(lines: Iterable[str]) -> list[str]:
    every = list(lines)
    return [*every[:NAMED], *([f"             and {len(every) - NAMED} more, see All"] if every[NAMED:] else [])]
