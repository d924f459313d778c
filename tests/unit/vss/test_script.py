"""DiskShadow's scripts: as an administrator reads them; no value in them can become another line."""

import re
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiesce.errors import ServerRefused
from quiesce.vss.script import MAX_NAMED_WRITERS, MAX_VOLUMES, session_script
from tests.support.diskshadow_files import check_folder, deletion_script, script_file
from tests.support.shadow_session import FOLDER, SQL_WRITER, C, D, E, script_of

GOLDEN = Path(__file__).parent / "diskshadow"
ID = "{23637fcf-76bb-427a-9d19-f12fd56b4ba5}"


@pytest.mark.parametrize(("name", "copy_only"), [("session.dsh", False), ("copy-only.dsh", True)])
def test_a_sessions_script_is_what_an_administrator_has_read(name, copy_only):
    assert script_of(copy_only=copy_only) == (GOLDEN / name).read_bytes()


def test_excluded_writers_stand_before_the_backup_begins():
    assert script_of(excluded=[f"{{{SQL_WRITER}}}"]) == (GOLDEN / "excluding.dsh").read_bytes()


@pytest.mark.parametrize("writers", [["SqlServerWriter"], ["all"], [f"{ID}\r\nexit"], [ID] * 65, [""]])
def test_a_writer_is_excluded_by_its_id_or_refused(writers):
    with pytest.raises(ServerRefused, match=r"vss\.exclude_writers"):
        script_of(excluded=writers)


# DiskShadow's "exec" runs any program, as SYSTEM: no line but these comes out of here.
GUID = r"\{[0-9a-f-]{36}\}"
LINES = re.compile(
    r"# [A-Za-z :,.]+|set verbose on|set context persistent|set metadata \*\\writers\.cab|begin backup|create"
    rf"|writer exclude {GUID}|add volume \\\\\?\\Volume{GUID}\\ alias shadow[0-9]+ provider {GUID}"
    r"|list writers status|exec \*\\hold\.cmd %VSS_SHADOW_SET%|end backup|exit"
)


@pytest.mark.parametrize("copy_only", [False, True])
def test_the_longest_script_has_only_lines_that_somebody_has_explained(copy_only):
    volumes = [rf"\\?\Volume{{{UUID(int=number)}}}" + "\\" for number in range(MAX_VOLUMES)]
    excluded = [f"{{{UUID(int=number)}}}" for number in range(MAX_NAMED_WRITERS)]
    lines = session_script(volumes, copy_only=copy_only, excluded=excluded)
    assert all(LINES.fullmatch(line) for line in lines)
    assert sum(line.startswith("exec ") for line in lines) == 1


@pytest.mark.parametrize("copy_only", [False, True])
def test_a_script_goes_to_the_server_with_a_mark_for_its_folder_and_is_the_same_there(copy_only):
    as_the_server_writes_it = [line.replace("*", FOLDER) for line in session_script([D, E], copy_only=copy_only)]
    assert "".join(f"{line}\r\n" for line in as_the_server_writes_it).encode() == script_of(copy_only=copy_only)


def test_a_deletion_names_one_set_and_nothing_else():
    assert deletion_script(ID) == (GOLDEN / "deletion.dsh").read_bytes()


@given(st.lists(st.uuids(), min_size=1, max_size=MAX_VOLUMES, unique=True), st.booleans())
def test_every_line_of_a_script_ends_with_cr_and_lf_and_the_last_may_lose_letters(uuids, copy_only):
    script = script_of([rf"\\?\Volume{{{uuid}}}" + "\\" for uuid in uuids], copy_only=copy_only)
    lines = script.split(b"\r\n")
    assert script.isascii()
    assert lines.pop() == b""
    assert not any(b"\r" in line or b"\n" in line for line in lines)
    assert lines[-2:] == [b"end backup", b"exit"]
    assert sum(line.startswith(b"add volume ") for line in lines) == len(uuids)


ANYTHING = st.text(max_size=60) | st.sampled_from([D, E, FOLDER, ID]).flatmap(
    lambda good: st.builds(
        lambda at, extra: good[:at] + extra + good[at:], st.integers(0, len(good)), st.text(min_size=1, max_size=9)
    )
)
BREAKERS = ["\r\ndelete shadows all", "\n", "\r", " ", '"', "%TEMP%", "\0", "é", "\u2028", "&", "^", "'", "#"]


@given(ANYTHING)
@pytest.mark.parametrize("place", ["volume", "folder", "set"])
def test_whatever_is_put_in_stands_in_one_argument_or_is_refused(place, text):
    try:
        script = {
            "volume": lambda: script_of([text]),
            "folder": lambda: script_file(session_script([D], copy_only=False), text),
            "set": lambda: deletion_script(text),
        }[place]()
    except ServerRefused:
        return
    model = script_of([D]) if place != "set" else deletion_script(ID)
    words, as_expected = script.split(), model.split()
    assert len(words) == len(as_expected)
    differing = {word.decode() for word, expected in zip(words, as_expected, strict=True) if word != expected}
    assert all(text in word for word in differing)


@pytest.mark.parametrize("breaker", BREAKERS, ids=repr)
@pytest.mark.parametrize("at", ["before", "within", "after"])
def test_what_could_end_a_word_or_a_line_is_refused_everywhere(breaker, at):
    def broken(good):
        cut = {"before": 0, "within": len(good) // 2, "after": len(good)}[at]
        return good[:cut] + breaker + good[cut:]

    for attempt in (
        lambda: session_script([broken(D)], copy_only=False),
        lambda: check_folder(broken(FOLDER)),
        lambda: deletion_script(broken(ID)),
    ):
        with pytest.raises(ServerRefused):
            attempt()


@pytest.mark.parametrize(
    "volumes",
    [[], [D, D], [D, D.upper().replace("VOLUME", "Volume")], ["D:"], [D[:-1]], [rf"{D}x"], [C[:-2] + "\\"]],
    ids=["none", "twice", "twice in another case", "a drive", "no backslash", "more behind", "no brace"],
)
def test_volumes_are_guid_paths_each_once(volumes):
    with pytest.raises(ServerRefused, match="volumes"):
        session_script(volumes, copy_only=False)


def test_a_set_has_as_many_volumes_as_there_is_room_for_on_the_way_to_the_server():
    many = [rf"\\?\Volume{{{n:08x}-0000-0000-0000-000000000000}}" + "\\" for n in range(MAX_VOLUMES + 1)]
    assert session_script(many[:MAX_VOLUMES], copy_only=False)
    with pytest.raises(ServerRefused, match=f"{MAX_VOLUMES + 1} volumes"):
        session_script(many, copy_only=False)


@pytest.mark.parametrize(
    "folder", ["", "C:", "C:\\", "relative", r"\\server\share", r"C:\a\..\b", r"C:\a.", "C:/a", "C:\\a\\"]
)
def test_the_folder_is_absolute_and_plain(folder):
    with pytest.raises(ServerRefused, match="folder"):
        check_folder(folder)
