"""``quiesce recover``: a plan first, then, if it is wanted, the recovery."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from quiesce.recovery.input import RecoveryRequest
from quiesce_cli.answers.naming import name_of_start
from quiesce_cli.answers.shapes import PointShape, Recovered
from quiesce_cli.app import Answer, Desk, app, command
from quiesce_cli.asking import choose_number
from quiesce_cli.aws import executions
from quiesce_cli.aws.records import find_record
from quiesce_cli.aws.stack import caller
from quiesce_cli.commands.points import page
from quiesce_cli.following import follow
from quiesce_cli.troubles import NotGood, Usage
from quiesce_cli.views import points as points_view
from quiesce_cli.views import recovered as view

Point = Annotated[str, typer.Argument(help="The recovery point: a run's id, or its beginning.", metavar="[POINT]")]
Server = Annotated[str, typer.Option("--server", help="The server that was backed up (i-...).")]
At = Annotated[str, typer.Option("--at", help="Instead of POINT: 'latest whole', 'latest', or a time with its zone.")]
Input = Annotated[Path | None, typer.Option("--input", help="More of the input (docs/use/recover.md), as JSON.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show the plan.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask after the plan.")]
Beside = Annotated[bool, typer.Option("--beside-the-old-one", help="Also while the old server runs.")]
NAMED = 10


@command(app, "recover")
def recover(  # noqa: PLR0913 - the options of one command
    desk: Desk,
    point: Point = "",
    server: Server = "",
    at: At = "",
    input_file: Input = None,
    *,
    dry_run: DryRun = False,
    yes: Yes = False,
    beside: Beside = False,
) -> Answer:
    """Recover a server as a new one, after a plan."""
    request = _request(desk, point, server, at, input_file) | ({"beside_the_old_one": True} if beside else {})
    if not (dry_run or yes or desk.screen.asks):
        raise Usage(
            "nobody can be asked here after the plan", "add --yes to recover, or --dry-run to see the plan only"
        )
    plan = _planned(desk, request)
    if dry_run or not plan.possible:
        return Answer(plan, view.lines(plan), good=plan.possible)
    if not yes:
        desk.screen.show(view.lines(plan))
        if not typer.confirm("\nCarry it out", default=False):
            raise typer.Abort
    # The point of the plan, also if there is a newer one by now.
    fixed = {name: value for name, value in request.items() if name != "at"}
    return _carried_out(desk, plan, fixed | {"recovery_point": plan.recovery_point})


def _request(desk: Desk, point: str, server: str, at: str, input_file: Path | None) -> dict[str, Any]:
    given: dict[str, Any] = _read(input_file) if input_file else {}
    given |= {"recovery_point": point} if point else {}
    given |= {"instance_id": server} if server else {}
    given |= {"at": at} if at else {}
    if unknown := given.keys() - RecoveryRequest.model_fields.keys():
        raise Usage(f"the input has a field '{min(unknown)}'", "docs/use/recover.md lists those that there are")
    if "recovery_point" in given or "at" in given:
        return given
    if server:
        return given | {"at": "latest whole"}
    chosen = _ask(desk)
    return given | {"recovery_point": chosen.run_id, "instance_id": chosen.instance_id}


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Usage(f"{file} can't be read: {error}", "write a JSON object, as docs/use/recover.md shows") from error
    if not isinstance(content, dict):
        raise Usage(f"{file} is no JSON object", "write one, as docs/use/recover.md shows")
    return content


def _ask(desk: Desk) -> PointShape:
    """Let a person choose among the newest recovery points."""
    if not desk.screen.asks:
        raise Usage("no recovery point is named", "name POINT, or --server and --at; quiesce points lists them")
    points = [each for each in page(desk.stack, "", NAMED * 2, all_runs=False).points if each.there][:NAMED]
    if not points:
        raise NotGood(
            "there is no recovery point from which a server can be recovered", "quiesce points --all says why"
        )
    desk.screen.show(points_view.choices(points, desk.screen.local))
    best = next((number for number, each in enumerate(points, 1) if each.recommended), 1)
    return points[choose_number("Which one", len(points), best)]


def _planned(desk: Desk, request: dict[str, Any]) -> Recovered:
    """Have the recover machine plan it: nothing is created."""
    name = name_of_start("plan", desk.clock.now())
    arn = executions.start(desk.stack.outputs["RecoverMachineArn"], {**request, "mode": "dry-run"}, name)
    if desk.screen.lively and not desk.as_json:
        with desk.screen.spinner("planning; nothing is created"):
            list(executions.follow(arn, desk.clock.sleep))
    else:
        list(executions.follow(arn, desk.clock.sleep))
    end = executions.ended(arn)
    if end.status != "SUCCEEDED":
        problem, _, remedy = f"{end.cause or end.status}".partition(" Remedy: ")
        raise NotGood(f"there is no plan: {problem.rstrip('.')}", remedy.rstrip(".") or f"look at the execution {arn}")
    plan = end.output
    return Recovered(
        recovery_id=name,
        status="Planned",
        possible=plan["possible"],
        recovery_point=plan["plan"]["recovery_point"],
        consistency=plan["consistency"],
        steps=plan["steps"],
        problems=plan["problems"],
        notes=[*plan["passed_over"], *plan["notes"]],
        instance_id="",
        reason="",
        execution=arn,
        to_do=[],
    )


def _carried_out(desk: Desk, plan: Recovered, request: dict[str, Any]) -> Answer:
    server = request.get("instance_id") or find_record(desk.stack.bucket, plan.recovery_point).instance_id
    name = str(request.get("recovery_id") or name_of_start(f"recover-{server}", desk.clock.now()))
    arn = executions.start(
        desk.stack.outputs["RecoverMachineArn"], {**request, "instance_id": server, "started_by": caller()}, name
    )
    if not desk.as_json:
        desk.screen.remark(f"Recovery {name}")
    follow(desk, arn, name, "the recovery")
    end = executions.ended(arn)
    account: Any = end.output if isinstance(end.output, dict) else {}
    handed: Any = account.get("hand_over") or {}
    shape = plan.model_copy(
        update={
            "recovery_id": account.get("recovery_id", name),
            "status": account.get("status", "Failed"),
            "instance_id": account.get("instance_id", ""),
            "reason": account.get("reason") or f"{end.error}: {end.cause}".strip(": "),
            "notes": account.get("notes", []),
            "execution": arn,
            "to_do": [
                f"{task['what']}: {task['words']}" for task in handed.get("checklist", []) if task["state"] == "yours"
            ],
        }
    )
    return Answer(shape, view.lines(shape), good=shape.status == "Recovered")
