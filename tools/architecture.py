"""Generate the parts of docs/inside/architecture.md that follow from the code: ``python -m tools.architecture``.

Writes layers, states and functions between the page's markers; ``--check`` only reports whether they are stale.
"""

import ast
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tools.marked_page import renewed

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "inside" / "architecture.md"
PACKAGE = ROOT / "src" / "quiesce"
# From the ground up; tests/unit/test_layers.py enforces it.
LAYERS = (
    "ground",
    "disks",
    "vss",
    "policy",
    "guest",
    "points",
    "revert",
    "backup policy_run recovery retention schedules",
    "posture doctor",
    "report",
    "pages",
    "aws",
    "steps",
)
GROUND = "What everything else needs: errors, tags, settings, time, what a person typed, how every document begins."


def first_sentence(path: Path) -> str:
    """Return the first sentence of a module's docstring, on one line."""
    text = " ".join((ast.get_docstring(ast.parse(path.read_text())) or "").split())
    return re.split(r"(?<=[.!?]) (?=[A-Z])", text)[0]


def layers() -> Iterator[str]:
    """Yield the table of packages, from the ground up, with the modules of each."""
    yield "| Package | Holds | Modules |"
    yield "|---|---|---|"
    for package in " ".join(LAYERS).split():
        folder = PACKAGE if package == "ground" else PACKAGE / package
        files = folder.glob("*.py") if package == "ground" else folder.rglob("*.py")
        modules = sorted({_module(path, folder) for path in files if path.name not in ("__init__.py", "__main__.py")})
        sentence = GROUND if package == "ground" else first_sentence(folder / "__init__.py")
        name = "(ground files)" if package == "ground" else f"`{package}/`"
        yield f"| {name} | {sentence} | {', '.join(f'`{module}`' for module in modules)} |"


def states(machine: str) -> Iterator[str]:
    """Yield a table of a machine's tasks: what each does, by its comment, and the module of its step."""
    tasks = {name: state for name, state in definition(machine)["States"].items() if state["Type"] == "Task"}
    steps = {
        name: step_of(state["Resource"]) if "Function" in state["Resource"] else "" for name, state in tasks.items()
    }
    # Where all tasks call one step, the column would say the same in each row.
    several = len(set(steps.values())) > 1
    yield "| State | What it does | Step |" if several else "| State | What it does |"
    yield "|---|---|---|" if several else "|---|---|"
    for name, state in tasks.items():
        yield f"| {name} | {state['Comment'].rstrip('.')} |" + (f" {_step(steps[name])} |" if several else "")


def _step(step: str) -> str:
    return f"`{step}`" if step else "another machine"


def step_of(resource: str) -> str:
    """Return the module of the step that a task's function calls, named as in src/quiesce."""
    function = _snake(re.sub(r"\$\{(\w+)FunctionArn\}", r"\1", resource))
    handler = (ROOT / "functions" / function / "app.py").read_text()
    found = re.search(r"from quiesce\.(steps[\w.]+) import", handler)
    if found is None:
        raise ValueError(f"functions/{function}/app.py imports no step")
    return found[1]


def flow(machine: str, *left_out: str) -> Iterator[str]:
    """Yield a machine's diagram: the transitions between its states, errors included."""
    yield "```mermaid"
    yield "stateDiagram-v2"
    loaded = definition(machine)
    yield f"    [*] --> {_id(loaded['StartAt'])}"
    for name in loaded["States"]:
        if not re.fullmatch(r"\w+", name):
            yield f'    state "{name}" as {_id(name)}'
    for name, state in loaded["States"].items():
        follows = [state[key] for key in ("Next", "Default") if key in state]
        follows += [choice["Next"] for choice in state.get("Choices", [])]
        yield from (f"    {_id(name)} --> {_id(other)}" for other in dict.fromkeys(follows))
        caught = [catch["Next"] for catch in state.get("Catch", []) if catch["Next"] not in (*follows, *left_out)]
        yield from (f"    {_id(name)} --> {_id(other)}: error" for other in dict.fromkeys(caught))
        if state["Type"] in ("Succeed", "Fail"):
            yield f"    {_id(name)} --> [*]"
    yield "```"


PARTS: dict[str, Callable[[], Iterator[str]]] = {
    "layers": layers,
    "backup_flow": lambda: flow("backup"),
    "backup_states": lambda: states("backup"),
    "recover_flow": lambda: flow("recover", "Account"),
    "recover_states": lambda: states("recover"),
}


def definition(machine: str) -> dict[str, Any]:
    """Return a state machine's definition as in its file, with its placeholders."""
    return dict(YAML(typ="safe", pure=True).load((ROOT / "statemachine" / f"{machine}.asl.yaml").read_text()))


def _module(path: Path, folder: Path) -> str:
    return "/".join(path.relative_to(folder).with_suffix("").parts)


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _id(state: str) -> str:
    return re.sub(r"\W", "", state)


def main(arguments: list[str]) -> int:
    """Write the page, or with ``--check`` return 1 if it is stale."""
    page = PAGE.read_text()
    if "--check" in arguments:
        return int(renewed(page, PARTS) != page)
    PAGE.write_text(renewed(page, PARTS))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
