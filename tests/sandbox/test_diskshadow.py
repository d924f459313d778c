"""The simulated DiskShadow writes the published logs, never guesses, and catches every mutation of the script."""

import re
from pathlib import Path

import pytest

from quiesce.vss.log import read_log
from quiesce.vss.outcome import creation_of, ending_of
from quiesce.vss.script import SYSTEM_PROVIDER
from sandbox.windows.diskshadow import DiskShadow, Unseen, lines_of
from sandbox.windows.vss import Server, ShadowStorage, VssWriter
from tests.support.diskshadow_files import deletion_script
from tests.support.shadow_session import AWS_PROVIDER, FOLDER, FOREIGN, C, D, E, a_server, let_go, script_of, writer_of

LOGS = Path(__file__).parents[1] / "unit" / "vss" / "diskshadow"
SCRIPT, COPY_ONLY = (script_of(copy_only=copy_only) for copy_only in (False, True))
KNOB = pytest.mark.parametrize("after_error", ["stop", "continue"])


class Session:
    """One run of a script, with what its hold saw."""

    def __init__(self, script, after_error="stop", **changes):
        self.server, self.holds = a_server(after_error=after_error, **changes), []
        self.log = DiskShadow(self.server).run(script, self.hold)

    def hold(self, words):
        self.holds.append((words, list(self.server.shadow_copies), self.notified(), list(self.server.files)))
        return 0

    def notified(self):
        return {writer.name: list(writer.notified) for writer in self.server.writers if writer.notified}


def wrong_with(session, backup_type="full"):
    """Return the rules that a session broke; none if it did its job."""
    if [len(words) for words, *_ in session.holds] != [2]:
        return ["held once, with one argument"]
    (_, set_id), copies, notified, files = session.holds[0]
    ours = [copy for copy in copies if copy.set_id == set_id]
    log = read_log(session.log)
    rules = {
        "shadow copies of all volumes, in one set": sorted(copy.volume for copy in ours) == sorted([D, E]),
        "persistent": all(copy.context == "persistent" for copy in ours),
        "with writers": all(copy.with_writers for copy in ours),
        "of the System Provider": all(copy.provider == SYSTEM_PROVIDER for copy in ours),
        "writers' metadata kept": files == [rf"{FOLDER}\writers.cab"],
        "no writer notified before the hold": not notified,
        "the writer notified once": session.notified() == {"SqlServerWriter": [backup_type]},
        "foreign shadow copies untouched": FOREIGN in session.server.shadow_copies,
        "ours stay until the backup is proven": set(ours) <= set(session.server.shadow_copies),
        "the log says who took part": "SqlServerWriter" in [writer.name for writer in log.writers if writer.included],
        "the log says created": creation_of(log, [D, E]).kind == "created",
        "the log says completed": ending_of(log) == "completed",
    }
    return [rule for rule, kept in rules.items() if not kept]


def without(line):
    return lambda script: re.sub(rb"(?m)^" + line + rb"[^\r]*\r\n", b"", script)


def moved(line, before):
    def move(script):
        lines = script.splitlines(keepends=True)
        found = [one for one in lines if one.startswith(line)]
        rest = [one for one in lines if one not in found]
        at = next(n for n, one in enumerate(rest) if one.startswith(before))
        return b"".join([*rest[:at], *found, *rest[at:]])

    return move


def replaced(old, new):
    return lambda script: script.replace(old, new)


MUTATIONS = {
    "create before the volumes": moved(b"create", b"add volume"),
    "held before create": moved(b"exec", b"create"),
    "ended before the hold": moved(b"end backup", b"exec"),
    "begun after create": moved(b"begin backup", b"list"),
    "clientaccessible": replaced(b"context persistent", b"context clientaccessible"),
    "volatile": replaced(b"context persistent", b"context volatile"),
    "no context": without(b"set context"),
    "nowriters": replaced(b"context persistent", b"context persistent nowriters"),
    "no last line end, and nothing to lose": lambda script: script.removesuffix(b"\r\nexit\r\n"),
    "no end backup": without(b"end backup"),
    "end restore": replaced(b"end backup", b"end restore"),
    "delete shadows all": replaced(b"\r\nexit", b"\r\ndelete shadows all\r\nexit"),
    "deleted too early": replaced(b"\r\nexit", b"\r\ndelete shadows set %VSS_SHADOW_SET%\r\nexit"),
    "LF": replaced(b"\r\n", b"\n"),
    "UTF-16": lambda script: script.decode().encode("utf-16"),
    "UTF-8 with a byte order mark": lambda script: script.decode().encode("utf-8-sig"),
    "no metadata": without(b"set metadata"),
    "no begin backup": without(b"begin backup"),
    "not verbose": without(b"set verbose"),
    "verbose off": replaced(b"verbose on", b"verbose off"),
    "no provider named": replaced(f" provider {SYSTEM_PROVIDER}".encode(), b""),
    "a volume left out": without(re.escape(f"add volume {E}".encode())),
    "a volume more": replaced(b"\r\ncreate", b"\r\nadd volume C:\r\ncreate"),
    "writers not listed": without(b"list writers"),
    "nothing held": without(b"exec"),
    "held for an alias that is none": replaced(b"%VSS_SHADOW_SET%", b"%VSS_SHADOW_1%"),
    "held for one shadow copy": replaced(b"%VSS_SHADOW_SET%", b"%shadow1%"),
}


@KNOB
@pytest.mark.parametrize(("script", "backup_type"), [(SCRIPT, "full"), (COPY_ONLY, "copy")], ids=["full", "copy"])
def test_the_script_does_its_job(script, backup_type, after_error):
    assert wrong_with(Session(script, after_error), backup_type) == []


@KNOB
@pytest.mark.parametrize("lost", [b"\r\n", b"\n", b"t\r\n", b"exit\r\n"])
def test_the_script_does_its_job_when_its_end_is_lost(lost, after_error):
    wrong = wrong_with(Session(SCRIPT.removesuffix(lost), after_error))
    # Without the last line the log cannot show that DiskShadow finished the one before; it did notify the writers.
    assert wrong == ([] if lost != b"exit\r\n" else ["the log says completed"])


@KNOB
@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutated_script_does_not_do_its_job(name, after_error):
    script = MUTATIONS[name](SCRIPT)
    assert script != SCRIPT
    try:
        wrong = wrong_with(Session(script, after_error))
    except Unseen:
        return
    assert wrong


# The mutations that show on the server or in the log, not only in an Unseen.
SHOWN = {
    "ended before the hold": "no writer notified before the hold",
    "nowriters": "with writers",
    "no last line end, and nothing to lose": "the writer notified once",
    "no end backup": "the writer notified once",
    "end restore": "the writer notified once",
    "delete shadows all": "foreign shadow copies untouched",
    "deleted too early": "ours stay until the backup is proven",
    "LF": "held once, with one argument",
    "UTF-16": "held once, with one argument",
    "no begin backup": "the writer notified once",
    "verbose off": "the log says who took part",
    "no provider named": "of the System Provider",
    "a volume left out": "shadow copies of all volumes, in one set",
    "a volume more": "shadow copies of all volumes, in one set",
    "writers not listed": "the log says created",
    "nothing held": "held once, with one argument",
    "held for one shadow copy": "shadow copies of all volumes, in one set",
}


@pytest.mark.parametrize("name", SHOWN)
def test_a_mutation_is_caught_for_what_it_does(name):
    assert SHOWN[name] in wrong_with(Session(MUTATIONS[name](SCRIPT)))


def test_a_hold_that_fails_leaves_the_shadow_copies_and_tells_nobody():
    server = a_server()
    log = read_log(DiskShadow(server).run(SCRIPT, lambda _: 1))
    assert len(server.shadow_copies) == 3
    assert not any(writer.notified for writer in server.writers)
    assert ending_of(log) == "aborted"


def test_a_create_that_fails_leaves_nothing():
    server = a_server(create_fails=("80042306", "VSS_E_PROVIDER_VETO"))
    log = read_log(DiskShadow(server).run(SCRIPT, let_go))
    assert server.shadow_copies == [FOREIGN]
    assert creation_of(log, [D, E]).wait_s == 600


def test_after_a_create_that_failed_the_hold_is_given_no_id_if_the_script_goes_on():
    server = a_server(create_fails=("80042306", "VSS_E_PROVIDER_VETO"), after_error="continue")
    given = []
    DiskShadow(server).run(SCRIPT, lambda words: given.append(words[1]) or 3)
    assert given == ["%VSS_SHADOW_SET%"]
    assert server.shadow_copies == [FOREIGN]


def test_a_deletion_that_fails_leaves_the_shadow_copies_and_says_so():
    session = Session(SCRIPT, delete_fails=("80042308", "VSS_E_OBJECT_NOT_FOUND"))
    (_, set_id), copies, *_ = session.holds[0]
    tool = DiskShadow(session.server)
    log = read_log(tool.run(deletion_script(set_id), let_go))
    assert (session.server.shadow_copies, tool.failed) == (copies, True)
    assert [failure.symbol for failure in log.failures] == ["VSS_E_OBJECT_NOT_FOUND"]


def test_a_volume_has_its_shadow_storage_on_itself_unless_it_has_it_elsewhere():
    server = Session(SCRIPT, storage=[ShadowStorage(E, C)]).server
    assert {storage.volume: storage.storage for storage in server.storage} == {D: D, E: C}


def test_deleting_a_set_leaves_all_others():
    session = Session(SCRIPT)
    (_, set_id), *_ = session.holds[0]
    DiskShadow(session.server).run(deletion_script(set_id), let_go)
    assert session.server.shadow_copies == [FOREIGN]


def test_a_writer_without_its_volumes_takes_no_part_and_is_told_nothing():
    server = a_server()
    log = read_log(DiskShadow(server).run(script_of([D]), let_go))
    assert not any(writer.notified for writer in server.writers)
    assert [writer.name for writer in log.writers if writer.included] == []
    assert writer_of(server, "SqlServerWriter").name in [writer.name for writer in log.writers]


@pytest.mark.parametrize(
    "lines",
    [
        ["writer exclude {4dc3bdd4-ab48-4d07-adb0-3bee2926fd7f}x"],
        ["create"],
        ["begin backup", "begin backup"],
        ["add volume Q:"],
        ["add volume D:", "add volume D:"],
        ["end backup"],
        ["delete shadows set {00000000-0000-0000-0000-000000000000}"],
        [r"set metadata C:\a.cab", "add volume D:", "create"],  # volatile, by default
    ],
)
def test_what_nobody_has_seen_is_not_guessed(lines):
    script = "".join(f"{line}\r\n" for line in lines).encode()
    if lines[0].startswith("writer"):
        assert b"WRITER" in DiskShadow(a_server()).run(script, let_go)
        return
    with pytest.raises(Unseen):
        DiskShadow(a_server()).run(script, let_go)


@pytest.mark.parametrize(
    ("script", "lines"),
    [
        (b"create\r\nexit\r\n", ["create", "exit"]),
        (b"create\r\nend backup", ["create", "end backu"]),
        (b"creates\nexit#\n", ["create", "exit"]),
        (b"create  \nend backup\n", ["create", "end backu"]),
        (b"create\r\n\r\n# why\r\n", ["create", "", "# why"]),
        ("create\r\n".encode("utf-16"), []),
    ],
)
def test_lines_are_read_as_diskshadow_reads_them(script, lines):
    assert list(lines_of(script)) == lines


@pytest.mark.parametrize(
    "script", ["exit\r\n".encode("utf-8-sig"), b"add volume \xc4:\r\n", b"exit\rexit\r\n", b"cre\x0bate\r\n"]
)
def test_letters_that_nobody_has_tried_are_not_read(script):
    with pytest.raises(Unseen):
        list(lines_of(script))


def as_published(name):
    """Return a published log's lines for comparison: without times, machines, temporary names and widths of gaps."""
    return comparable((LOGS / f"{name}.log").read_text())


def comparable(log):
    log = re.sub(r"\d+/\d+/\d+ \d+:\d+:\d+ [AP]M", "TIME", log)
    log = re.sub(r"Dis\w+\.tmp", "Dis.tmp", log)
    log = re.sub(r"((?:Originating|Service) (?:machine|target)|On computer):\s+[\w.]+", r"\1: SERVER", log)
    return [" ".join(line.replace("target:", "machine:").split()) for line in log.splitlines() if line.strip()]


PUBLISHED_SCRIPT = (
    "set verbose on",
    r"set metadata C:\Windows\Temp\meta.cab",
    "set context clientaccessible",
    "set context persistent",
    "begin backup",
    "add volume C: alias cdrive",
    "create",
)


def writers_of(name):
    """Return a published log's writers in its order: the dropped ones first."""
    nowhere = frozenset({"a volume that is not there"})
    writers = read_log((LOGS / f"{name}.log").read_bytes()).writers
    dropped = [VssWriter(one.name, "", one.dropped_components, nowhere) for one in writers if not one.included]
    return [*dropped, *(VssWriter(one.name, "", one.components) for one in writers if one.included)]


def published_server(name, **changes):
    log = read_log((LOGS / f"{name}.log").read_bytes())
    copy = log.shadow_copies[0]
    ids = iter([copy.set_id, copy.shadow_id])
    server = Server({copy.volume: "C:"}, writers_of(name), new_id=lambda: next(ids), **changes)
    number = int(re.search(r"\d+$", copy.device)[0])
    server.shadow_copies += [FOREIGN] * (number - 1)
    return server


def test_the_model_writes_the_log_that_a_server_2019_wrote():
    script = [*PUBLISHED_SCRIPT, "expose %cdrive% D:", "end backup", "exit"]
    server = published_server("full", files=[r"C:\Windows\Temp\meta.cab"])
    log = DiskShadow(server).run("".join(f"{line}\r\n" for line in script).encode(), let_go)
    assert comparable(log.decode()) == as_published("full")


def test_the_model_writes_the_log_that_a_server_2022_wrote_for_a_script_without_its_last_line_end():
    script = "   \n".join([*PUBLISHED_SCRIPT, "expose %cdrive% E:", "end backup"]).encode()
    log = DiskShadow(published_server("lost-newline")).run(script, let_go)
    assert comparable(log.decode()) == as_published("lost-newline")


def test_the_model_tells_of_a_provider_that_named_itself():
    server = a_server(default_provider=AWS_PROVIDER)
    log = read_log(DiskShadow(server).run(MUTATIONS["no provider named"](SCRIPT), let_go))
    assert creation_of(log, [D, E]).kind == "wrong-kind"
    assert {copy.provider for copy in log.shadow_copies} == {AWS_PROVIDER}


def test_the_drive_c_is_a_volume_like_others():
    server = a_server()
    log = read_log(DiskShadow(server).run(script_of([C, D, E]), let_go))
    assert creation_of(log, [C, D, E]).kind == "created"
    assert {writer.name: writer.notified for writer in server.writers if writer.notified} == {
        "System Writer": ["full"],
        "SqlServerWriter": ["full"],
    }
