"""The last act of the demo: a dry run, a recovery from a recovery point, and the data of both servers compared."""

import json
from itertools import pairwise
from typing import Any

from sandbox.demo.terminal import BOLD, DIM, GREEN, RED, YELLOW, paint, say, table
from sandbox.executions import follow
from sandbox.gateway import Sandbox
from sandbox.servers import Server
from sandbox.windows.application import LEDGER_DRIVE, ORDERS_DRIVE, Examination, examine

BAR_WIDTH = 40


def play_recovery(aws: Sandbox, machine: str, server: Server, record: dict[str, Any]) -> None:
    """Show the plan, carry it out, and compare the new server's data with the snapshots' and the old server's."""
    point = {"recovery_point": record["run_id"]}
    plan, _ = _run(aws, machine, {**point, "mode": "dry-run"})
    for step in plan["steps"]:
        say(f"  {step}")
    say(f"  {'nothing stands in the way' if plan['possible'] else plan['problems']}; nothing was created")
    account, entered = _run(aws, machine, point)
    _show_timeline(entered)
    say(f"  {paint(account['status'], BOLD, GREEN)}: {account['reason']}")
    say(f"  account      {account['account']}, and by mail")
    _compare(aws, server, record, aws.servers.servers[account["instance_id"]])


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


def _compare(aws: Sandbox, source: Server, record: dict[str, Any], recovered: Server) -> None:
    """Compare the application's data in the recovery point, on the new server, and on the old one, still running."""
    if source.application:
        source.application.work()
    backed = aws.servers.examine({s["volume_id"]: s["snapshot_id"] for s in record["snapshots"]})
    found = {
        "in the snapshots": backed,
        f"on {recovered.instance_id}, new": _on(aws, recovered),
        f"on {source.instance_id}, old": _on(aws, source),
    }
    table(
        [
            ["data", "D: orders", "E: ledger"],
            *(
                [where, f"{f.orders} worth {f.orders_total}", f"{f.bookings} worth {f.bookings_total}"]
                for where, f in found.items()
            ),
        ]
    )
    if _on(aws, recovered) != backed:
        raise SystemExit(paint("The new server's data differs from the backup's.", RED))
    say(f"  {paint('The same', BOLD, GREEN)} on the new server as in the snapshots.")


def _on(aws: Sandbox, server: Server) -> Examination:
    return examine({drive: aws.servers.contents[server.volumes[drive]] for drive in (ORDERS_DRIVE, LEDGER_DRIVE)})
