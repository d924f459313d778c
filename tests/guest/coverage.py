# ruff: noqa: T201 - a command prints to stdout
"""Find the guest's statements that no contract case reaches: ``python -m tests.guest.coverage`` runs all cases, or
those with a part of their name, and adds to the result for the same guest.

Pester's coverage follows its own process only, and here five processes work together. So each statement gets a mark in
the text of the document, and the process that reaches it, verb, runner or watchdog, records the mark. This ignores the
cases' answers: contracts.py checks them, on the unmarked guest.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ruamel.yaml import YAML

from guest.document import SCRIPT, document
from tests.guest import cases
from tests.guest.contracts import AT_ONCE, run_case
from tests.guest.machine import Machine
from tests.guest.metadata import Metadata

HERE = Path(__file__).parent
RESULT = HERE / "coverage.json"
REASONS = HERE / "unreached.yaml"


def script_hash() -> str:
    """Return the SHA-256 of the guest's script."""
    return hashlib.sha256(SCRIPT.read_bytes()).hexdigest()


def reasons() -> dict[str, str]:
    """Return why no case reaches a statement, by the statement's first line."""
    return dict(YAML(typ="safe").load(REASONS))


def marked(pwsh: str) -> tuple[str, dict[str, str]]:
    """Return the guest with a mark before each statement, and the statements by their marks."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "marked.ps1"
        command = [pwsh, "-NoProfile", "-NonInteractive", "-File", HERE / "mark_statements.ps1"]
        done = subprocess.run(
            [*command, "-Path", SCRIPT, "-Marked", target], capture_output=True, text=True, check=True
        )
        return target.read_text(), json.loads(done.stdout)


def reached(pwsh: str, script: str, parts: list[str]) -> set[str]:
    """Run the cases with one of the parts in their name on the marked guest; return the marks that they reached."""
    metadata, marks = Metadata(), set[str]()

    def collect(machine: Machine) -> None:
        for file in machine.home.glob("marks.*"):
            marks.update(file.read_text().split())

    text = document(script)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        chosen = [case for case in cases.load() if not parts or any(part in case.name for part in parts)]
        list(pool.map(lambda case: run_case(case, text, pwsh, metadata, collect), chosen))
    return marks


def main(parts: list[str]) -> int:
    """Run the cases and write the result; return 1 if no case reaches a statement that has no reason."""
    pwsh = shutil.which("pwsh")
    if pwsh is None:
        print("coverage: not run, no pwsh on the PATH")
        return 0
    script, statements = marked(pwsh)
    unreached = {place: statements[place] for place in statements.keys() - reached(pwsh, script, parts)}
    if parts:
        known = json.loads(RESULT.read_text())
        if known["script"] == script_hash():
            unreached = {place: text for place, text in unreached.items() if place in known["unreached"]}
    content = {"script": script_hash(), "statements": len(statements), "unreached": unreached}
    RESULT.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    unknown = {place: text for place, text in unreached.items() if text not in reasons()}
    for place, text in sorted(unknown.items()):
        print(f"quiesce.ps1:{place}: no case reaches this: {text}")
    print(
        f"coverage: {len(statements)} statements, {len(unreached)} reached by no case, {len(unknown)} without a reason"
    )
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
