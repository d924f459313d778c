# ruff: noqa: T201 - a command prints to stdout
"""Break the guest on purpose, and check that each break is caught: ``python -m tools.guest.mutations [PART ...]``.

mutations.yaml names for each mutant what must catch it: a contract case, run in the real PowerShell, or the 5.1
checker. A case that waits for ever on a mutant has seen nothing: it must object to what it sees within its limit, which
also bounds the run. ``main`` prints the bound first.
"""

import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from guest.document import made, read_parts, scripts
from tests.guest import cases
from tests.guest.cases import Case
from tests.guest.machine import TimeLimitError
from tests.guest.running import AT_ONCE, Job, Runner, by_name, found_pwsh
from tools.guest.checker import findings

FILE = Path(__file__).with_name("mutations.yaml")
CHECKER = "checker"
# For a case on a mutant, beyond what the case itself says that it takes: longer than a case waits for anything.
LIMIT_S = 200
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

    def applied(self, parts: Mapping[str, str]) -> dict[str, str]:
        """Return the broken guest's parts; raise ValueError unless the old text occurs exactly once in all of them."""
        places = sum(text.count(self.old) for text in parts.values())
        if places != 1:
            raise ValueError(f"{self.name}: {places} places in the guest, not one")
        return {name: text.replace(self.old, self.new) for name, text in parts.items()}


def load() -> list[Mutation]:
    """Return all mutations, in the file's order."""
    return [Mutation(**entry) for entry in YAML(typ="safe").load(FILE)]


def refuse_broken(mutants: dict[Mutation, dict[str, str]], pwsh: str) -> None:
    """Raise ValueError for a mutant that does not parse: a syntax error would count as a catch."""
    with tempfile.TemporaryDirectory() as folder:
        for number, mutant in enumerate(mutants.values()):
            for name, script in scripts(mutant).items():
                (Path(folder) / f"{number}.{name}.ps1").write_text(script)
        command = PARSE.replace("FOLDER", folder)
        done = subprocess.run([pwsh, "-NoProfile", "-Command", command], capture_output=True, text=True, check=True)
    broken = [list(mutants)[int(name.partition(".")[0])].name for name in done.stdout.split()]
    if broken:
        raise ValueError(f"these do not parse, so they prove nothing: {broken}")


def caught_by_checker(mutant: dict[str, str]) -> list[str]:
    """Return what the checker finds in a mutant."""
    with tempfile.TemporaryDirectory() as folder:
        ready = scripts(mutant)
        paths = [Path(folder) / f"{name}.ps1" for name in ready]
        for path in paths:
            path.write_text(ready[path.stem])
        return [str(finding) for found in findings(paths).values() for finding in found]


def jobs(mutants: dict[Mutation, dict[str, str]]) -> dict[Mutation, Job]:
    """Return the cases to run on the mutants that a case catches."""
    known: dict[str, Case] = {case.name: case for case in cases.load()}
    return {
        mutation: Job(known[mutation.caught_by], by_name(made(mutant)), LIMIT_S + known[mutation.caught_by].takes_s)
        for mutation, mutant in mutants.items()
        if mutation.caught_by != CHECKER
    }


def bound_s(limits_s: Collection[float], at_once: int) -> float:
    """Return how long jobs with these limits take at most, so many at once, each as soon as another has ended."""
    return sum(limits_s) / at_once + max(limits_s, default=0)


def seen(problems: list[str]) -> list[str]:
    """Return the problems without those that only say that the case's time was up."""
    return [problem for problem in problems if not problem.startswith(TimeLimitError.__name__)]


def catches(chosen: list[Mutation], pwsh: str) -> Iterator[tuple[Mutation, list[str]]]:
    """Yield each mutation with the problems found in it; an empty list means that the mutant survives."""
    parts = read_parts()
    mutants = {mutation: mutation.applied(parts) for mutation in chosen}
    refuse_broken(mutants, pwsh)
    asked = jobs(mutants)
    minutes = bound_s([job.limit_s for job in asked.values()], AT_ONCE) / 60
    print(f"mutations: {len(chosen)}, {AT_ONCE} at once, at most {minutes:.0f} minutes in all", flush=True)
    for mutation in mutants.keys() - asked.keys():
        yield mutation, caught_by_checker(mutants[mutation])
    with Runner(pwsh) as runner:
        for mutation, (_, problems) in zip(asked, runner.run_all(asked.values()), strict=True):
            yield mutation, seen(problems)


def main(parts: list[str]) -> int:
    """Run the mutations; return 1 if a mutant survives."""
    pwsh = found_pwsh()
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
