"""Published logs of real servers: the parser uses only what Windows does not translate, in any code page."""

import dataclasses
import random
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiesce.vss.log import Log, ShadowCopy, Writer, read_log
from quiesce.vss.outcome import creation_of, ending_of
from quiesce.vss.script import SYSTEM_PROVIDER
from tests.support.shadow_session import C, D, E, a_server, session_log, writer_of

LOGS = {path.stem: path.read_bytes() for path in sorted((Path(__file__).parent / "diskshadow").glob("*.log"))}
OURS = session_log(a_server())
ALL = {**LOGS, "ours": OURS}
EVERY = pytest.mark.parametrize("name", ALL)

# The relabelling puts letters of Latin, Greek, Cyrillic, Arabic, Chinese and Korean in place of a label's.
RANGES = ((0x61, 0x7B), (0x3B1, 0x3CA), (0x430, 0x450), (0x627, 0x63B), (0x4E00, 0x4E40), (0xAC00, 0xAC40))
ALPHABETS = [chr(code) for first, end in RANGES for code in range(first, end)]
# What Windows does not translate: lines of the script; ids, paths, quoted names; symbols, codes, attributes; and what
# follows the label on a component's line.
KEPT = re.compile(
    r"^(?:->|DISKSHADOW>).*|\{[0-9a-fA-F-]{36}\}|\\\\\?\\\S*|%\w+%|\"[^\"]*\"|\bVSS_\w+|\b[SE]_[A-Z]+\b|\b0x[0-9a-fA-F]{8}\b"
    r"|(?<=: )8[0-9a-fA-F]{7}$|(?<= )[A-Z]:\\(?= )|\b(?:No_Auto_Release|Persistent|No_Writers|Differential)\b|\\.*$"
)


def lines(data: bytes) -> list[str]:
    return data.decode().splitlines()


def relabelled(text: str, seed: int) -> str:
    """Replace every word of every label by random letters, in another number."""
    chance = random.Random(seed)

    def words(piece: str) -> str:
        return re.sub(r"[^\W\d_]+", lambda _: "".join(chance.choices(ALPHABETS, k=chance.randint(1, 9))), piece)

    def line(original: str) -> str:
        kept = list(KEPT.finditer(original))
        ends = [0, *(found.end() for found in kept)]
        starts = [*(found.start() for found in kept), len(original)]
        pieces = [words(original[end:start]) for end, start in zip(ends, starts, strict=True)]
        return "".join(piece + (kept[n][0] if n < len(kept) else "") for n, piece in enumerate(pieces))

    return "\n".join(line(one) for one in text.splitlines())


def facts(log: Log) -> tuple[object, ...]:
    """Everything but the texts that reasons only quote: the output of commands and the time of creation."""
    copies = [{**vars(copy), "created": ""} for copy in log.shadow_copies]
    commands = [step.command for step in log.steps]
    return commands, log.set_ids, copies, log.writers, log.statuses, log.writers_listed, log.failures, ending_of(log)


def included(log: Log) -> list[str]:
    return [writer.name for writer in log.writers if writer.included]


def test_a_full_backup_has_its_set_its_shadow_copy_and_its_writers():
    log = read_log(LOGS["full"])
    assert log.shadow_copies == (
        ShadowCopy(
            shadow_id="{a9955f48-0d54-427c-b795-6cbf81e8e7ca}",
            set_id="{23637fcf-76bb-427a-9d19-f12fd56b4ba5}",
            alias="cdrive",
            volume="\\\\?\\Volume{6cd5140b-0000-0000-0000-602200000000}\\",
            device=r"\\?\GLOBALROOT\Device\HarddiskVolumeShadowCopy5",
            provider=SYSTEM_PROVIDER,
            created="3/6/2026 8:03:24 PM",
            attributes=frozenset({"No_Auto_Release", "Persistent", "Differential"}),
            copies_in_set=1,
        ),
    )
    assert log.set_ids == {"{23637fcf-76bb-427a-9d19-f12fd56b4ba5}"}
    assert len(included(log)) == 9
    assert (
        Writer("System Writer", included=True, components=(r"\System Files", r"\Win32 Services Files")) in log.writers
    )
    assert [writer for writer in log.writers if not writer.included] == [
        Writer("Shadow Copy Optimization Writer", included=False),
        Writer("ASR Writer", included=False, dropped_components=(r"\BCD\BCD",)),
    ]
    assert ending_of(log) == "completed"


def test_a_component_that_looks_like_a_volume_or_a_code_is_a_component():
    log = read_log(LOGS["lost-newline"])
    components = {writer.name: writer.components for writer in log.writers}
    assert r"\Volumes\Volume{1b77e212-0000-0000-0000-100000000000}" in components["ASR Writer"]
    assert components["DFS Replication service writer"][0].startswith(r"\SYSVOL\8D6E7361-AC28-")
    assert not log.failures


def test_a_time_is_kept_as_the_server_wrote_it():
    times = {name: read_log(LOGS[name]).shadow_copies[0].created for name in ("exec-failed-zh", "not-ended")}
    assert times == {"exec-failed-zh": "2023/12/22 22:00:15", "not-ended": "1/12/2026 10:06:46 AM"}


def test_writers_are_read_and_a_list_that_lacks_some_says_how_many_there_were():
    log = read_log(LOGS["writers"])
    assert [(status.name, status.state, status.failure) for status in log.statuses] == [
        ("System Writer", "VSS_WS_WAITING_FOR_BACKUP_COMPLETE", 0),
        ("Shadow Copy Optimization Writer", "VSS_WS_STABLE", 0),
        ("Registry Writer", "VSS_WS_STABLE", 0),
    ]
    assert log.statuses[0].writer_id == "{e8132975-6f93-4464-a53e-1050253ae220}"
    assert log.writers_listed == 8


@pytest.mark.parametrize(
    ("name", "kind", "ending"),
    [
        ("full", "cut", "completed"),  # good, but the script did not list the writers
        ("lost-newline", "cut", "not-held"),
        ("not-ended", "cut", "not-held"),
        ("exec-failed", "wrong-kind", "aborted"),
        ("exec-failed-zh", "wrong-kind", "aborted"),
        ("deleted-zh", "wrong-kind", "not-told"),
        ("provider-veto", "failed", "not-held"),
        ("no-rights", "failed", "not-held"),
        ("writers", "cut", "not-held"),
        ("ours", "created", "completed"),
    ],
)
def test_each_log_has_its_outcome(name, kind, ending):
    log = read_log(ALL[name])
    volumes = [copy.volume for copy in log.shadow_copies]
    assert (creation_of(log, volumes).kind, ending_of(log)) == (kind, ending)


def test_a_veto_is_worth_ten_minutes_and_missing_rights_are_worth_none():
    veto, rights = (creation_of(read_log(LOGS[name]), []) for name in ("provider-veto", "no-rights"))
    assert ([known.name for known in veto.hresults], veto.wait_s) == (["VSS_E_PROVIDER_VETO"], 600)
    assert (rights.hresults, rights.wait_s) == ((), None)
    assert "InitializeForBackup" in rights.reason


@EVERY
@pytest.mark.parametrize("seed", range(8))
def test_a_log_in_no_language_at_all_says_the_same(name, seed):
    original = ALL[name].decode()
    changed = relabelled(original, seed)
    assert changed != original
    assert facts(read_log(changed.encode())) == facts(read_log(ALL[name]))


def test_relabelling_leaves_no_word_of_a_label():
    changed = relabelled(OURS.decode() + LOGS["provider-veto"].decode(), 1)
    outside = [line for line in changed.splitlines() if not re.match(r"->|DISKSHADOW>", line)]
    words = {word for line in outside for word in re.findall(r"[A-Za-z]{4,}", KEPT.sub("", line))}
    assert not words & {
        "Including",
        "writer",
        "WRITER",
        "Status",
        "Failure",
        "code",
        "Shadow",
        "copy",
        "Returned",
        "HRESULT",
    }


@EVERY
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_log_says_the_same_in_every_encoding(name, encoding):
    assert facts(read_log(ALL[name].decode().encode(encoding))) == facts(read_log(ALL[name]))


@pytest.mark.parametrize("name", ["exec-failed-zh", "deleted-zh"])
@pytest.mark.parametrize("encoding", ["gbk", "gb18030", "utf-8"])
def test_a_chinese_log_says_the_same_in_chinas_code_page(name, encoding):
    assert facts(read_log(LOGS[name].decode().encode(encoding))) == facts(read_log(LOGS[name]))


@pytest.mark.parametrize("encoding", ["cp932", "cp949", "cp950", "cp1252", "cp850"])
def test_letters_of_any_code_page_between_the_facts_do_no_harm(encoding):
    letters = {"cp932": "ソ表能十予", "cp949": "각뷁", "cp950": "功許蓋", "cp1252": "äÄß", "cp850": "äÄß"}[encoding]
    text = OURS.decode().replace("Adding component", letters).replace("Including writer", letters)
    assert facts(read_log(text.encode(encoding))) == facts(read_log(OURS))


@EVERY
def test_line_ends_of_either_kind_say_the_same(name):
    text = ALL[name].decode().replace("\r\n", "\n")
    assert facts(read_log(text.replace("\n", "\r\n").encode())) == facts(read_log(text.encode()))


def with_sql_on(*volumes: str) -> Log:
    """The log of a session with D: and E:, where components of SQL Server lie on these volumes, too."""
    server = a_server()
    sql = writer_of(server, "SqlServerWriter")
    sql.components = tuple(rf"\ORDERS\{number}" for number in range(len(volumes)))
    sql.component_needs = {c: frozenset({volume}) for c, volume in zip(sql.components, volumes, strict=True)}
    return read_log(session_log(server))


def test_a_dropped_component_has_the_volume_that_diskshadow_says_it_lacks():
    log = with_sql_on(D, C, "hidden")
    [sql] = [writer for writer in log.writers if writer.name == "SqlServerWriter"]
    assert (sql.included, sql.components) == (True, (r"\ORDERS\0",))
    assert sql.dropped_components == (r"\ORDERS\1", r"\ORDERS\2")
    assert sql.missing_volumes == ((r"\ORDERS\1", "C:\\"),)


@pytest.mark.parametrize(
    ("shown", "volume"),
    [
        ("C:\\", "C:\\"),
        ('"C:\\"', "C:\\"),
        ("C:\\Program Data\\mount\\", "C:\\Program Data\\mount\\"),
        ("", ""),
    ],
)
@pytest.mark.parametrize("between", ["\r\n", " "])
def test_a_volume_is_read_as_it_is_shown_in_one_line_or_two(shown, volume, between):
    sentences = [
        rf'Component "\C:\data\x" from writer "Some Writer" wird ausgelassen,{between}weil {shown} fehlt.',
        r'Damit entfällt "Some Writer" ganz, wegen "\C:\data\x".',
    ]
    writer = dropped_by(*sentences)["Some Writer"]
    assert writer.dropped_components == (r"\C:\data\x",)
    assert dict(writer.missing_volumes).get(r"\C:\data\x", "") == volume


def test_a_volume_belongs_to_the_sentence_that_shows_it():
    without, shows = r'"\a" of writer "A" is excluded.', r'"\b" of writer "B" is excluded, as it needs C:\ too.'
    writers = dropped_by(without, shows)
    assert (writers["A"].missing_volumes, writers["B"].missing_volumes) == ((), ((r"\b", "C:\\"),))
    assert dropped_by(without, '* Including writer "C:\\ Writer":')["A"].missing_volumes == ()


def dropped_by(*sentences: str) -> dict[str, Writer]:
    """The writers of a log in which ``create`` begins with these sentences."""
    text = "".join(f"{sentence}\r\n" for sentence in sentences)
    log = read_log(OURS.replace(b"-> create\r\n", f"-> create\r\n{text}".encode()))
    assert not [writer for writer in log.writers if writer.name.startswith("C:") and not writer.included]
    return {writer.name: writer for writer in log.writers}


def test_quotes_of_other_languages_are_quotes():
    for opening, closing in ("“”", "„“", "«»", "„”"):
        text = re.sub(r'"([^"]*)"', rf"{opening}\1{closing}", OURS.decode())
        assert read_log(text.encode()).writers == read_log(OURS).writers


@given(st.binary(max_size=400))
def test_garbage_is_no_success(data):
    log = read_log(data)
    assert creation_of(log, [D, E]).kind != "created"
    assert ending_of(log) != "completed"


def test_a_number_that_is_too_long_to_be_one_is_none():
    log = read_log(OURS.replace(b"4 writers listed.", b"4" * 5000))
    assert log.writers_listed is None


@given(st.integers(0, len(OURS) - 1))
def test_a_log_that_is_cut_anywhere_promises_nothing_that_the_rest_would_have_had_to_say(length):
    log = read_log(OURS[:length])
    listed, followed = OURS.index(b"4 writers listed."), OURS.index(b"-> exit")
    assert creation_of(log, [D, E]).kind != "created" or length > listed
    assert ending_of(log) != "completed" or length > followed


@pytest.mark.parametrize("lost", range(len(lines(OURS))))
def test_a_log_that_lacks_any_line_tells_the_same_or_is_no_success(lost):
    whole = lines(OURS)
    log = read_log("\r\n".join(whole[:lost] + whole[lost + 1 :]).encode())
    timeless = [dataclasses.replace(copy, created="") for copy in log.shadow_copies]
    same = timeless == [dataclasses.replace(copy, created="") for copy in read_log(OURS).shadow_copies]
    assert same or creation_of(log, [D, E]).kind != "created"


@given(st.lists(st.integers(0, len(OURS) - 1), min_size=1, max_size=20), st.integers(1, 255))
def test_damaged_letters_never_make_another_shadow_copy_good(places, bits):
    damaged = bytearray(OURS)
    for place in places:
        damaged[place] ^= bits
    log = read_log(bytes(damaged))
    if creation_of(log, [D, E]).kind == "created":
        assert {copy.volume.lower() for copy in log.shadow_copies} == {D.lower(), E.lower()}
        assert {copy.provider for copy in log.shadow_copies} == {SYSTEM_PROVIDER}


def test_a_writers_name_may_have_an_id_in_it_and_an_alias_may_stand_in_quotes():
    text = OURS.decode().replace("SqlServerWriter", "ADAM ({0f000000-0000-0000-0000-00000000000f}) Writer")
    log = read_log(text.replace("Alias shadow1 for", 'Alias "shadow1" for').encode())
    assert included(log) == ["ADAM ({0f000000-0000-0000-0000-00000000000f}) Writer"]
    assert "shadow1" not in [writer.name for writer in log.writers]
    assert creation_of(log, [D, E]).kind == "created"


def test_a_writer_whose_block_is_cut_is_neither_good_nor_failed():
    server = a_server()
    writer_of(server, "SqlServerWriter").failure = ""
    log = read_log(session_log(server))
    assert log.statuses[-1].failure is None
    assert creation_of(log, [D, E]).kind == "writers-unsettled"
