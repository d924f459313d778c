"""Each mutant of tools/mutants.yaml fits the product and is caught by the test that it names."""

import ast

import pytest

from tests.support.project import ROOT
from tools.mutants import Mutant, load, problem

MUTANTS = load()
TABLE = "docs/inside/shadow-volumes.md"
# What the page is about.
ON_THE_PAGE = ("src/quiesce/disks/", "src/quiesce/steps/revert/")
NEEDED = {
    "overlays dropped",
    "sector bits ignored",
    "another store's overlays",
    "newer stores ignored",
    "flagged stores left out of the chain",
    "storage offset taken on the wrong volume",
    "header not neutralised",
    "header wiped whole",
    "one block missing",
    "last block not clipped",
    "Complete before the last Put",
    "a Put not repeated after a lost answer",
}


def named(mutant: Mutant) -> str:
    return mutant.name


@pytest.mark.parametrize("mutant", MUTANTS, ids=named)
def test_a_mutant_changes_one_place_and_names_a_test(mutant: Mutant) -> None:
    source = (ROOT / mutant.file).read_text()
    assert mutant.applied(source) != source
    file, _, test = mutant.caught_by.partition("::")
    functions = {
        node.name for node in ast.walk(ast.parse((ROOT / file).read_text())) if isinstance(node, ast.FunctionDef)
    }
    assert test.partition("[")[0] in functions


def test_no_name_is_there_twice_and_all_that_must_be_are_there() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    assert {mutant.name for mutant in MUTANTS} >= NEEDED


def test_the_documents_have_the_same_table() -> None:
    shadows = [mutant for mutant in MUTANTS if mutant.file.startswith(ON_THE_PAGE)]
    rows = [f"| {mutant.name} | `{mutant.caught_by.partition('::')[2]}` |" for mutant in shadows]
    table = [line for line in (ROOT / TABLE).read_text().splitlines() if line in rows]
    assert table == rows


@pytest.mark.grid
@pytest.mark.parametrize("mutant", MUTANTS, ids=named)
def test_a_mutant_is_caught(mutant: Mutant) -> None:
    assert not problem(mutant)


def test_a_mutant_that_no_test_could_import_counts_as_alive() -> None:
    broken = Mutant("", "src/quiesce/disks/view.py", "class View:", "import nothing.there\n\n\nclass View:", "")
    caught = "tests/unit/disks/test_view.py::test_a_server_on_which_every_rule_counts_is_read_right"
    assert "No module named 'nothing'" in problem(Mutant(**{**vars(broken), "caught_by": caught}))


def test_a_mutant_that_changes_nothing_that_counts_is_alive() -> None:
    harmless = Mutant("", "src/quiesce/disks/view.py", "MAX_ENTRIES = 2_000_000", "MAX_ENTRIES = 2_000_001", "")
    caught = "tests/unit/disks/test_view.py::test_a_server_on_which_every_rule_counts_is_read_right"
    assert problem(Mutant(**{**vars(harmless), "caught_by": caught})) == "the test passes"
