# ruff: noqa: T201 - a command prints to stdout
"""Break the guest on purpose, and check that each break is caught: ``python -m tools.guest.mutations [PART ...]``.

mutations.yaml names for each mutant what must catch it: a contract case, run in the real PowerShell, or the 5.1
checker.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from guest.document import SCRIPT, document
from tests.guest import cases
from tests.guest.contracts import AT_ONCE, run_case
from tests.guest.metadata import Metadata
from tools.guest.checker import findings

FILE = Path(__file__).with_name("mutations.yaml")
CHECKER = "checker"
PARSE = """
foreach ($file in Get-ChildItem -LiteralPath 'FOLDER') {
    $errors = $null
    $null = [Management.Automation.Language.Parser]::ParseFile($file.FullName, [ref]$null, [ref]$errors)
    if ($errors.Count) { $file.BaseName }
}
"""


@dataclass(frozen=True)
class Mutation:
    """One way to break the guest."""

    name: str
    old: str
    new: str
    caught_by: str

    def applied(self, source: str) -> str:
        """Return the broken guest; raise ValueError unless the old text occurs exactly once."""
        if source.count(self.old) != 1:
            raise ValueError(f"{self.name}: {source.count(self.old)} places in the guest, not one")
        return source.replace(self.old, self.new)


def load() -> list[Mutation]:
    """Return all mutations, in the file's order."""
    return [Mutation(**entry) for entry in YAML(typ="safe").load(FILE)]


def refuse_broken(mutants: dict[Mutation, str], pwsh: str) -> None:
    """Raise ValueError for a mutant that does not parse: a syntax error would count as a catch."""
    with tempfile.TemporaryDirectory() as folder:
        for number, mutant in enumerate(mutants.values()):
            (Path(folder) / f"{number}.ps1").write_text(mutant)
        command = PARSE.replace("FOLDER", folder)
        done = subprocess.run([pwsh, "-NoProfile", "-Command", command], capture_output=True, text=True, check=True)
    broken = [list(mutants)[int(number)].name for number in done.stdout.split()]
    if broken:
        raise ValueError(f"these do not parse, so they prove nothing: {broken}")


def caught_by_checker(mutant: str) -> list[str]:
    """Return what the checker finds in a mutant."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "quiesce.ps1"
        path.write_text(mutant)
        return [str(finding) for finding in findings([path])[path]]


def caught_by_case(mutation: Mutation, mutant: str, pwsh: str, metadata: Metadata) -> list[str]:
    """Return what the mutation's case objects to."""
    case = next(case for case in cases.load() if case.name == mutation.caught_by)
    return run_case(case, document(mutant), pwsh, metadata)[1]


def catches(chosen: list[Mutation], pwsh: str) -> Iterator[tuple[Mutation, list[str]]]:
    """Yield each mutation with the problems found in it; an empty list means that the mutant survives."""
    source = SCRIPT.read_text("ascii")
    mutants = {mutation: mutation.applied(source) for mutation in chosen}
    refuse_broken(mutants, pwsh)
    metadata = Metadata()

    def caught(mutation: Mutation) -> list[str]:
        if mutation.caught_by == CHECKER:
            return caught_by_checker(mutants[mutation])
        return caught_by_case(mutation, mutants[mutation], pwsh, metadata)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from zip(chosen, pool.map(caught, chosen), strict=True)


def main(parts: list[str]) -> int:
    """Run the mutations; return 1 if a mutant survives."""
    pwsh = shutil.which("pwsh")
    if pwsh is None:
        print("mutations: not run, no pwsh on the PATH")
        return 0
    chosen = [mutation for mutation in load() if not parts or any(part in mutation.name for part in parts)]
    alive = 0
    for mutation, caught in catches(chosen, pwsh):
        alive += not caught
        print(f"{'caught' if caught else 'ALIVE '} {mutation.name}\n       by {mutation.caught_by}", flush=True)
        if caught:
            print(f"       {caught[0][:200]}", flush=True)
    print(f"mutations: {len(chosen)}, {alive} alive")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
