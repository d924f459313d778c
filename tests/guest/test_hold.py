"""The batch file that holds DiskShadow, run by the stand-in for cmd.exe; cmd.exe itself has never run it."""

import re
from pathlib import Path

import pytest

from guest.document import guest_text
from tools.guest.standins.batch import UnknownLine, run_batch

ID = "{23637fcf-76bb-427a-9d19-f12fd56b4ba5}"


@pytest.fixture
def hold(tmp_path: Path) -> Path:
    """Write the batch file as the guest does, with a limit of three seconds."""
    block = guest_text().partition("$HoldLines = @(\n")[2].partition(")\n\n")[0]
    lines = re.findall(r"^ +'(.*)',?$", block, re.MULTILINE)
    assert lines[0] == "@echo off"
    file = tmp_path / "hold.cmd"
    file.write_bytes("".join(f"{line.replace('LIMIT', '3')}\r\n" for line in lines).encode())
    return file


@pytest.mark.parametrize(("flag", "code"), [("backup.flag", 0), ("abort.flag", 1)])
def test_it_holds_until_a_flag_is_there_and_ends_as_the_flag_says(hold, flag, code):
    seen = []

    def rest():
        seen.append((hold.parent / "created.flag").read_text().strip())
        (hold.parent / flag).touch()

    assert run_batch(hold, [ID], rest) == code
    assert seen == [ID]


def test_it_gives_up_by_itself(hold):
    rests = []
    assert run_batch(hold, [ID], lambda: rests.append(1)) == 2
    assert len(rests) == 3


@pytest.mark.parametrize("argument", ["%VSS_SHADOW_SET%", "", f"x{ID}", ID[:-1], f"{ID}x"])
def test_it_refuses_what_is_no_id_and_tells_nobody_of_shadow_copies(hold, argument):
    assert run_batch(hold, [argument], lambda: None) == 3
    assert not (hold.parent / "created.flag").exists()


def test_it_holds_the_shadow_copies_on_a_full_disk_too_and_their_id_is_in_the_log(hold, monkeypatch):
    monkeypatch.setattr(Path, "write_text", lambda file, *_, **__: file.touch())
    assert run_batch(hold, [ID], (hold.parent / "backup.flag").touch) == 0
    assert (hold.parent / "created.flag").exists()


def test_it_starts_no_program_but_the_one_that_takes_its_time(hold):
    lines = hold.read_text().splitlines()
    assert [line for line in lines if "System32" in line] == ['"%SystemRoot%\\System32\\ping.exe" -n 2 127.0.0.1 >nul']


@pytest.mark.parametrize("line", [b"del *\r\n", b"@echo off\n", b"@echo off", b"exit /b 7\r\n"])
def test_a_line_that_nobody_has_explained_is_not_run(tmp_path, line):
    (tmp_path / "x.cmd").write_bytes(line)
    with pytest.raises(UnknownLine):
        run_batch(tmp_path / "x.cmd", [], lambda: None)
