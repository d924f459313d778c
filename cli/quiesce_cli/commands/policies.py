"""``quiesce policy``: files that say what to back up, and how."""

from pathlib import Path
from typing import Annotated

import typer

from quiesce.aws.clients import repeatable
from quiesce_cli.answers.next_runs import coming
from quiesce_cli.answers.policies import Judged, judge
from quiesce_cli.answers.shapes import NextRuns, Policies
from quiesce_cli.app import Answer, Desk, app, command
from quiesce_cli.aws.policies import ENDING, files, key_of, put_policy, read_policies, read_scheduled
from quiesce_cli.troubles import Usage
from quiesce_cli.views import next_runs as next_view
from quiesce_cli.views import policies as view

group = typer.Typer(name="policy", help="Check, upload and look at policies.", rich_markup_mode=None)
app.add_typer(group)

Files = Annotated[list[Path], typer.Argument(help="Files of policies on this machine.", metavar="FILE...")]
PAUSED = "all schedules are paused: policies/_pause.yaml is in the bucket"
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Count = Annotated[int, typer.Option("--count", min=1, max=100, help="How many of each policy.")]
AnyName = Annotated[str, typer.Argument(help="The policy's name; all without one.", metavar="[NAME]")]
Name = Annotated[str, typer.Argument(help="The policy's name.", metavar="NAME")]


@command(group, "check")
def check(desk: Desk, paths: Files) -> Answer:
    """Check files on this machine; asks nothing of AWS."""
    return _answer(Policies(good=False, policies=[_judged(file)[0].shape for file in paths]))


@command(group, "put")
def put(desk: Desk, paths: Files) -> Answer:
    """Check files, and upload them if all of them are good."""
    judged = [_judged(file) for file in paths]
    shape = Policies(good=False, policies=[file.shape for file, _ in judged])
    if not all(file.policy for file, _ in judged):
        return _answer(shape)
    bucket = desk.stack.bucket
    places = [put_policy(bucket, file.shape.name, content) for file, content in judged]
    return _answer(shape.model_copy(update={"put": places}))


@command(group, "list")
def list_all(desk: Desk) -> Answer:
    """List the policies in the bucket."""
    return _answer(Policies(good=False, policies=[each.shape for each in read_policies(desk.stack.bucket)]))


@command(group, "show")
def show(desk: Desk, name: Name) -> Answer:
    """Show a policy as it lies in the bucket, and what is wrong with it."""
    content, place = desk.stack.bucket.read_policy(name)
    text = content.decode(errors="replace")
    return _answer(Policies(good=False, policies=[judge(content, place, name).shape], text=text))


@command(group, "remove")
def remove(desk: Desk, name: Name, *, yes: Yes = False) -> Answer:
    """Remove a policy's file: its schedules end, its recovery points stay."""
    bucket = desk.stack.bucket
    content, place = bucket.read_policy(name)
    if not yes:
        if not desk.screen.asks:
            raise Usage("nobody can be asked here whether it shall go", "add --yes")
        if not typer.confirm(f"Remove {place}", default=False):
            raise typer.Abort
    with repeatable("s3:DeleteObject"):
        bucket.client.delete_object(Bucket=bucket.name, Key=key_of(name))
    return _answer(Policies(good=False, policies=[], removed=[place], text=content.decode(errors="replace")))


@command(group, "next")
def next_ones(desk: Desk, name: AnyName = "", count: Count = 5) -> Answer:
    """Show when schedules start policies next."""
    stack, now = desk.stack, desk.clock.now()
    names, _, paused = files(stack.bucket).list_files()
    wanted = [name] if name else sorted(names)
    read = [read_scheduled(stack.bucket, stack.output("TableName"), each) for each in wanted]
    remarks = [PAUSED] if paused else []
    runs = []
    for scheduled in read:
        shape, policy = scheduled.judged
        if policy is None:
            remarks.append(f"{shape.place}: {shape.problem}")
            continue
        if policy.schedules and not scheduled.in_force:
            remarks.append(f"{policy.name} is not in force yet; EventBridge tells quiesce of a file within minutes")
        runs += coming(policy, scheduled.starts, now, count)
    answer = NextRuns(runs=sorted(runs, key=lambda run: run.at), paused=paused, remarks=remarks)
    return Answer(answer, next_view.lines(answer, desk.screen.local), good=not remarks)


def _answer(shape: Policies) -> Answer:
    good = all(policy.good for policy in shape.policies)
    shape = shape.model_copy(update={"good": good})
    return Answer(shape, view.lines(shape), good=good)


def _judged(file: Path) -> tuple[Judged, bytes]:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise Usage(f"{file} can't be read: {error.strerror}", "correct its name") from error
    if file.suffix != ENDING:
        raise Usage(f"{file} does not end with {ENDING}", f"name it {file.stem}{ENDING}, as the policy in it")
    return judge(content, str(file), file.stem), content
