"""The command line is an outer ring: what it may import, and that nothing of it is in the functions' layer."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.project import ROOT
from tests.unit.test_layers import AWS_LIBRARIES, FOREIGN, MAX_LINES, MAX_MODULES, imported

CLI = ROOT / "cli" / "quiesce_cli"
MODULES = sorted(CLI.rglob("*.py"))
# From the ground up: each imports only itself and what comes before it.
FLOORS = ("troubles", "chosen screen asking", "answers", "aws views console", "app", "following overview", "commands")
FLOOR = {part: floor for floor, parts in enumerate(FLOORS) for part in parts.split()}
SPEAK_TO_AWS = {"troubles.py"} | {f"aws/{path.name}" for path in (CLI / "aws").glob("*.py")}
OWN = {"typer", "rich"}


def name_of(path: Path) -> str:
    return str(path.relative_to(CLI))


def part_of(name: str) -> str:
    return name.removeprefix("quiesce_cli.").split(".")[0]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_downward_or_within_its_folder(path: Path) -> None:
    own = part_of(".".join(path.relative_to(CLI).with_suffix("").parts))
    parts = {part_of(name) for name in imported(path) if name.startswith("quiesce_cli.")}
    # These two import when they run: the commands, which import app; and app, once its packages are there.
    allowed = {"app": {"commands"}, "__main__": {"app"}}.get(own, set())
    above = {part for part in parts & FLOOR.keys() - allowed if part != own and FLOOR[part] >= FLOOR.get(own, 0)}
    assert not above


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_folder_aws_speaks_to_aws_and_only_troubles_knows_its_errors(path: Path) -> None:
    if path.name == "__main__.py":
        return
    libraries = {name.split(".")[0] for name in imported(path)}
    assert not libraries & AWS_LIBRARIES or name_of(path) in SPEAK_TO_AWS
    assert not libraries & FOREIGN


@pytest.mark.parametrize("path", [p for p in MODULES if p.parent.name in ("answers", "views")], ids=name_of)
def test_answers_and_views_are_pure(path: Path) -> None:
    """They know no clock, no network, no environment; a random name is the one exception."""
    names = {name.split(".")[0] for name in imported(path)} | {
        n.id for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Name)
    }
    assert not names & {"os", "time", "socket", "boto3", "open", "print"}
    assert "random" not in names


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_and_its_folder_are_of_a_size_to_be_read_at_once(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES
    assert len(list(path.parent.glob("*.py"))) - 1 <= MAX_MODULES


def test_nothing_of_the_command_line_is_in_the_functions_layer() -> None:
    """The layer is src/quiesce and what src/requirements.txt names (src/Makefile)."""
    requirements = set(re.findall(r"^([\w-]+)==", (ROOT / "src" / "requirements.txt").read_text(), re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extra = {re.split(r"[<>=]", each)[0] for each in project["optional-dependencies"]["cli"]}
    assert extra == OWN | {"boto3", "jinja2"}
    assert not requirements & (extra | {"jinja2", "botocore", "shellingham"})
    assert not list((ROOT / "src").rglob("*quiesce_cli*"))
    product = [*(ROOT / "src").rglob("*.py"), *(ROOT / "functions").rglob("*.py")]
    assert [path for path in product if {name.split(".")[0] for name in imported(path)} & (OWN | {"quiesce_cli"})] == []


def test_the_entry_point_is_a_function_that_is_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["scripts"] == {"quiesce": "quiesce_cli.__main__:main"}
    assert "def main(" in (CLI / "__main__.py").read_text()
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["src/quiesce", "cli/quiesce_cli"]


def test_without_its_packages_it_says_how_to_install_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from quiesce_cli.__main__ import main

    monkeypatch.setitem(sys.modules, "rich", None)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "pipx install '.[cli]'" in capsys.readouterr().err
