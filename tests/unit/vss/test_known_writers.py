"""Writers that a policy may name: each name has its ids, and the page lists each with its source."""

import re

import pytest

from quiesce.vss.known_writers import KNOWN, ids_of, like, name_of
from quiesce.vss.script import GUID
from tests.support.project import ROOT

PAGE = (ROOT / "docs" / "reference" / "writers.md").read_text()


@pytest.mark.parametrize("name", ["SqlServerWriter", "sqlserverwriter", " SQL Server ", "sql server"])
def test_a_writer_is_found_by_its_name_or_its_applications(name: str) -> None:
    assert ids_of(name) == ("{a65faa63-5ea8-4ebc-9dbd-a0c4db26912a}",)


def test_a_name_of_two_writers_means_both() -> None:
    assert len(ids_of("MSSearch Service Writer")) == 2


@pytest.mark.parametrize("name", ["", "Windows", "Sql", "{a65faa63-5ea8-4ebc-9dbd-a0c4db26912a}"])
def test_what_nobody_knows_has_no_id(name: str) -> None:
    assert ids_of(name) == ()


def test_an_id_is_shown_with_its_name_if_it_is_known() -> None:
    assert name_of("{b2014c9e-8711-4c5c-a5a9-3cf384484757}") == "NTDS {b2014c9e-8711-4c5c-a5a9-3cf384484757}"
    assert name_of("{00000000-0000-0000-0000-000000000000}") == "{00000000-0000-0000-0000-000000000000}"


def test_a_misspelled_name_is_like_the_one_that_was_meant() -> None:
    assert like("Micosoft Exchange writer") == "Microsoft Exchange Writer"
    assert like("Contoso Ledger Service") == ""


def test_every_id_is_known_once() -> None:
    ids = [writer.writer_id for writer in KNOWN]
    assert len(set(ids)) == len(ids)
    assert all(GUID.fullmatch(each) and each == each.lower() for each in ids)


def test_the_page_lists_every_writer_with_its_source_and_no_other() -> None:
    rows = [f"| `{w.name}` | {w.application} | `{w.writer_id}` | {w.source} |" for w in KNOWN]
    assert re.findall(r"^\| `.*", PAGE, re.MULTILINE) == rows
