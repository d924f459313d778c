"""The archive of a session's files, from the server: unpacked whole or refused, and never outside its folder."""

import contextlib
import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiesce.errors import AnswerUnreadable
from quiesce.guest import session_files
from quiesce.guest.session_files import unpack


def packed(*files):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in files:
            target.writestr(name, content)
    return archive.getvalue()


def test_the_files_come_out_as_they_went_in():
    files = {"state.json": b"{}", "before.out": b"\xff\xfeO\x00", "cut-after.err": b""}
    assert unpack(packed(*files.items())) == files


@pytest.mark.parametrize("name", ["../x", "/x", "a/b", "a\\b", " ", ".", "..", ".x", "C:x", "x\n", "a" * 101, "é"])
def test_a_name_that_is_no_plain_file_is_refused(name):
    with pytest.raises(AnswerUnreadable):
        unpack(packed(("state.json", b"{}"), (name, b"x")))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_one_name_twice_is_refused():
    with pytest.raises(AnswerUnreadable, match="2 entries, of 1 names"):
        unpack(packed(("x", b"1"), ("x", b"2")))


def test_too_many_files_are_refused():
    with pytest.raises(AnswerUnreadable, match="41 entries"):
        unpack(packed(*((f"f{number}", b"") for number in range(41))))


def test_more_than_fits_is_refused_before_it_is_unpacked(monkeypatch):
    monkeypatch.setattr(session_files, "MAX_BYTES", 1000)
    assert unpack(packed(("x", b"0" * 1000)))
    with pytest.raises(AnswerUnreadable, match="holds 1001 bytes"):
        unpack(packed(("x", b"0" * 1001)))


def test_an_entry_that_lies_about_its_size_gives_no_more_than_it_says(monkeypatch):
    """A bomb: the directory states 10 bytes, the stream holds a million."""
    archive = bytearray(packed(("x", b"0" * 1_000_000)))
    size = (1_000_000).to_bytes(4, "little")
    at = archive.rindex(size)
    archive[at : at + 4] = (10).to_bytes(4, "little")
    with pytest.raises(AnswerUnreadable):
        unpack(bytes(archive))


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"<html>403</html>", packed(("x", b"y"))[:-4]], ids=["empty", "begun", "a page", "cut"]
)
def test_what_is_no_archive_is_unreadable(content):
    with pytest.raises(AnswerUnreadable, match="cannot be read"):
        unpack(content)


@given(st.data())
def test_a_damaged_archive_is_unreadable_or_still_good_and_nothing_else(data):
    archive = bytearray(packed(("state.json", b"{}" * 50), ("before.out", b"text " * 40)))
    for _ in range(data.draw(st.integers(1, 4))):
        archive[data.draw(st.integers(0, len(archive) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(AnswerUnreadable):
        unpack(bytes(archive))
