"""Run the checker: ``python -m tools.guest.checker [FILE ...]``, by default over the guest's three scripts.

Exit code 1 if a rule fails on its samples or a script has a finding, or if there is no ``pwsh`` on the PATH.
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from guest.document import place, read_parts, scripts
from tools.guest.checker import findings
from tools.guest.checker.powershell import PowerShellMissingError
from tools.guest.checker.self_test import sample_problems


def file_problems(paths: Sequence[Path]) -> list[str]:
    """Return the findings in these files."""
    return [f"{path.name}:{finding}" for path, found in findings(paths).items() for finding in found]


def guest_problems() -> list[str]:
    """Return the findings in the guest, each with its part and the line in it."""
    with tempfile.TemporaryDirectory() as folder:
        ready = scripts(read_parts())
        paths = [Path(folder) / f"{name}.ps1" for name in ready]
        for path in paths:
            path.write_text(ready[path.stem])
        found = {path.stem: each for path, each in findings(paths).items()}
    problems = [f"{place(name, one.line)}: {one.rule}: {one.text}" for name, each in found.items() for one in each]
    return list(dict.fromkeys(problems))


def main(arguments: list[str]) -> int:
    """Check the rules by their samples, then the scripts by the rules; return the exit code."""
    paths = [Path(argument) for argument in arguments]
    try:
        problems = sample_problems()
        problems += file_problems(paths) if paths else guest_problems()
    except PowerShellMissingError as missing:
        sys.exit(f"checker: {missing}")
    print("\n".join(problems) or f"checker: nothing found in {', '.join(path.name for path in paths) or 'the guest'}")  # noqa: T201
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
