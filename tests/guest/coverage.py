# ruff: noqa: T201 - a command prints to stdout
"""Find the guest's statements that no contract case reaches: ``python -m tests.guest.coverage`` runs all cases, or
those with a part of their name, and adds to the result for the same guest. ``--changed`` runs the cases whose scripts
have a part that has changed since the result was taken, and keeps what it says of the other parts.

Pester's coverage follows its own process only, and here five processes work together. So each statement gets a mark in
the text of the document, and the process that reaches it, verb, runner or watchdog, records the mark. This ignores the
cases' answers: contracts.py checks them, on the unmarked guest.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from ruamel.yaml import YAML

from guest.document import made_from, parts_of_scripts, place, read_parts, scripts
from tests.guest import cases
from tests.guest.cases import Case
from tests.guest.contracts import scripts_of
from tests.guest.machine import Machine
from tests.guest.running import Job, Runner, by_name, found_pwsh

HERE = Path(__file__).parent
RESULT = HERE / "coverage.json"
REASONS = HERE / "unreached.yaml"


def part_hashes() -> dict[str, str]:
    """Return the beginning of the SHA-256 of each part of the guest, by the name of its file."""
    return {f"{name}.ps1": hashlib.sha256(text.encode()).hexdigest()[:16] for name, text in read_parts().items()}


def part_of(statement: str) -> str:
    """Return the file of the part in which a statement stands: ``runner.ps1`` of ``runner.ps1:12:5``."""
    return statement.partition(":")[0]


def reasons() -> dict[str, str]:
    """Return why no case reaches a statement, by the statement's first line."""
    return dict(YAML(typ="safe").load(REASONS))


def marked(pwsh: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the three scripts with a mark before each statement, and the statements by part, line and column."""
    ready, statements = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for name, script in scripts(read_parts()).items():
            source, target = Path(folder) / f"{name}.ps1", Path(folder) / f"{name}.marked.ps1"
            source.write_text(script)
            command = [pwsh, "-NoProfile", "-NonInteractive", "-File", HERE / "mark_statements.ps1"]
            done = subprocess.run(
                [*command, "-Path", source, "-Marked", target], capture_output=True, text=True, check=True
            )
            ready[name] = target.read_text()
            statements |= {where(mark): text for mark, text in json.loads(done.stdout).items()}
    return ready, statements


def where(mark: str) -> str:
    """Return the part, line and column of a mark, which has script, line and column: ``runner.ps1:12:5``."""
    name, line, column = mark.split(":")
    return f"{place(name, int(line))}:{column}"


def chosen(parts: list[str], changed: set[str] | None) -> list[Case]:
    """Return the cases with one of the parts in their name, or all; with ``changed``, those that run such a part."""
    known = [case for case in cases.load() if not parts or any(part in case.name for part in parts)]
    if changed is None:
        return known
    names = {name for name, files in parts_of_scripts().items() if changed & {f"{file}.ps1" for file in files}}
    return [case for case in known if scripts_of(case) & names]


def reached(pwsh: str, ready: dict[str, str], chosen: list[Case]) -> set[str]:
    """Run cases on the marked guest; return the statements that they reached.

    A part that stands in more than one script is reached if it is in one of them.
    """
    marks = set[str]()

    def collect(machine: Machine) -> None:
        for file in machine.home.glob("marks.*"):
            marks.update(file.read_text().split())

    texts = by_name(made_from(ready))
    with Runner(pwsh, sample_apart=False) as runner:
        list(runner.run_all([Job(case, texts) for case in chosen], collect))
    return {where(mark) for mark in marks}


def main(arguments: list[str]) -> int:
    """Run the cases and write the result; return 1 if no case reaches a statement that has no reason."""
    pwsh = found_pwsh()
    if pwsh is None:
        print("coverage: not run, no pwsh on the PATH")
        return 0
    parts, known, hashes = (
        [each for each in arguments if each != "--changed"],
        json.loads(RESULT.read_text()),
        part_hashes(),
    )
    same = {part for part, digest in hashes.items() if known["parts"].get(part) == digest}
    changed = hashes.keys() - same if "--changed" in arguments else None
    ready, statements = marked(pwsh)
    unreached = {each: statements[each] for each in statements.keys() - reached(pwsh, ready, chosen(parts, changed))}
    if parts or changed is not None:  # what a part's other cases reached, while it was as it is, they still reach
        unreached = {e: text for e, text in unreached.items() if part_of(e) not in same or e in known["unreached"]}
    content = {"parts": hashes, "statements": len(statements), "unreached": unreached}
    RESULT.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    unknown = {each: text for each, text in unreached.items() if text not in reasons()}
    for each, text in sorted(unknown.items()):
        print(f"{each}: no case reaches this: {text}")
    print(
        f"coverage: {len(statements)} statements, {len(unreached)} reached by no case, {len(unknown)} without a reason"
    )
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
