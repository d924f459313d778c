"""A dry run, a recovery as of the shadow copies, the data of both servers compared, and at last the hand-over."""

import json
from itertools import pairwise
from typing import Any

from sandbox.demo.terminal import BOLD, DIM, GREEN, RED, YELLOW, paint, say, table
from sandbox.executions import follow
from sandbox.gateway import Sandbox
from sandbox.servers import Server

BAR_WIDTH = 40


def play_recovery(aws: Sandbox, machine: str, server: Server, record: dict[str, Any]) -> dict[str, Any]:
    """Show the plan, carry it out, and compare the new server's data with the snapshots' and the old server's.

    Returns:
        The account's hand-over, which the demo shows at its end.
    """
    point = {"recovery_point": record["run_id"], "beside_the_old_one": True}
    plan, _ = _run(aws, machine, {**point, "mode": "dry-run"})
    for step in plan["steps"]:
        say(f"  {step}")
    say(f"  {'nothing stands in the way' if plan['possible'] else plan['problems']}; nothing was created")
    before = _builds(aws)
    account, entered = _run(aws, machine, point)
    built = next((build for arn, build in _builds(aws).items() if arn not in before), None)
    _show_timeline(entered)
    say(f"  {paint(account['status'], BOLD, GREEN)}: {account['reason']}")
    say(f"  account      {account['account']}, and by mail")
    if built:
        seconds = sum(end - begin for (name, begin), (_, end) in pairwise(entered) if name == "Revert")
        _show_build(account, built, seconds)
    _compare(aws, server, record, aws.servers.servers[account["instance_id"]], built)
    handed: dict[str, Any] = account["hand_over"]
    return handed


def _run(aws: Sandbox, machine: str, request: dict[str, Any]) -> tuple[dict[str, Any], list[tuple[str, float]]]:
    say(f"\n{paint('Recovery', BOLD)} started with {json.dumps(request)}")
    states = aws.client("stepfunctions")
    execution = states.start_execution(stateMachineArn=machine, input=json.dumps(request))["executionArn"]
    entered = list(follow(aws, execution))
    ended = states.describe_execution(executionArn=execution)
    if "output" not in ended:
        raise SystemExit(f"The recovery ended {ended['status']}: {ended.get('error')}: {ended.get('cause')}")
    return json.loads(ended["output"]), entered


def _show_timeline(entered: list[tuple[str, float]]) -> None:
    """Show each step on a timeline, from its start to that of the next."""
    total_s = entered[-1][1] or 1.0
    for (name, begins_s), (_, ends_s) in pairwise(entered):
        before, length = (round(seconds / total_s * BAR_WIDTH) for seconds in (begins_s, ends_s - begins_s))
        bar = paint("━" * max(length, 1), YELLOW)
        say(f"  {paint(f'{ends_s - begins_s:5.1f} s', DIM)}  {name:12} {' ' * before}{bar}")


def show_hand_over(handed: dict[str, Any]) -> None:
    """Show where the new server is, who has the old address, and what is left to a person."""
    say(f"\n{paint('Hand-over', BOLD)} of the recovered server, as the account and the mail have it")
    say(f"  server       {handed['server']}, {handed['private_ip']}; {handed['old_address']}")
    say(f"  console      {handed['console']}")
    say(f"  session      {handed['session_manager'] or 'Systems Manager was not waited for'}")
    states = {"yours": (YELLOW, BOLD), "done": (GREEN,), "not needed": (DIM,)}
    for task in handed["checklist"]:
        state = task["state"]
        say(f"  {paint(state.ljust(12), *states[state])} {task['what']}: {task['words']}")


def _show_build(account: dict[str, Any], built: dict[str, Any], seconds: float) -> None:
    """Show as of which instant each volume is, and what that took."""
    for line in account["volumes"]:
        say(f"  volume       {line}")
    read = built["calls"]["ebs:GetSnapshotBlock"]
    written = sum(child["blocks_written"] for child in built["children"])
    say(
        f"  built        {read} blocks of 512 KiB read, the check among them, and {written} written: "
        f"${built['dollars']:.6f} on AWS, {seconds:.1f} s here"
    )


def _compare(
    aws: Sandbox, source: Server, record: dict[str, Any], recovered: Server, built: dict[str, Any] | None
) -> None:
    """Compare the application's data on the new server with that of its shadow copies, beside the raw volumes'."""
    if source.application:
        source.application.work()
    raw = aws.servers.examine({s["volume_id"]: s["snapshot_id"] for s in record["snapshots"]})
    frozen = aws.servers.examine_shadow_copies(record)
    found = {
        "on the raw volumes": raw,
        "in the shadow copies": frozen,
        f"on {recovered.instance_id}, new": aws.servers.examine_server(recovered.instance_id),
        f"on {source.instance_id}, old": aws.servers.examine_server(source.instance_id),
    }
    table(
        [
            ["data", "D: orders", "E: ledger", ""],
            *(
                [
                    where,
                    f"{f.orders} worth {f.orders_total}",
                    f"{f.bookings} worth {f.bookings_total}",
                    "torn" if f.torn else "whole",
                ]
                for where, f in found.items()
            ),
        ]
    )
    new = aws.servers.examine_server(recovered.instance_id)
    if new != (frozen if built else raw):
        raise SystemExit(paint("The new server's data is not what was to be recovered.", RED))
    if built:
        say(f"  {paint('Whole', BOLD, GREEN)} on the new server, as of the instant of the shadow copies.")
    else:
        say(f"  {paint('The same', BOLD, GREEN)} on the new server as in the snapshots.")


def _builds(aws: Sandbox) -> dict[str, dict[str, Any]]:
    """Return what the revert machine has built until now, by execution."""
    states = aws.client("stepfunctions")
    [machine] = [m for m in states.list_state_machines()["stateMachines"] if "Revert" in m["name"]]
    done = states.list_executions(stateMachineArn=machine["stateMachineArn"], statusFilter="SUCCEEDED")["executions"]
    arns = [each["executionArn"] for each in done]
    return {arn: json.loads(states.describe_execution(executionArn=arn)["output"]) for arn in arns}
