"""The architecture: which module imports which, which calls AWS, and how large modules and packages may be."""

import ast
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PACKAGE = PROJECT / "src" / "quiesce"
# From the ground up: each imports only itself and what comes before it.
GROUND = {"calls", "clock", "errors", "executions", "prices", "settings", "tags", "telemetry", "validation"}
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
FLOOR = {package: floor for floor, packages in enumerate(LAYERS) for package in packages.split()}
# What only handlers may import.
FOR_FUNCTIONS = {"steps", "aws.clients", "settings", "clock", "telemetry"}
AWS_LIBRARIES = {"boto3", "botocore", "s3transfer"}
FOREIGN = {"tests", "sandbox", "tools", "bench", "moto", "ministack", "pytest", "hypothesis"}
MAX_LINES, MAX_MODULES = 250, 20

MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")
HANDLERS = sorted((PROJECT / "functions").glob("*/app.py"))
# A person starts these: python -m quiesce.disks, python -m quiesce.guest.windows_versions.
COMMANDS = {"disks.__main__", "policy.__main__", "retention.__main__"}


def name_of(path: Path) -> str:
    """Return a module's name inside the package, such as ``aws.clients``."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


NAMES = {name_of(path) for path in MODULES}


def imported(path: Path) -> set[str]:
    """Return all that a module imports, also for types only: as ``module`` and ``module.name``."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def libraries(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


def ours(path: Path) -> set[str]:
    """Return the modules of the package that a module imports."""
    return {name.removeprefix("quiesce.") for name in imported(path) if name.startswith("quiesce.")} & NAMES


def package_of(name: str) -> str:
    return name.split(".", maxsplit=1)[0] if "." in name else "ground"


def test_every_package_and_ground_file_has_its_place() -> None:
    assert {package_of(name) for name in NAMES} == set(FLOOR)
    assert {name for name in NAMES if "." not in name} == GROUND


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_downward_or_within_its_package(path: Path) -> None:
    own = package_of(name_of(path))
    upward = {name for name in ours(path) if (package := package_of(name)) != own and FLOOR[package] >= FLOOR[own]}
    assert not upward


@pytest.mark.parametrize("path", [*MODULES, *HANDLERS], ids=lambda p: f"{p.parent.name}.{p.stem}")
def test_only_aws_speaks_to_aws(path: Path) -> None:
    assert not libraries(path) & AWS_LIBRARIES or PACKAGE / "aws" in path.parents


@pytest.mark.parametrize("path", [*MODULES, *HANDLERS], ids=lambda p: f"{p.parent.name}.{p.stem}")
def test_an_answer_of_aws_is_read_in_aws_alone(path: Path) -> None:
    """What leaves it has all its fields: a field that is missing later would be nameless."""
    assert not any(name.endswith("type_defs") for name in imported(path)) or PACKAGE / "aws" in path.parents


@pytest.mark.parametrize("path", HANDLERS, ids=lambda p: p.parent.name)
def test_a_handler_is_settings_clients_and_one_call_of_a_step(path: Path) -> None:
    assert {name for name in ours(path) if package_of(name) != "steps"} <= FOR_FUNCTIONS
    *imports, step, handler = ast.parse(path.read_text()).body[1:]
    assert all(isinstance(node, ast.ImportFrom) for node in imports)
    assert isinstance(step, ast.Assign)
    assert ast.unparse(step.targets[0]) == "step"
    assert isinstance(handler, ast.FunctionDef)
    [only] = handler.body
    assert isinstance(only, ast.Return | ast.Expr)
    assert ast.unparse(only).removeprefix("return ").startswith("step.take(event")


def test_no_two_modules_import_each_other() -> None:
    needs = {name_of(path): ours(path) - {name_of(path)} for path in MODULES}
    while free := {name for name, needed in needs.items() if not needed & set(needs)}:
        needs = {name: needed for name, needed in needs.items() if name not in free}
    assert not needs, "these import each other in a circle"


def test_every_module_is_imported_by_another_one_or_is_a_command() -> None:
    used = {
        name for path in [*MODULES, *HANDLERS] for name in ours(path) if path not in MODULES or name_of(path) != name
    }
    assert NAMES - used == COMMANDS


@pytest.mark.parametrize("path", [*MODULES, *HANDLERS], ids=lambda p: f"{p.parent.name}.{p.stem}")
def test_the_product_knows_nothing_of_its_tests(path: Path) -> None:
    assert not libraries(path) & FOREIGN


@pytest.mark.parametrize(
    "path", [m for m in [*MODULES, *HANDLERS] if m.stem != "settings"], ids=lambda p: f"{p.parent.name}.{p.stem}"
)
def test_only_settings_reads_the_environment(path: Path) -> None:
    assert "os" not in libraries(path)
    assert "environ" not in path.read_text()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_is_of_a_size_to_be_read_at_once(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES


def test_the_sandbox_has_its_floors_too() -> None:
    """Disks know no Windows, Windows knows no AWS, and no part but the demo knows how they are put together."""
    floors = {"disks": 0, "windows": 1, "aws": 2, "": 3, "demo": 4}
    sandbox = PROJECT / "sandbox"
    for path in sandbox.rglob("*.py"):
        own = floors[path.parent.name if path.parent != sandbox else ""]
        names = [name.split(".")[1:] for name in imported(path) if name.startswith("sandbox.")]
        parts = {parts[0] if parts[0] in floors else "" for parts in names}
        assert max((floors[part] for part in parts), default=0) <= own, path


def test_a_package_is_of_a_size_to_be_looked_through() -> None:
    for folder in {path.parent for path in MODULES}:
        assert len(list(folder.glob("*.py"))) - 1 <= MAX_MODULES, folder.name
