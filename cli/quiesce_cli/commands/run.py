"""``quiesce run`` and ``follow``: back up a server now, and look on."""

import re
from datetime import datetime
from typing import Annotated, Any, NamedTuple

import typer

from quiesce.policy.parts import INSTANCE_ID_PATTERN
from quiesce_cli.answers.naming import name_of_start
from quiesce_cli.answers.policies import judge
from quiesce_cli.answers.shapes import Ran
from quiesce_cli.app import Answer, Desk, app, command
from quiesce_cli.aws import executions
from quiesce_cli.aws.stack import Stack, caller
from quiesce_cli.following import follow as look_on
from quiesce_cli.troubles import Usage
from quiesce_cli.views import ran as view

Policy = Annotated[str, typer.Argument(help="The policy's name.", metavar="POLICY")]
Server = Annotated[str, typer.Argument(help="Only this one of its servers (i-...).", metavar="[SERVER]")]
Detach = Annotated[bool, typer.Option("--detach", help="Do not look on.")]
Name = Annotated[str, typer.Argument(help="The run's or recovery's id.", metavar="ID")]
# Of a backup and of a recovery. A policy run that was skipped has backed up nothing; of a server's it is no fault.
GOOD_ENDS = ("Successful", "Recovered")


@command(app, "run")
def run(desk: Desk, policy: Policy, server: Server = "", *, detach: Detach = False) -> Answer:
    """Back up a policy's servers now, and look on.

    Ctrl-C leaves the run alone.
    """
    started = start(desk.stack, policy, server, desk.clock.now())
    name, arn = started.name, started.arn
    if detach:
        shape = Ran(run_id=name, execution=arn, status="Running", reason="", consistency="", states=[], record="")
        return Answer(shape, view.lines(shape))
    if not desk.as_json:
        desk.screen.remark(f"Backup of {started.server or 'all servers'} by policy {policy}: {name}")
    return _ended(desk, arn, name)


class Started(NamedTuple):
    """An execution that was started; ``server`` is empty if it backs up all servers of its policy."""

    name: str
    arn: str
    server: str


def start(stack: Stack, policy: str, server: str, now: datetime) -> Started:
    """Start the backup of a server by a policy, or of all of its servers if none is named and it has several.

    Raises:
        Usage: the server's id is none, or the policy is.
    """
    target = _target(stack, policy, server)
    name = name_of_start(policy, now)
    machine = stack.outputs["BackupMachineArn"] if target else stack.output("PolicyMachineArn")
    request = {"policy": policy, "started_by": caller()} | ({"instance_id": target} if target else {})
    return Started(name, executions.start(machine, request, name), target)


@command(app, "follow")
def follow(desk: Desk, name: Name) -> Answer:
    """Look on at a run or recovery to its end."""
    arn = executions.find(list(desk.stack.machines), name)
    return _ended(desk, arn, arn.rpartition(":")[2])


def _ended(desk: Desk, arn: str, name: str) -> Answer:
    states = look_on(desk, arn, name, "the run")
    end = executions.ended(arn)
    record: Any = end.output if isinstance(end.output, dict) else {}
    consistency = record.get("consistency")
    reason = record.get("reason") or f"{end.error or end.status}: {end.cause}".rstrip(": ")
    shape = Ran(
        run_id=record.get("run_id") or record.get("recovery_id") or name,
        execution=arn,
        status=record.get("status", "Failed"),
        reason=reason,
        consistency=consistency["level"] if isinstance(consistency, dict) else str(consistency or ""),
        states=states,
        record=record.get("record") or record.get("account") or record.get("all") or "",
    )
    passive = shape.status == "Skipped" and "instance_id" in record
    return Answer(shape, view.lines(shape), good=passive or shape.status in GOOD_ENDS)


def _target(stack: Stack, policy: str, server: str) -> str:
    """Return the server to back up: the one that was typed, else the policy's only one; empty for all of several."""
    if server and not re.fullmatch(INSTANCE_ID_PATTERN, server):
        raise Usage(f"'{server}' is not the id of an instance", "write it as EC2 does: i-0123456789abcdef0")
    if server:
        return server
    shape, read = judge(*stack.bucket.read_policy(policy), policy)
    if read is None:
        raise Usage(f"policy '{policy}': {shape.problem}", f"mend it, then: quiesce policy put {policy}.yaml")
    only = read.targets[0].instance_id if len(read.targets) == 1 else None
    return only or ""
