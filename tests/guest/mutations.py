# ruff: noqa: T201 - a command speaks on stdout
"""Break the guest on purpose, and see that each break is caught: ``python -m tests.guest.mutations [PART ...]``.

A mutant that does not parse would be taken for a catch, so the checker parses all of them first. What a mutant is
caught by is written beside it in mutations.yaml: a contract case, run in the real PowerShell, or the 5.1 checker.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from guest.document import SCRIPT, document
from tests.guest import cases
from tests.guest.checker import findings
from tests.guest.contracts import AT_ONCE, recorded, run_case, unlike
from tests.guest.metadata import Metadata

FILE = Path(__file__).with_name("mutations.yaml")
CHECKER = "checker"


@dataclass(frozen=True)
class Mutation:
    """One way to break the guest."""

    name: str
    old: str
    new: str
    caught_by: str

    def applied(self, source: str) -> str:
        """Return the broken guest; raise ValueError unless there is exactly one place to break."""
        if source.count(self.old) != 1:
            raise ValueError(f"{self.name}: {source.count(self.old)} places in the guest, not one")
        return source.replace(self.old, self.new)


def load() -> list[Mutation]:
    """Return all mutations, in the file's order."""
    return [Mutation(**entry) for entry in YAML(typ="safe").load(FILE)]


def checked(mutants: dict[Mutation, str]) -> dict[Mutation, list[str]]:
    """Return what the checker finds in each mutant; raise ValueError for one that does not parse."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {mutation: Path(folder) / f"{number}.ps1" for number, mutation in enumerate(mutants)}
        for mutation, path in paths.items():
            path.write_text(mutants[mutation])
        found = findings(list(paths.values()))
    for mutation, path in paths.items():
        if any(finding.rule == "parse" for finding in found[path]):
            raise ValueError(f"{mutation.name}: does not parse, so it proves nothing")
    return {mutation: [str(finding) for finding in found[path]] for mutation, path in paths.items()}


def caught_by_case(mutation: Mutation, mutant: str, pwsh: str, metadata: Metadata) -> list[str]:
    """Return what the mutation's case objects to, or how its record differs from the recording."""
    case = next(case for case in cases.load() if case.name == mutation.caught_by)
    record, wrong = run_case(case, document(mutant), pwsh, metadata)
    return wrong or unlike(recorded()["cases"][case.name], record)


def catches(chosen: list[Mutation], pwsh: str) -> Iterator[tuple[Mutation, list[str]]]:
    """Yield each mutation with what caught it; an empty list is a mutant that lives."""
    source = SCRIPT.read_text("ascii")
    mutants = {mutation: mutation.applied(source) for mutation in chosen}
    found, metadata = checked(mutants), Metadata()
    by_case = [mutation for mutation in chosen if mutation.caught_by != CHECKER]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        runs = pool.map(lambda mutation: caught_by_case(mutation, mutants[mutation], pwsh, metadata), by_case)
        yield from zip(by_case, runs, strict=True)
    yield from ((mutation, found[mutation]) for mutation in chosen if mutation.caught_by == CHECKER)


def main(parts: list[str]) -> int:
    """Run the mutations; return 1 if one lives."""
    pwsh = shutil.which("pwsh")
    if pwsh is None:
        print("mutations: no pwsh on the PATH, so nothing was broken")
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
