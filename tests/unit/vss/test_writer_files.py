"""The files of writers: one id a line, and anything else is an error with its line."""

import pytest

from quiesce.errors import PolicyRefused
from quiesce.vss.writer_files import MAX_FILE_BYTES, Kind, file_name, read_writers_file

SQL, NTDS = "{a65faa63-5ea8-4ebc-9dbd-a0c4db26912a}", "{b2014c9e-8711-4c5c-a5a9-3cf384484757}"
WHERE = "s3://bucket/scripts/admin/vss_exclude_writers_files.txt"
LINES = f"""# Writers that fail here
{SQL.upper()}\r

  {NTDS}   ; the directory
{SQL}"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "ascii"])
@pytest.mark.parametrize("kind", ["exclude", "verify"])
@pytest.mark.chapter("6.3.3 exclude")
def test_a_file_has_one_id_a_line_and_comments(kind: Kind, encoding: str) -> None:
    assert read_writers_file(LINES.encode(encoding), kind, WHERE) == [SQL, NTDS]


def test_an_empty_file_names_none() -> None:
    assert read_writers_file(b"", "exclude", WHERE) == []


def test_one_line_may_exclude_all_whatever_else_is_there() -> None:
    assert read_writers_file(f"{SQL}\nALL\n".encode(), "exclude", WHERE) == ["all"]


@pytest.mark.parametrize(
    ("kind", "content", "words"),
    [
        (
            "verify",
            b"# all of them\nall\n",
            "line 2: 'all' can't be verified. Remedy: name each writer by its id",
        ),
        (
            "exclude",
            f"{SQL}\nSqlServerWriter\n".encode(),
            "line 2: 'SqlServerWriter' is not the id of a writer",
        ),
        (
            "exclude",
            SQL.strip("{}").encode(),
            f"{WHERE}, line 1: 'a65faa63-5ea8-4ebc",
        ),
        ("verify", f"{SQL} {NTDS}".encode(), "line 1: "),
        ("exclude", b"\xff\xfe\xff", f"{WHERE}: is no text (byte "),
        ("exclude", b"{\xe9}", f"{WHERE}: is no text (byte 1)"),
        ("exclude", b"#" * (MAX_FILE_BYTES + 1), f"{WHERE}: has more than {MAX_FILE_BYTES} bytes"),
    ],
)
def test_anything_else_is_refused_with_its_line(kind: Kind, content: bytes, words: str) -> None:
    with pytest.raises(PolicyRefused) as refusal:
        read_writers_file(content, kind, WHERE)
    assert words in str(refusal.value)


@pytest.mark.chapter("6.3.3 exclude")
def test_the_names_of_the_files_are_the_guides() -> None:
    assert file_name("exclude", "sql") == "vss_exclude_writers_sql.txt"
    assert file_name("verify", "sql") == "vss_verify_writers_sql.txt"
