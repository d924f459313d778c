"""Follow an execution on the terminal: a live line while a state lasts, a line for each that is over."""

from rich.text import Text

from quiesce_cli.answers.shapes import StateStep
from quiesce_cli.app import Desk
from quiesce_cli.aws import executions
from quiesce_cli.troubles import INTERRUPTED, Trouble
from quiesce_cli.views.words import seconds


class GoesOn(Trouble):
    """A person stopped looking: what was started goes on."""

    code = INTERRUPTED


def follow(desk: Desk, arn: str, name: str, what: str) -> list[StateStep]:
    """Follow an execution to its end, and return its states.

    Args:
        desk: of the command.
        arn: the execution's.
        name: by which ``quiesce follow`` finds it.
        what: for people, ``the backup`` or ``the recovery``.

    Raises:
        GoesOn: Ctrl-C; the execution is left alone.
    """
    steps: list[StateStep] = []
    try:
        if desk.screen.lively and not desk.as_json:
            with desk.screen.spinner("starting") as spinner:
                for entered in executions.follow(arn, desk.clock.sleep):
                    if entered:
                        _line(desk, steps, entered)
                        spinner.update(f"{entered.state}  {seconds(entered.after_s)} since the start")
        else:
            for entered in executions.follow(arn, desk.clock.sleep):
                if entered:
                    _line(desk, steps, entered)
    except KeyboardInterrupt:
        problem = f"you stopped looking; {what} goes on without you"
        raise GoesOn(problem, f"quiesce follow {name} looks again") from None
    if steps:
        _over(desk, steps[-1])
    return steps


def _line(desk: Desk, steps: list[StateStep], entered: executions.Entered) -> None:
    if steps:
        _over(desk, steps[-1])
    steps.append(StateStep(state=entered.state, after_s=round(entered.after_s, 3)))


def _over(desk: Desk, step: StateStep) -> None:
    # To stderr, so that an answer in a pipe is the answer alone.
    if not desk.as_json:
        desk.screen.remark(Text.assemble((f"{seconds(step.after_s):>12}", "dim"), "  ", step.state))
