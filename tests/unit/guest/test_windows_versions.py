"""The table of supported systems: each Windows is in one row at most, each row has its sources, the page shows it."""

from itertools import combinations
from pathlib import Path

import pytest

from quiesce.guest.inventory import Windows
from quiesce.guest.windows_versions import CORE, NANO, SOURCES, TABLE, UNLISTED, abilities_of, is_client, page, row_of

DOCS = Path(__file__).parents[3] / "docs"
BELIEFS = {line.split(" | ")[0].removeprefix("| ") for line in (DOCS / "unconfirmed.md").read_text().splitlines()}


def a_windows(version="10.0.20348", installation="Server", product_type=3):
    return Windows(version=version, name="Microsoft Windows", installation=installation, product_type=product_type)


@pytest.mark.parametrize(
    ("version", "product_type", "name"),
    [
        ("5.2.3790", 3, "Windows Server 2003 and 2003 R2"),
        ("6.0.6003", 3, "Windows Server 2008"),
        ("6.1.7600", 3, "Windows Server 2008 R2"),
        ("6.1.7601", 2, "Windows Server 2008 R2 SP1"),
        ("6.2.9200", 3, "Windows Server 2012"),
        ("6.3.9600", 3, "Windows Server 2012 R2"),
        ("10.0.14393", 3, "Windows Server 2016"),
        ("10.0.17763", 2, "Windows Server 2019"),
        ("10.0.20348", 3, "Windows Server 2022"),
        ("10.0.26100", 3, "Windows Server 2025"),
        ("10.0.26100.1742", 3, "Windows Server 2025"),
        ("10.0.25398", 3, "Windows Server 1709 to 20H2, 23H2"),
        ("5.1.2600", 1, "Windows XP"),
        ("5.2.3790", 1, "Windows XP Professional x64"),
        ("6.0.6002", 1, "Windows Vista"),
        ("6.1.7601", 1, "Windows 7 SP1"),
        ("6.2.9200", 1, "Windows 8"),
        ("6.3.9600", 1, "Windows 8.1"),
        ("10.0.10586", 1, "Windows 10 before 1607"),
        ("10.0.14393", 1, "Windows 10"),
        ("10.0.19045", 1, "Windows 10"),
        ("10.0.22631", 1, "Windows 11"),
        ("10.0.26100", 1, "Windows 11"),
    ],
)
@pytest.mark.chapter("6.3 windows")
def test_a_windows_is_told_by_version_build_and_product_type(version, product_type, name):
    row = row_of(a_windows(version, "Server" if product_type > 1 else "Client", product_type))
    assert row is not None
    assert row.name == name


@pytest.mark.parametrize("version", [None, "", "10", "10.0", "10.0.x", "ten", "10.0.99999", "7.0.20348"])
def test_a_windows_that_the_table_does_not_know_is_not_refused_for_that(version):
    windows = a_windows(version)
    assert row_of(windows) is None
    abilities = abilities_of(windows)
    assert (abilities.scripts, abilities.vss) == ("believed", "believed")
    assert "not in quiesce's table" in abilities.note
    assert UNLISTED in BELIEFS


@pytest.mark.parametrize(
    ("installation", "product_type"), [("Client", 3), ("Server", 1), ("Client", 1), ("Client", None)]
)
def test_one_sign_of_a_client_is_enough(installation, product_type):
    assert is_client(a_windows("10.0.19045", installation, product_type))
    assert abilities_of(a_windows("10.0.19045", installation, product_type)).vss == "no"
    assert abilities_of(a_windows("11.0.1", installation, product_type)).vss == "no"


@pytest.mark.parametrize("product_type", [2, 3, None])
def test_a_server_is_none(product_type):
    assert not is_client(a_windows(product_type=product_type))
    assert abilities_of(a_windows(product_type=product_type)).vss == "yes"


def test_server_core_is_believed_to_do_what_the_full_server_does():
    assert abilities_of(a_windows(installation="Server Core")).vss == "believed"
    assert abilities_of(a_windows(installation="Server Core")).scripts == "yes"
    assert abilities_of(a_windows("6.0.6002", installation="Server Core")).vss == "no"
    assert CORE in BELIEFS


def test_nano_server_can_do_nothing():
    abilities = abilities_of(a_windows("10.0.14393", installation="Nano Server"))
    assert (abilities.scripts, abilities.vss, abilities.note) == ("no", "no", NANO)
    assert NANO in BELIEFS


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.name} {row.version}")
def test_a_row_has_sources_and_a_line_in_unconfirmed_for_what_no_source_says(row):
    assert row.sources
    assert set(row.sources) <= set(SOURCES)
    believed = "believed" in (row.abilities.scripts, row.abilities.vss)
    assert believed == bool(row.unconfirmed)
    assert not believed or row.unconfirmed in BELIEFS


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.name} {row.version}")
def test_what_cannot_work_has_its_reason(row):
    abilities = row.abilities
    assert abilities.note or "no" not in (abilities.scripts, abilities.vss)
    assert abilities.scripts != "no" or abilities.vss == "no"  # without scripts, nothing runs DiskShadow
    assert not row.client or abilities.vss == "no"


def test_no_windows_is_in_two_rows():
    for one, other in combinations(TABLE, 2):
        if (one.version, one.client) == (other.version, other.client):
            pairs = [(a, b) for a in one.builds for b in other.builds]
            assert not any(max(a.start, b.start) < min(a.stop, b.stop) for a, b in pairs), (one.name, other.name)


def test_every_source_is_used():
    assert {source for row in TABLE for source in row.sources} == set(SOURCES)


def test_the_page_is_the_table():
    assert (DOCS / "reference" / "supported-systems.md").read_text() == page()
