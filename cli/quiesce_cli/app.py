"""The command line itself: commands with their common options, and exit codes for what happens."""

import inspect
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, get_type_hints

import typer
from pydantic import BaseModel
from rich.console import RenderableType
from rich.text import Text

from quiesce.clock import Clock
from quiesce_cli.aws.stack import Stack
from quiesce_cli.chosen import Chosen, choose
from quiesce_cli.screen import Screen, screen
from quiesce_cli.troubles import GOOD, INTERRUPTED, NOT_GOOD, trouble_of

StackName = Annotated[
    str | None, typer.Option("--stack", metavar="NAME", help="The stack (QUIESCE_STACK; default: quiesce).")
]
Region = Annotated[str | None, typer.Option("--region", metavar="REGION", help="Its Region (AWS_REGION).")]
Profile = Annotated[str | None, typer.Option("--profile", metavar="NAME", help="As whom to ask (AWS_PROFILE).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the answer as JSON, for programs.")]
COMMON: dict[str, tuple[Any, Any]] = {
    "stack": (StackName, None),
    "region": (Region, None),
    "profile": (Profile, None),
    "as_json": (AsJson, False),
}

app = typer.Typer(
    name="quiesce",
    help="Back up and recover Windows servers on EC2. Begin with: quiesce status",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@dataclass(frozen=True)
class Answer:
    """What a command found: a shape for programs, the same for a person, and whether all is good."""

    shape: BaseModel
    picture: Iterable[RenderableType]
    good: bool = True
    # What goes on after it was printed.
    then: Callable[[], None] | None = None


@dataclass(frozen=True)
class Desk:
    """What a command works with: the chosen stack, the terminal and the clock."""

    chosen: Chosen
    screen: Screen
    clock: Clock
    as_json: bool

    @cached_property
    def stack(self) -> Stack:
        """The chosen stack, looked up when it is first needed."""
        return Stack.found(self.chosen)


DEBUG = "QUIESCE_DEBUG"
# Tests give their own terminal and clock.
_screen: Callable[[], Screen] = screen
_clock = Clock()
Command = Callable[..., Answer]


def command(group: typer.Typer, name: str) -> Callable[[Command], Command]:
    """Make a function a command: its own parameters come after ``desk``, and the common options behind them."""

    def register(function: Command) -> Command:
        hints = get_type_hints(function, include_extras=True)
        own = [p for p in inspect.signature(function).parameters.values() if p.name != "desk"]

        def typed(**values: Any) -> int:
            common = {option: values.pop(option) for option in COMMON}
            as_json = common.pop("as_json")
            desk = Desk(choose(common), _screen(), _clock, as_json)
            return _print(desk, function(desk, **values))

        parameters = [p.replace(annotation=hints[p.name], kind=p.KEYWORD_ONLY) for p in own]
        parameters += [
            inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
            for option, (annotation, default) in COMMON.items()
        ]
        typed.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        typed.__annotations__ = {p.name: p.annotation for p in parameters}
        group.command(name, help=inspect.getdoc(function))(typed)
        return function

    return register


def _print(desk: Desk, answer: Answer) -> int:
    if desk.as_json:
        desk.screen.write(answer.shape.model_dump_json(indent=2) + "\n")
    else:
        desk.screen.show(answer.picture)
    if answer.then:
        answer.then()
    return GOOD if answer.good else NOT_GOOD


def run(arguments: Sequence[str]) -> int:
    """Run what was typed, and return the exit code; an error is one line and a remedy on stderr."""
    from quiesce_cli import commands  # noqa: PLC0415 - they import this module

    app.registered_commands.sort(key=lambda each: commands.ORDER.index(str(each.name)))
    try:
        code = typer.main.get_command(app).main(
            list(arguments) or ["--help"], prog_name="quiesce", standalone_mode=False
        )
    except (Exception, KeyboardInterrupt) as error:
        if DEBUG in os.environ:  # noqa: TID251 - a person's, not a function's
            raise
        return _tell(*_told(error))
    return code if isinstance(code, int) else GOOD


def _told(error: BaseException) -> tuple[str, str, int]:
    """Return an error's line, its remedy and the exit code."""
    match error:
        case typer.TyperException():
            return error.format_message().rstrip("."), _help(error), error.exit_code
        case typer.Abort() | KeyboardInterrupt():
            return "stopped; nothing was started", "", INTERRUPTED
        case Exception() if trouble := trouble_of(error):
            return trouble.problem, trouble.remedy, trouble.code
        case _:
            problem = f"quiesce failed by itself ({type(error).__name__}: {error})"
            return problem, f"please report it, with what {DEBUG}=1 shows", NOT_GOOD


def _tell(problem: str, remedy: str, code: int) -> int:
    shown = _screen()
    shown.remark(Text.assemble(("error: ", "bold red"), " ".join(problem.split())))
    if remedy:
        shown.remark(Text.assemble(("remedy: ", "bold"), remedy))
    return code


def _help(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    return f"{context.command_path if context else 'quiesce'} --help says what it takes"
