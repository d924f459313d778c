"""``quiesce status``: the look of every morning."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from quiesce.aws.pages.records import Kept, Unread, list_records, read_records
from quiesce.points.record import Record
from quiesce_cli.answers.shapes import RunningRun, Status
from quiesce_cli.answers.standing import standing
from quiesce_cli.app import Answer, Desk, app, command
from quiesce_cli.aws.alarms import alarms_on
from quiesce_cli.aws.executions import running
from quiesce_cli.aws.policies import read_policies, servers_of
from quiesce_cli.aws.stack import Stack
from quiesce_cli.views import status as view

# Of a server, so many of its newest records are read for the newest good run of each of its policies.
AT_ONCE, AT_MOST = 2, 12


@command(app, "status")
def status(desk: Desk) -> Answer:
    """Say whether all is good, what is not, since when, what to do."""
    stack, now = desk.stack, desk.clock.now()
    policies = read_policies(stack.bucket)
    meant, names = servers_of(policies)
    wanted = [(server.instance_id, policy) for policy, resolved in meant.items() for server in resolved.targets]
    warnings = [f"{policy}: {words}" for policy, resolved in meant.items() for words in resolved.warnings]
    records, unread = _newest(stack, wanted)
    every = [record for own in records.values() for record in own]
    servers = [
        standing(server, policy, records.get(server, []), names.get(server, ""), every)
        for server, policy in sorted(set(wanted))
    ]
    shape = Status(
        stack=stack.name,
        region=stack.region,
        checked_at=now,
        good=False,
        servers=sorted(servers, key=lambda each: (each.good, each.name, each.instance_id)),
        alarms=alarms_on(stack.name),
        running=list(_running(stack)),
        problems=[
            *(f"{shape.place}: {shape.problem}" for shape, _ in policies if not shape.good),
            *warnings,
            *unread,
        ],
    )
    good = all(server.good for server in servers) and not shape.alarms and not shape.problems
    return Answer(shape := shape.model_copy(update={"good": good}), view.lines(shape, desk.screen.local), good=good)


def _running(stack: Stack) -> Iterator[RunningRun]:
    for machine, kind in stack.machines.items():
        for run in running(machine):
            yield RunningRun(kind=kind, name=run.name, execution=run.arn, started_at=run.started_at)


def _newest(stack: Stack, wanted: Sequence[tuple[str, str]]) -> tuple[Mapping[str, list[Record]], list[str]]:
    """Return the newest records of each server, as many as show a good run of each of its policies."""
    by_server = sorted(list_records(stack.bucket), key=lambda kept: kept.instance_id)
    left = {server: list(kept)[:AT_MOST] for server, kept in groupby(by_server, key=lambda kept: kept.instance_id)}
    policies = {server: {policy for name, policy in wanted if name == server} for server, _ in wanted}
    found: dict[str, list[Record]] = {server: [] for server in policies}
    unread: list[str] = []
    while batch := [
        kept for server in policies if _lacks(found[server], policies[server]) for kept in _take(left, server)
    ]:
        for kept, record in zip(batch, read_records(stack.bucket, batch), strict=True):
            if isinstance(record, Unread):
                unread.append(f"{stack.bucket.place(kept.key)}: {record.why}")
            else:
                found[kept.instance_id].append(record)
    return found, unread


def _lacks(records: Sequence[Record], policies: set[str]) -> bool:
    return bool(policies - {record.policy for record in records if record.status == "Successful"})


def _take(left: dict[str, list[Kept]], server: str) -> list[Kept]:
    taken, left[server] = left.get(server, [])[:AT_ONCE], left.get(server, [])[AT_ONCE:]
    return taken
