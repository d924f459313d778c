"""docs/unconfirmed.md says of each belief what breaks if it is wrong, and who finds out, and how."""

import re

from tests.support.project import ROOT
from tools.verify_on_aws.steps import STEPS, table

PAGE = (ROOT / "docs/unconfirmed.md").read_text()
# Sorted like this; the page says what each means.
BREAKS = ("held", "untrue", "fails", "minor")
LAST = ["Breaks", "Who finds out, and how"]
# Why no step of the tool settles a row; the page says what each means.
REASONS = ("on the server", "another server", "another account", "a network", "a fault", "days", "an eye")
STEP = r"`verify-on-aws`, step(?: `[\w-]+`|s `[\w-]+` and `[\w-]+`)"
ADD = (
    "write '| belief | because | held, untrue, fails or minor | `verify-on-aws`, step `...`; or by hand: ... |', "
    "or as the last cell 'by hand (<reason>): ...'"
)


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split(" | ")]


def tables() -> list[list[list[str]]]:
    """Return the page's tables, each as its rows, the head first."""
    found = re.findall(r"(?:^\|.*\n)+", PAGE, re.MULTILINE)
    return [[cells(row) for row in each.splitlines() if not re.fullmatch(r"[|\-]+", row)] for each in found]


def test_each_belief_says_what_breaks_and_who_finds_out() -> None:
    for head, *rows in tables():
        assert head[-2:] == LAST, f"{head}: {ADD}"
        for row in rows:
            assert len(row) == len(head), f"{row}: {ADD}"
            assert row[-2] in BREAKS, f"{row}: {ADD}"
            by_hand = re.match(r"by hand \(([^)]+)\): \S", row[-1])
            assert by_hand[1] in REASONS if by_hand else re.match(rf"{STEP}(; or by hand: \S|$)", row[-1]), (
                f"{row}: {ADD}"
            )
    assert all(f"- `{reason}`: " in PAGE for reason in REASONS)
    assert sum(map(len, tables())) > 150


def test_each_table_is_sorted_by_what_breaks() -> None:
    for _, *rows in tables():
        order = [BREAKS.index(row[-2]) for row in rows]
        assert order == sorted(order), [row[0] for row in rows]


def test_the_page_and_the_tool_name_the_same_steps() -> None:
    named = {step for cell in re.findall(STEP, PAGE) for step in re.findall(r"`([\w-]+)`", cell)[1:]}
    assert sorted(named) == sorted(step.name for step in STEPS)


def test_the_page_of_the_tool_has_its_steps() -> None:
    page = (ROOT / "docs/operate/verify-on-aws.md").read_text()
    between = re.search(r"<!-- steps: begin.*?-->\n(.*?)<!-- steps: end -->", page, re.DOTALL)
    assert between, "the page has no place for the steps"
    assert between[1].strip() == table(), "paste the output of: python -m tools.verify_on_aws.steps"
