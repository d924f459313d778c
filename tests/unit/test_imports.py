"""Two rings: pure modules know nothing of AWS, and nothing of the product knows of its tests."""

import ast
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PACKAGE = PROJECT / "src" / "quiesce"
# One thin module an AWS service, and what they share.
SERVICES = {
    "aws",
    "bucket",
    "ec2",
    "images",
    "recover_ec2",
    "recover_look",
    "recover_table",
    "snapshot_blocks",
    "ssm",
    "table",
    "topic",
}
# What more than one step does with several services, from handlers' clients: they import the services, and no library.
JOINT_WORK = {
    "collecting",
    "preparing",
    "recover_cleanup",
    "recover_reporting",
    "recover_steps",
    "recovering",
    "reporting",
    "verifying",
}
AWS_LIBRARIES = {"boto3", "botocore", "s3transfer", "moto"}
FOREIGN = {"tests", "sandbox", "bench", "moto", "ministack", "pytest", "hypothesis"}

MODULES = sorted(PACKAGE.glob("*.py"))
HANDLERS = sorted((PROJECT / "functions").glob("*/app.py"))


def imported(path: Path) -> set[str]:
    """Return what a module imports when it runs: not what stands under TYPE_CHECKING."""
    tree = ast.parse(path.read_text())
    typing_only = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def ours(path: Path) -> set[str]:
    """Return the modules of the package that a module imports."""
    known = {module.stem for module in MODULES}
    return {part for name in imported(path) if name.startswith("quiesce.") for part in name.split(".")[1:2]} & known


def libraries(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


def reached(module: str) -> set[str]:
    """Return all that a module of the package imports, directly or through others."""
    found, waiting = set(), {module}
    while waiting:
        found |= waiting
        waiting = {name for one in waiting for name in ours(PACKAGE / f"{one}.py")} - found
    return found


def test_modules_and_handlers_are_found() -> None:
    assert {"policy", "verdict", "ec2"} <= {module.stem for module in MODULES}
    assert {"plan", "report"} <= {handler.parent.name for handler in HANDLERS}
    assert "aws" in reached("table")
    assert "botocore" in libraries(PACKAGE / "aws.py")


@pytest.mark.parametrize("module", [m for m in MODULES if m.stem not in SERVICES | JOINT_WORK], ids=lambda m: m.stem)
def test_a_pure_module_reaches_nothing_of_aws(module: Path) -> None:
    assert not libraries(module) & AWS_LIBRARIES
    assert not reached(module.stem) & SERVICES


@pytest.mark.parametrize("module", sorted(JOINT_WORK))
def test_joint_work_speaks_to_aws_through_the_service_modules_alone(module: str) -> None:
    assert not libraries(PACKAGE / f"{module}.py") & AWS_LIBRARIES
    assert reached(module) & SERVICES


@pytest.mark.parametrize("path", [*MODULES, *HANDLERS], ids=lambda p: f"{p.parent.name}.{p.stem}")
def test_the_product_knows_nothing_of_its_tests(path: Path) -> None:
    assert not libraries(path) & FOREIGN


@pytest.mark.parametrize(
    "path", [m for m in [*MODULES, *HANDLERS] if m.stem != "settings"], ids=lambda p: f"{p.parent.name}.{p.stem}"
)
def test_only_settings_reads_the_environment(path: Path) -> None:
    assert "os" not in libraries(path)
    assert "environ" not in path.read_text()
