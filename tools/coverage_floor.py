"""Hold the branch coverage that `make check` has measured to its floor in pyproject.toml, which can only rise.

Coverage below the floor fails. Coverage a whole point above it fails, too, until the floor is raised:
what a change has gained, the next one cannot lose unseen.
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
    """Report what was measured last, and fail if the floor does not fit it.

    Raises:
        coverage.exceptions.NoDataError: nothing was measured.
    """
    coverage = Coverage()
    coverage.load()
    table = io.StringIO()
    measured, floor = coverage.report(file=table), coverage.get_option("report:fail_under")
    wrong = complaint(measured, float(str(floor)))
    if wrong:
        sys.exit(f"{table.getvalue()}{wrong}")
    sys.stdout.write(f"branch coverage of src and functions: {measured:.2f} %\n")


if __name__ == "__main__":
    main()
