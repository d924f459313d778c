"""Run the checker: ``python -m tools.guest.checker [FILE ...]``, by default over ``guest/*.ps1``.

Exit code 1 if a rule fails on its samples or a script has a finding, or if there is no ``pwsh`` on the PATH.
"""

import sys
from pathlib import Path

from tools.guest.checker import findings
from tools.guest.checker.powershell import PowerShellMissingError
from tools.guest.checker.self_test import sample_problems

GUEST = Path(__file__).parents[3] / "guest"


def main(arguments: list[str]) -> int:
    """Check the rules by their samples, then the scripts by the rules; return the exit code."""
    paths = [Path(argument) for argument in arguments] or sorted(GUEST.glob("*.ps1"))
    if not paths:
        sys.exit(f"checker: no script in {GUEST}")
    try:
        problems = sample_problems()
        problems += [f"{path.name}:{finding}" for path, found in findings(paths).items() for finding in found]
    except PowerShellMissingError as missing:
        sys.exit(f"checker: {missing}")
    print("\n".join(problems) or f"checker: nothing found in {', '.join(path.name for path in paths)}")  # noqa: T201
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
