"""The table of tests by level in CONTRIBUTING.md, from the results that pytest wrote.

`make check` leaves them in .tools/tests.xml: `python -m tools.test_table .tools/tests.xml`.
"""

import sys
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

CONTRIBUTING = Path(__file__).parents[1] / "CONTRIBUTING.md"
BEGIN, END = "<!-- tests by level: begin -->\n", "<!-- tests by level: end -->\n"


class Level(NamedTuple):
    """What one folder of tests took, with each test's set-up; `tests` counts cases."""

    name: str
    tests: int
    seconds: float


def levels(results: str) -> list[Level]:
    """Return the levels in JUnit's XML, the slowest first."""
    seconds: dict[str, list[float]] = defaultdict(list)
    for case in ElementTree.fromstring(results).iter("testcase"):
        _, name, *_ = case.attrib["classname"].split(".")
        seconds[name].append(float(case.attrib["time"]))
    return sorted(
        (Level(name, len(took), sum(took)) for name, took in seconds.items()), key=lambda level: -level.seconds
    )


def table(found: list[Level]) -> str:
    """Return the levels and their sum as a table in Markdown."""
    rows = [*found, Level("all", sum(level.tests for level in found), sum(level.seconds for level in found))]
    lines = [f"| {row.name} | {row.tests:,} | {row.seconds:,.0f} |" for row in rows]
    return "\n".join(["| Level | Tests | Seconds |", "|---|---:|---:|", *lines]) + "\n"


def with_table(text: str, made: str) -> str:
    """Return a document with the table between its two markers.

    Raises:
        ValueError: a marker is missing.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"no {BEGIN.strip()} with {END.strip()} after it")
    return before + begin + made + end + after


def main() -> None:
    """Write the table anew."""
    if len(sys.argv) != len(("module", "results")):
        raise SystemExit(__doc__)
    made = table(levels(Path(sys.argv[1]).read_text()))
    CONTRIBUTING.write_text(with_table(CONTRIBUTING.read_text(), made))


if __name__ == "__main__":
    main()
