"""The package of a run: the same files are the same package, and the server gets what guest/document.py has made."""

import io
import zipfile

import pytest

from guest.document import SESSION_SCRIPT as MADE
from quiesce.errors import PolicyRefused
from quiesce.guest.package import MAX_SCRIPT_BYTES, SESSION_SCRIPT, Package, pack
from quiesce.vss.script import MAX_VOLUMES
from tests.guest.shadows import script
from tests.support.shadow_session import D, E

SERVER_TAKES_BYTES = 10 * 1024 * 1024  # guest/parts/setup.ps1, $MaxFileBytes


def files_of(package: Package) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(package.content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_run_without_scripts_and_vss_gets_the_sessions_own_script_alone() -> None:
    assert SESSION_SCRIPT == MADE
    assert files_of(pack("files", {})) == {"quiesce.ps1": MADE.read_bytes()}


def test_only_a_package_for_an_account_has_its_name_and_the_script_of_its_task() -> None:
    assert files_of(pack("files", {}, account=r".\backup")) == {
        "quiesce.ps1": MADE.read_bytes(),
        "account.ps1": MADE.with_name("account.ps1").read_bytes(),
        "account.txt": rb".\backup",
    }


def test_a_script_comes_as_it_is_under_the_name_that_the_server_looks_for() -> None:
    text = "\ufeff# Z\u00fcrich\r\n".encode("utf-16")
    assert files_of(pack("sql-nightly", {"after": text}))["after_sql-nightly.ps1"] == text


def test_diskshadows_script_comes_as_lines_for_windows() -> None:
    lines = script([D, E]).split("|")
    assert files_of(pack("files", {}, lines))["shadow.txt"] == "".join(f"{line}\r\n" for line in lines).encode()


def test_the_same_files_are_the_same_package_whenever_they_are_packed() -> None:
    one, other = (pack("files", {"before": b"1", "after": b"2"}) for _ in range(2))
    assert (one.content, one.sha256) == (other.content, other.sha256)
    assert pack("files", {"before": b"2", "after": b"2"}).sha256 != one.sha256


def test_a_script_that_is_too_large_is_refused_with_a_remedy() -> None:
    with pytest.raises(PolicyRefused, match="the before script is larger than 2 MiB"):
        pack("files", {"before": b"x" * (MAX_SCRIPT_BYTES + 1)})


def test_the_largest_package_is_one_that_the_server_takes() -> None:
    scripts = {stage: bytes(MAX_SCRIPT_BYTES) for stage in ("before", "after", "complete")}
    volumes = [rf"\\?\Volume{{{n:08x}-0000-0000-0000-000000000000}}" + "\\" for n in range(MAX_VOLUMES)]
    files = files_of(pack("files", scripts, script(volumes).split("|")))
    assert sum(map(len, files.values())) < SERVER_TAKES_BYTES
