"""Measure what a function's cold start costs: the processor time of its import, in that of boto3 with two clients.

docs/operate/performance.md shows the results.

PYTHONPATH=src python -m bench.cold_starts
"""

import io
import os
import re
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import Distribution
from pathlib import Path
from subprocess import DEVNULL, Popen

from sandbox.aws.interpreter import packages_needed_by
from tests.support.environment import ENVIRONMENT

PROJECT = Path(__file__).parents[1]
BASELINE = "import boto3; boto3.client('ec2'); boto3.client('dynamodb')"
ROUNDS = 7
WHILE_HELD = ("plan", "freeze", "snapshot", "snapshot_by_aws", "thaw")
GOAL_WHILE_HELD, GOAL = 1.3, 1.8
LAYER_GOAL_MB = 5.0
LAYER, PAGE_LAYER = "requirements.txt", "requirements-page.txt"


def _pinned(*layers: str) -> tuple[str, ...]:
    """Return the packages that layers pin, by their files of requirements."""
    pins = "\n".join((PROJECT / "src" / layer).read_text() for layer in layers)
    return tuple(re.findall(r"^([\w.-]+)==", pins, re.MULTILINE))


def _parts(packages: Iterator[Distribution]) -> Iterator[tuple[Path, str]]:
    """Yield the files of packages, and their places in a folder of packages."""
    for package in packages:
        for file in package.files or []:
            path = Path(str(package.locate_file(file)))
            if file.parts[0] != ".." and path.is_file() and path.suffix != ".pyc":
                yield path, str(file)


@contextmanager
def runtime() -> Iterator[Path]:
    """Give a folder with what Lambda has for a function: boto3 and the layer's packages, and nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        for path, place in _parts(iter(packages_needed_by(("boto3", *_pinned(LAYER, PAGE_LAYER))).values())):
            target = Path(folder, place)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(path)
        yield Path(folder)


def seconds_of(code: str, packages: Path, folder: Path) -> float:
    """Return the processor time of a Python that imports what Lambda would, in seconds.

    Raises:
        RuntimeError: it did not end well; nothing can be said of it.
    """
    environment = ENVIRONMENT | {"PYTHONPATH": os.pathsep.join([str(packages), str(PROJECT / "src")])}
    process = Popen([sys.executable, "-S", "-c", code], cwd=folder, env=environment, stdout=DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{code!r} in {folder} ended with {os.waitstatus_to_exitcode(status)}: see above")
    return used.ru_utime + used.ru_stime


def ratios(steps: Sequence[str], packages: Path) -> Iterator[tuple[str, float]]:
    """Yield each function's least processor time in that of boto3 with two clients, both of this run."""
    nothing, least = min(seconds_of("", packages, PROJECT) for _ in range(ROUNDS)), dict.fromkeys(["", *steps], 1e9)
    for _ in range(ROUNDS):
        for step in least:
            code, folder = ("import app", PROJECT / "functions" / step) if step else (BASELINE, PROJECT)
            least[step] = min(least[step], seconds_of(code, packages, folder) - nothing)
    for step in steps:
        yield step, least[step] / least[""]


def layer_mb() -> float:
    """Return the size of the layer that most functions have, zipped as `sam package` does, in MB."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as package:
        for path, place in _parts(iter(packages_needed_by(_pinned(LAYER)).values())):
            package.write(path, place)
        for path in sorted((PROJECT / "src/quiesce").rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                package.write(path, str(path.relative_to(PROJECT)))
    return len(archive.getvalue()) / 1e6


def main() -> None:
    """Print each figure with its goal."""
    steps = sorted(path.parent.name for path in (PROJECT / "functions").glob("*/app.py"))
    print(f"{'function':16}{'ratio':>7}{'goal':>7}")
    with runtime() as packages:
        seconds_of(BASELINE, packages, PROJECT)
        for step, ratio in ratios(steps, packages):
            goal = GOAL_WHILE_HELD if step in WHILE_HELD else GOAL
            print(f"{step:16}{ratio:>7.2f}{goal:>7}  {'met' if ratio <= goal else 'missed'}")
    size = layer_mb()
    print(f"{'layer, MB':16}{size:>7.2f}{LAYER_GOAL_MB:>7}  {'met' if size <= LAYER_GOAL_MB else 'missed'}")


if __name__ == "__main__":
    main()
