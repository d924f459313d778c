"""The overview: is everything good, what is not, since when, what to do; then each server's calendar. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

from quiesce.pages import calendar, storage
from quiesce.pages.found import Found, Unprotected
from quiesce.pages.servers import BAD, GOOD, PolicyPart, Stands, part_of, stands_of
from quiesce.pages.troubles import Trouble, troubles_of
from quiesce.pages.words import HOUR, MINUTE, Mark, Moment, count, mark_of, moment, sentence
from quiesce.policy.coming import coming
from quiesce.recovery.account import Account

MOST_RECOVERIES, NEXT_STARTS = 10, 3
NOTHING = Mark("ask", "calm", "Nothing yet")
LONG = timedelta(hours=48)


@dataclass(frozen=True)
class NextStart:
    """A start that is to come."""

    policy: str
    clock: str
    zone: str
    utc: str
    servers: str
    schedule: str
    remark: str


@dataclass(frozen=True)
class RecoveryRow:
    """A recovery that has ended."""

    mark: Mark
    recovery_id: str
    server: str
    source: str
    reason: str
    at: Moment


@dataclass(frozen=True)
class OverviewView:
    """All that the template shows, in words; ``unprotected`` is None if that is not known."""

    title: str
    stack: str
    region: str
    made: Moment
    mark: Mark
    headline: str
    standfirst: str
    facts: Sequence[tuple[str, str]]
    troubles: Sequence[Trouble]
    parts: Sequence[PolicyPart]
    legend: Sequence[Mark]
    next_starts: Sequence[NextStart]
    by_hand: Sequence[str]
    paused: bool
    running: Sequence[tuple[str, str, str]]
    unprotected: Sequence[Unprotected] | None
    unprotected_at: str
    recoveries: Sequence[RecoveryRow]
    storage: storage.Chart | None
    remarks: Sequence[str]


def overview_view(found: Found) -> OverviewView:
    """Return what the overview says."""
    by_policy = [(policy, stands_of(policy, found)) for policy in found.policies]
    every = [each for _, stands in by_policy for each in stands]
    troubles = troubles_of(every, found)
    mark, headline, standfirst = _verdict(every, troubles, found)
    policies = [each.policy for each in found.policies if each.policy]
    return OverviewView(
        title=f"{mark.word}: backups of {found.stack}",
        stack=found.stack,
        region=found.region,
        made=moment(found.now, found.zone),
        mark=mark,
        headline=headline,
        standfirst=standfirst,
        facts=_facts(every, found),
        troubles=troubles,
        parts=[part_of(policy, stands, found) for policy, stands in by_policy],
        legend=calendar.legend_of(found.records),
        next_starts=_next_starts(found),
        by_hand=[policy.name for policy in policies if not any(each.enabled for each in policy.schedules)],
        paused=found.paused,
        running=[(run.kind, run.name, moment(run.started_at, found.zone).utc) for run in found.running or ()],
        unprotected=without_policy(found),
        unprotected_at=moment(found.unprotected_at, found.zone).utc if found.unprotected_at else "",
        recoveries=_recoveries(found.recoveries, found.zone),
        storage=storage.chart(found.records, calendar.span_of(found.now, found.zone)),
        remarks=_remarks(found),
    )


def without_policy(found: Found) -> Sequence[Unprotected] | None:
    """Return the servers that no policy covered at the last look, without those that one means now."""
    if found.unprotected is None:
        return None
    meant = {server.instance_id for policy in found.policies for server in policy.servers}
    return [each for each in found.unprotected if each.instance_id not in meant]


def _verdict(stands: Sequence[Stands], troubles: Sequence[Trouble], found: Found) -> tuple[Mark, str, str]:
    servers = {each.server.instance_id for each in stands}
    bad = [each for each in stands if each.problem]
    if not stands and not troubles:
        return NOTHING, "No policy names a server yet.", "Begin with: quiesce policy put FILE"
    if not troubles and found.paused:
        return BAD, "Nothing is backed up by schedule.", "All schedules are paused. The newest backups are good."
    if not troubles:
        active = [each for each in stands if not each.passive]
        level = sum(1 for each in active if each.newest_good and each.newest_good.consistency.level == "application")
        of_each = f"The newest backup of each of {count(len({each.server.instance_id for each in active}), 'server')}"
        passive = len(servers - {each.server.instance_id for each in active})
        rest = f" {count(passive, 'passive node')} of clusters {'was' if passive == 1 else 'were'} skipped."
        return (
            GOOD,
            "Everything is good.",
            f"{of_each} is good, {level:,} application-consistent.{rest if passive else ''}",
        )
    not_good, others = len({each.server.instance_id for each in bad}), len(troubles) - len(bad)
    are = "is" if not_good == 1 else "are"
    parts = [f"{not_good:,} of {count(len(servers), 'server')} {are} not good"] if bad else []
    parts += [f"{count(others, 'other thing' if bad else 'thing')} to look at"] if others else []
    return BAD, "Not everything is good.", sentence(", ".join(parts))


def _facts(stands: Sequence[Stands], found: Found) -> list[tuple[str, str]]:
    ran = [record for record in found.records if record.ended_at > found.now - timedelta(hours=24)]
    good = sum(1 for record in ran if record.status == "Successful")
    skipped = sum(1 for record in ran if record.status == "Skipped")
    counted = f"{len(ran):,}, {good:,} good" + (f", {skipped:,} skipped" if skipped else "")
    without = without_policy(found)
    return [
        ("Servers in a policy", f"{len({each.server.instance_id for each in stands}):,}"),
        ("Runs in 24 hours", counted if ran else "none"),
        ("Servers without one", "not known" if without is None else f"{len(without):,}"),
        ("Next backup", _next(found)),
    ]


def _next(found: Found) -> str:
    if found.paused:
        return "paused"
    starts = [
        start.at
        for each in found.policies
        if each.policy
        for start in coming(each.policy, each.first_starts, found.now, NEXT_STARTS)
        if not start.left_out
    ]
    if not starts:
        return "none is scheduled"
    span = min(starts) - found.now
    if span >= LONG:
        return f"in {span.days} days"
    hours, minutes = span // HOUR, span % HOUR // MINUTE
    return f"in {hours} h {minutes} min" if hours else f"in {minutes} min"


def _next_starts(found: Found) -> list[NextStart]:
    rows = []
    for each in found.policies:
        for start in coming(each.policy, each.first_starts, found.now, NEXT_STARTS) if each.policy else ():
            moved = "at the end of a clock change" if start.moved else ""
            row = NextStart(
                policy=each.name,
                clock=f"{start.local:%a %Y-%m-%d %H:%M}",
                zone=start.zone,
                utc=f"{start.at:%H:%M} UTC",
                servers=count(len(each.servers), "server"),
                schedule=start.schedule,
                remark=f"nothing: {start.left_out}" if start.left_out else moved,
            )
            rows.append((start.at, each.name, row))
    return [row for *_, row in sorted(rows, key=lambda each: each[:2])]


def _recoveries(accounts: Sequence[Account], zone: ZoneInfo) -> list[RecoveryRow]:
    newest = sorted(accounts, key=lambda account: account.ended_at, reverse=True)[:MOST_RECOVERIES]
    return [
        RecoveryRow(
            mark=mark_of(account.status),
            recovery_id=account.recovery_id,
            server=account.instance_id or "none",
            source=account.from_instance_id or "not known",
            reason=sentence(account.reason),
            at=moment(account.ended_at, zone),
        )
        for account in newest
    ]


def _remarks(found: Found) -> list[str]:
    remarks = []
    if found.whole_since:
        since = moment(found.whole_since, found.zone).utc
        remarks.append(f"The newest {len(found.records):,} runs were read: all that ended since {since}.")
    if found.alarms is None:
        remarks.append("Alarms were not looked at: quiesce status shows them.")
    return remarks
