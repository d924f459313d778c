"""Hold the branch coverage that `make check` has measured to its floor in pyproject.toml, which can only rise.

Coverage below the floor fails. Coverage a whole point above it asks for a higher floor, so that the next change
cannot lose unseen what this one has gained.
"""

import io
import math
import sys

from coverage import Coverage


def complaint(measured: float, floor: float) -> str:
    """Say what is wrong with the floor or the coverage, both in percent; empty if they fit."""
    if measured < floor:
        return f"Branch coverage is {measured:.2f} %, below the floor of {floor:g} %: test what is new."
    if measured >= floor + 1:
        return f"Branch coverage is {measured:.2f} %: raise fail_under in pyproject.toml to {math.floor(measured)}."
    return ""


def main() -> None:
    """Report what was measured last, fail if it is below the floor, and ask for a higher floor if it is far above.

    Raises:
        coverage.exceptions.NoDataError: nothing was measured.
    """
    coverage = Coverage()
    coverage.load()
    table = io.StringIO()
    measured, floor = coverage.report(file=table), coverage.get_option("report:fail_under")
    wrong = complaint(measured, float(str(floor)))
    if measured < float(str(floor)):
        sys.exit(f"{table.getvalue()}{wrong}")
    sys.stdout.write(f"{wrong or f'branch coverage of src, functions and cli: {measured:.2f} %'}\n")


if __name__ == "__main__":
    main()
