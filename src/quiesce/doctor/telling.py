"""What to tell of servers that are below the level that a policy asks of them; pure."""

from collections.abc import Mapping, Sequence

from quiesce.doctor.findings import Level
from quiesce.doctor.state import Item, Summary

# So that output and mail stay readable; the rest is in the bucket.
TOLD = 20
SUBJECT = "quiesce: servers can't be backed up as their policies say"


def below(items: Sequence[Item], found: Mapping[str, Summary]) -> dict[str, str]:
    """Return by their ids the servers that a policy wants more of than they can give, with what each lacks.

    Of a server of which it is not known nobody is told: it may be stopped.
    """
    words = {item.server: _words(found[item.server], item.wants) for item in items if item.server in found}
    return {server: each for server, each in words.items() if each}


def _words(summary: Summary, wants: Mapping[str, Level]) -> str:
    missed = {policy: level for policy, level in wants.items() if summary.ready[level] == "no"}
    return "; ".join(
        f"policy {policy} wants {level}, and it lacks: {', '.join(summary.lacks[level])}"
        for policy, level in sorted(missed.items())
    )


def mail_text(fallen: Mapping[str, str], names: Mapping[str, str], place: str) -> str:
    """Return the mail of servers that have fallen below since the last one."""
    lines = [f"{f'{names[server]} {server}'.strip()}: {words}" for server, words in sorted(fallen.items())]
    more = [f"and {len(lines) - TOLD} more"] if len(lines) > TOLD else []
    end = ["", f"What to do about each: {place}", "docs/operate/ready.md has the remedies."]
    return "\n".join([*lines[:TOLD], *more, *end])
