"""Generate the tables of docs/reference/chapter.md: ``python -m tools.chapter``.

Each row of the first table says how quiesce does a thing of the Windows chapter of the guide that people know. What
shows it are the tests that are marked with the row, ``@pytest.mark.chapter("6.3.2 some")``, and the contract cases that
say ``chapter: [6.4.2 held]``. The second one has what Plan itself says of each layout of disks. ``--check`` only
reports whether the page is stale.
"""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ruamel.yaml import YAML

from tests.support.layouts import LAYOUTS, Column, has, said
from tools.marked_page import renewed

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "chapter.md"
ROWS = Path(__file__).with_name("chapter.yaml")
TESTS = ROOT / "tests"
CASES = TESTS / "guest" / "cases.yaml"
# The sections of the chapter, which number 6.3.1 as "6.3.1".
SECTIONS = ("6.3", *(f"6.3.{n}" for n in range(1, 6)), "6.4", *(f"6.4.{n}" for n in range(1, 6)))
LAYOUT_TESTS: dict[Column, tuple[str, str]] = {
    "all": ("`vss.volumes: all`", "test_what_is_said_of_a_layout_where_all_volumes_get_shadow_copies"),
    "named": ("`vss.volumes` names it", "test_what_is_said_of_a_layout_that_the_policy_names"),
    "unnamed": ("`vss.volumes` names C: and D:", "test_what_is_said_of_a_layout_that_the_policy_does_not_name"),
    "excluded": (
        "`volumes.exclude` leaves it out",
        "test_what_is_said_of_a_layout_that_the_policy_leaves_out_of_the_backup",
    ),
}
LAYOUT_FILE = "tests/unit/backup/test_layouts.py"
OF_PAGE = "../.."


class Row(NamedTuple):
    """One thing of a section; ``same`` is what is as people know it, ``differs`` what is not and why, ``page`` ours."""

    section: str
    key: str
    thing: str
    same: str
    differs: str
    page: str


class Shown(NamedTuple):
    """A test or a contract case that shows a row, and its file in the project."""

    name: str
    file: str


def titles() -> dict[str, str]:
    """Return the titles of the sections, in our words."""
    return {section: entry["title"] for section, entry in _read(ROWS).items()}


def rows() -> list[Row]:
    """Return all rows, in the order of the sections."""
    return [
        Row(section, f"{section} {key}", row["thing"], row.get("same", ""), row.get("differs", ""), row["page"])
        for section, entry in _read(ROWS).items()
        for key, row in entry["rows"].items()
    ]


@cache
def shown() -> dict[str, list[Shown]]:
    """Return the tests and the contract cases by the rows that they are marked with."""
    found: dict[str, list[Shown]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        text = path.read_text()
        for function in ast.walk(ast.parse(text)) if ".mark.chapter(" in text else ():
            for key in _keys(function) if isinstance(function, ast.FunctionDef) else ():
                found.setdefault(key, []).append(Shown(function.name, path.relative_to(ROOT).as_posix()))
    for case in _read(CASES):
        for key in case.get("chapter", ()):
            found.setdefault(key, []).append(Shown(case["name"], CASES.relative_to(ROOT).as_posix()))
    return found


def _keys(function: ast.FunctionDef) -> Iterator[str]:
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.chapter":
            yield from (ast.literal_eval(argument) for argument in decorator.args)


def _read(path: Path) -> dict[str, dict[str, dict[str, dict[str, str]]]]:
    return YAML(typ="safe").load(path)


def sections() -> Iterator[str]:
    """Yield the table from the guide's sections to ours."""
    yield "| Section | Thing | The same | Different, and why | Page | Shown by |"
    yield "|---|---|---|---|---|---|"
    by_row = shown()
    for section, title in titles().items():
        for row in (row for row in rows() if row.section == section):
            tests = "<br>".join(f"[{_name(each)}]({OF_PAGE}/{each.file})" for each in by_row.get(row.key, ()))
            page, _, anchor = row.page.partition("#")
            link = f"[{Path(page).name}](../{page}{'#' + anchor if anchor else ''})"
            yield f"| **{section}** {title} | {row.thing} | {row.same} | {row.differs} | {link} | {tests} |"


def _name(each: Shown) -> str:
    return f"`{each.name}`" if each.name.startswith("test_") else f"*{each.name}*"


def layouts() -> Iterator[str]:
    """Yield what Plan says of each layout of disks."""
    heads = (f"{words} ([`{test}`]({OF_PAGE}/{LAYOUT_FILE}))" for words, test in LAYOUT_TESTS.values())
    yield f"| Layout | {' | '.join(heads)} |"
    yield "|---|---|---|---|---|"
    for name, layout in LAYOUTS.items():
        cells = (said(layout, column) or "nothing" if has(layout, column) else "-" for column in LAYOUT_TESTS)
        yield f"| {name} | {' | '.join(cells)} |"


PARTS = {"sections": sections, "layouts": layouts}


def main(arguments: list[str]) -> int:
    """Write the page, or say whether it is stale."""
    made = renewed(PAGE.read_text(), PARTS)
    if "--check" in arguments:
        return int(PAGE.read_text() != made)
    PAGE.write_text(made)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
