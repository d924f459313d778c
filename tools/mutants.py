# ruff: noqa: T201 - a command prints to stdout
"""Break the product's Python on purpose, and check that each break is caught: ``python -m tools.mutants [PART ...]``.

mutants.yaml names for each mutant one test. It runs on a copy of ``src`` with the one change, and must fail there, and
pass without it. A mutant that no test can even import would prove nothing, and counts as alive.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from shutil import copytree

from ruamel.yaml import YAML

PROJECT = Path(__file__).parents[1]
FILE = Path(__file__).with_name("mutants.yaml")
# pytest's exit code.
PASSED = 0


@dataclass(frozen=True)
class Mutant:
    """One way to break a module; ``file`` is its path in the project, ``caught_by`` a test as pytest names it."""

    name: str
    file: str
    old: str
    new: str
    caught_by: str

    def applied(self, source: str) -> str:
        """Return the broken module.

        Raises:
            ValueError: the old text does not occur exactly once.
            SyntaxError: the broken module is no Python.
        """
        if source.count(self.old) != 1:
            raise ValueError(f"{self.name}: {source.count(self.old)} places in {self.file}, not one")
        broken = source.replace(self.old, self.new)
        compile(broken, self.file, "exec")
        return broken


def load() -> list[Mutant]:
    """Return all mutants, in the file's order."""
    return [Mutant(**entry) for entry in YAML(typ="safe").load(FILE)]


def problem(mutant: Mutant) -> str:
    """Return why a mutant counts as alive; empty if its test catches it."""
    if whole := _run(mutant.caught_by, PROJECT / "src"):
        return f"the test does not pass without the mutant: {whole}"
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "src")
        copytree(PROJECT / "src", source, ignore=lambda *_: ["__pycache__"])
        broken = Path(folder, mutant.file)
        broken.write_text(mutant.applied(broken.read_text()))
        said = _run(mutant.caught_by, source)
    if not said:
        return "the test passes"
    # An error outside of the test, of an import or a fixture, shows nothing of what the test looks at.
    return "" if re.search(r"^FAILED ", said, re.MULTILINE) else said


@cache
def _run(test: str, source: Path) -> str:
    """Run a test on a copy of the product; return what it said if it did not pass."""
    command = [sys.executable, "-m", "pytest", "-o", f"pythonpath=. {source}", "-p", "no:cacheprovider", "-x", test]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    if done.returncode == PASSED:
        return ""
    return done.stdout[-2000:] + done.stderr[-500:] or f"exit code {done.returncode}"


def main(parts: Iterable[str]) -> int:
    """Run the mutants; return 1 if one is alive."""
    chosen = [mutant for mutant in load() if not parts or any(part in mutant.name for part in parts)]
    alive = 0
    for mutant in chosen:
        why = problem(mutant)
        alive += bool(why)
        print(f"{'ALIVE ' if why else 'caught'} {mutant.name}\n       by {mutant.caught_by}", flush=True)
        if why:
            print(f"       {why}", flush=True)
    print(f"mutants: {len(chosen)}, {alive} alive")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
