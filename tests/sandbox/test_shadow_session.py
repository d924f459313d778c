"""VSS in a simulated server's session: the state on good days and on bad ones, as in the guest."""

import json

import pytest

from quiesce.guest.package import pack
from quiesce.vss.log import read_log
from quiesce.vss.outcome import creation_of, ending_of
from quiesce.vss.script import MAX_VOLUMES, session_script
from sandbox.windows.answers import line_of
from sandbox.windows.guest import Guest
from sandbox.windows.host import Outcome
from sandbox.windows.inventory import nvme_drives
from sandbox.windows.vss import Server, ShadowCopy
from tests.support.shadow_session import FOREIGN, a_server, writer_of

SERVER = "i-0123456789abcdef0"
DRIVES = nvme_drives({"C:": "vol-0aaaaaaaaaaaaaaa0", "D:": "vol-0bbbbbbbbbbbbbbb1", "E:": "vol-0ccccccccccccccc2"})
D, E = (drive.volume_guid for drive in DRIVES[1:])
SCRIPT = session_script([D, E], copy_only=False)
STAGE = {
    "Verb": "stage",
    "RunId": "run-1",
    "Attempt": "1",
    "InstanceId": SERVER,
    "Policy": "orders",
    "Owner": "admin",
    "Scripts": "server",
    **{f"{stage}TimeoutSeconds": "60" for stage in ("Before", "After", "Complete")},
    "FreezeLimitSeconds": "120",
    "SessionLimitSeconds": "3600",
    "PackageLink": "a link",
    "CreateTimeoutSeconds": "90",
}


class Scripts:
    """Three scripts that only record their argument and the number of shadow copies at the time."""

    def __init__(self, script=SCRIPT):
        self.ran, self.vss, self.package = [], None, pack("orders", {}, script)

    def on_server(self):
        return [f"{stage}_orders.ps1" for stage in ("before", "after", "complete")]

    def fetch(self, _link):
        return self.package.content

    def keep(self, files):
        self.kept = files

    def judge(self, _path):
        return "", ""

    def run(self, _path, stage, argument):
        self.ran.append((f"{stage} {argument}".strip(), len(self.vss.shadow_copies)))
        return Outcome()


class World:
    """One server with a guest, and its time."""

    def __init__(self, script=SCRIPT, **vss):
        self.now_s, self.scripts = 1_750_000_000.0, Scripts(script)
        model = a_server()
        self.vss = Server({}, [writer_of(model, "System Writer"), writer_of(model, "SqlServerWriter")], **vss)
        self.vss.writers[0].needs, self.vss.writers[1].needs = frozenset(), frozenset({D, E})
        self.vss.shadow_copies.append(FOREIGN)
        self.scripts.vss = self.vss
        self.guest = Guest(SERVER, self.scripts, drives=DRIVES, vss=self.vss)
        assert self.ask("stage")["ok"]

    def ask(self, verb, attempt=1, wait_s=200, **changes):
        base = (
            STAGE | {"PackageHash": self.scripts.package.sha256}
            if verb == "stage"
            else {"RunId": "run-1", "WaitSeconds": str(wait_s), "AbortShadowCopies": "false", "LogBytes": "400000"}
            | {"WritersOf": "none"}
        )
        parameters = base | {"Verb": verb, "Attempt": str(attempt)} | changes
        request = self.guest.ask(parameters, self.now_s)
        while (answer := request.answer(self.now_s)) is None:
            self.wait(0.2)
        return json.loads(json.dumps(answer))

    def wait(self, seconds):
        self.now_s += seconds
        self.guest.advance(self.now_s)

    def complete(self, succeeded="true", attempt=1):
        nonce = self.guest.runs["run-1"].nonce
        return self.ask("complete", attempt=attempt, Succeeded=succeeded, Nonce=nonce)

    @property
    def process(self):
        return self.guest.sessions()[-1].shadow.process

    def notified(self):
        return writer_of(self.vss, "SqlServerWriter").notified

    def arguments(self):
        return [argument for argument, _ in self.scripts.ran]


def log_of(answer):
    return read_log(answer["diskShadowLog"].encode("latin-1"))


def shadow_of(answer):
    return answer["session"]["shadow"]


def test_a_good_run_makes_shadow_copies_of_all_volumes_tells_the_writers_and_deletes_them():
    world = World()
    frozen = world.ask("freeze")
    shadow = shadow_of(frozen)
    assert (shadow["reason"], shadow["endedMs"], shadow["deleted"]) == ("", 0, None)
    assert sorted(copy.volume for copy in log_of(frozen).shadow_copies) == sorted([D, E])
    assert log_of(frozen).set_ids == {shadow["setId"].lower()}
    assert creation_of(log_of(frozen), [D, E]).kind == "created"
    thawed = world.ask("thaw")
    assert shadow["copies"] is None
    assert {copy["id"].lower() for copy in shadow_of(thawed)["copies"]} == {
        copy.shadow_id for copy in log_of(frozen).shadow_copies
    }
    assert {storage["volumeGuid"] for storage in shadow_of(thawed)["storage"]} == {D, E}
    assert world.notified() == []
    ended = world.complete()
    assert (shadow_of(ended)["exitCode"], shadow_of(ended)["reason"], shadow_of(ended)["deleted"]) == (0, "", True)
    assert ending_of(log_of(ended)) == "completed"
    assert world.notified() == ["full"]
    assert world.vss.shadow_copies == [FOREIGN]
    assert world.scripts.ran == [("before", 1), ("after 1", 3), ("complete 1", 1)]


def test_without_a_script_for_diskshadow_nothing_of_it_is_told():
    world = World(script=())
    frozen = world.ask("freeze")
    assert shadow_of(frozen) is None
    assert "diskShadowLog" not in frozen


def test_the_application_is_frozen_until_create_is_done_and_the_limit_counts_from_before():
    world = World(create_s=80.0)
    frozen = world.ask("freeze")["session"]
    assert frozen["frozenMs"] - frozen["before"]["endedMs"] == 80_000
    world.wait(45)
    thawed = world.guest.sessions()[0].saved
    assert thawed["autoThawed"]
    assert thawed["after"]["startedMs"] - thawed["before"]["endedMs"] == 120_000


def test_a_create_that_fails_ends_early_with_its_code_in_the_log_and_nothing_is_left():
    world = World(create_fails=("80042313", "VSS_E_FLUSH_WRITES_TIMEOUT"))
    frozen = world.ask("freeze")
    shadow = shadow_of(frozen)
    assert frozen["ok"]
    assert (shadow["reason"], shadow["exitCode"], shadow["createdMs"]) == ("EndedEarly", 1, 0)
    assert creation_of(log_of(frozen), [D, E]).wait_s == 600
    assert shadow_of(world.complete())["deleted"] is None
    assert world.arguments() == ["before", "after 1", "complete 0"]


def test_a_create_that_fails_is_held_for_nothing_where_the_script_goes_on():
    world = World(create_fails=("80042313", "VSS_E_FLUSH_WRITES_TIMEOUT"), after_error="continue")
    assert shadow_of(world.ask("freeze"))["reason"] == "EndedEarly"


def test_a_create_that_takes_too_long_is_ended_and_the_application_goes_on():
    world = World(create_s=float("inf"))
    frozen = world.ask("freeze")
    shadow = shadow_of(frozen)
    assert (shadow["reason"], shadow["endedMs"] - shadow["startedMs"], shadow["exitCode"]) == ("TimedOut", 90_000, None)
    assert [step.command for step in log_of(frozen).steps][-1] == "create"
    world.complete()
    assert world.arguments() == ["before", "after 1", "complete 0"]


@pytest.mark.parametrize("phase", ["frozen", "thawed"])
def test_a_diskshadow_that_is_killed_while_it_holds_is_lost_and_its_shadow_copies_are_deleted_in_the_end(phase):
    world = World()
    world.ask("freeze")
    if phase == "thawed":
        world.ask("thaw")
    world.process.kill(world.now_s)
    world.wait(1)
    shadow = world.guest.sessions()[0].saved["shadow"]
    assert (shadow["reason"], shadow["exitCode"], bool(shadow["endedMs"])) == ("Lost", 1, True)
    ended = shadow_of(world.complete())
    assert (ended["reason"], ended["deleted"]) == ("Lost", True)
    assert (world.notified(), world.arguments()[-1]) == ([], "complete 0")


def test_an_abort_for_a_retry_has_after_run_first_and_leaves_nothing_of_its_own():
    world = World()
    world.ask("freeze")
    shadow = shadow_of(world.ask("thaw", AbortShadowCopies="true"))
    assert (shadow["reason"], shadow["exitCode"], shadow["deleted"]) == ("Aborted", 1, True)
    assert world.scripts.ran[-1] == ("after 1", 3)
    assert world.vss.shadow_copies == [FOREIGN]
    world.ask("freeze", attempt=2)
    world.ask("thaw", attempt=2)
    assert shadow_of(world.complete(attempt=2))["reason"] == ""
    assert world.notified() == ["full"]
    assert world.arguments() == ["before", "after 1"] * 2 + ["complete 1"]


def test_an_attempt_that_is_overtaken_is_aborted():
    world = World()
    world.ask("freeze")
    world.ask("thaw")
    world.ask("freeze", attempt=2)
    first = world.guest.sessions()[0].saved
    assert (first["shadow"]["reason"], first["shadow"]["deleted"]) == ("Aborted", True)
    assert first["complete"]["reason"] == "Superseded"
    assert len(world.vss.shadow_copies) == 3


@pytest.mark.parametrize("asked", [True, False], ids=["asked with 0", "at the session's end"])
def test_a_backup_that_did_not_succeed_is_aborted_and_no_writer_is_told(asked):
    world = World()
    world.ask("freeze")
    world.ask("thaw")
    if asked:
        world.complete("false")
    else:
        world.wait(3700)
    shadow = world.guest.sessions()[0].saved["shadow"]
    assert (shadow["reason"], shadow["exitCode"], shadow["deleted"]) == ("Aborted", 1, True)
    assert (world.notified(), world.arguments()[-1]) == ([], "complete 0")


def test_an_end_backup_that_never_ends_is_ended_and_complete_gets_0():
    world = World(end_s=float("inf"))
    world.ask("freeze")
    world.ask("thaw")
    shadow = shadow_of(world.complete())
    assert (shadow["reason"], shadow["deleted"]) == ("EndTimedOut", True)
    assert world.arguments()[-1] == "complete 0"


@pytest.mark.parametrize("create_s", [0.0, 60.0], ids=["while it holds", "in create"])
def test_whoever_takes_over_runs_after_at_once_then_ends_diskshadow_and_deletes(create_s):
    world = World(create_s=create_s)
    world.ask("freeze", wait_s=10)
    world.guest.sessions()[0].runner = None
    shadow = shadow_of(world.ask("thaw"))
    assert (shadow["reason"], bool(shadow["endedMs"])) == ("RunnerLost", True)
    assert shadow["deleted"] == (None if create_s else True)
    assert world.scripts.ran[-1] == ("after 1", 1 if create_s else 3)
    world.complete()
    assert (world.vss.shadow_copies, world.notified(), world.arguments()[-1]) == ([FOREIGN], [], "complete 0")


def test_a_reboot_ends_diskshadow_and_the_watchdog_deletes_what_stayed():
    world = World()
    world.ask("freeze")
    world.guest.reboot(world.now_s)
    shadow = world.guest.sessions()[0].saved["shadow"]
    assert (shadow["reason"], shadow["deleted"], world.vss.shadow_copies) == ("RunnerLost", True, [FOREIGN])


def test_where_nobody_can_tell_whose_server_it_is_nothing_is_deleted_and_diskshadow_is_left_alone():
    world = World()
    world.guest.metadata_answers = False
    world.ask("freeze")
    world.ask("thaw")
    world.wait(3700)
    shadow = world.guest.sessions()[0].saved["shadow"]
    assert (shadow["reason"], shadow["endedMs"], shadow["deleted"]) == ("", 0, None)
    assert world.arguments() == ["before", "after 1"]


def test_shadow_copies_that_are_gone_at_the_thaw_are_missed():
    world = World()
    world.ask("freeze")
    world.vss.shadow_copies = [copy for copy in world.vss.shadow_copies if copy.volume != D or copy == FOREIGN]
    thawed = shadow_of(world.ask("thaw"))
    assert [copy["volumeGuid"] for copy in thawed["copies"]] == [E]
    assert shadow_of(world.complete())["deleted"] is True


def test_shadow_copies_that_cannot_be_deleted_are_told_of():
    world = World(delete_fails=("80042308", "VSS_E_OBJECT_NOT_FOUND"))
    world.ask("freeze")
    world.ask("thaw")
    assert shadow_of(world.complete())["deleted"] is False


def test_what_cim_does_not_say_is_not_claimed():
    world = World()
    world.guest.cim_answers = False
    shadow = shadow_of(world.ask("freeze"))
    assert (shadow["reason"], shadow["createdMs"] > 0) == ("", True)
    thawed = shadow_of(world.ask("thaw"))
    assert (thawed["copies"], thawed["storage"]) == (None, [])
    assert shadow_of(world.complete())["deleted"] is False


def test_a_server_without_diskshadow_says_so():
    world = World(has_diskshadow=False)
    frozen = world.ask("freeze")
    assert shadow_of(frozen)["reason"].startswith("NotStarted: ")
    assert frozen["diskShadowLog"] is None
    world.complete()
    assert world.arguments() == ["before", "after 1", "complete 0"]


def test_the_writers_metadata_and_diskshadows_log_are_collected():
    world = World()
    world.ask("freeze")
    sent = {}
    world.guest.put = lambda link, content: bool(sent.update({link: content})) or True
    answer = world.ask("collect", UploadLink="link", CollectOutput="false")
    names = {file["name"] for file in answer["collected"]["files"]}
    assert {"diskshadow.log", "diskshadow.out", "diskshadow.err", "shadow.txt", "writers.cab"} < names


def test_a_server_of_as_many_volumes_as_a_set_may_have_has_an_answer_that_the_agent_leaves_whole():
    drives = nvme_drives({f"C:\\mount\\{n}": f"vol-0{n:016x}" for n in range(MAX_VOLUMES)})
    world = World.__new__(World)
    script = session_script([drive.volume_guid for drive in drives], copy_only=False)
    world.now_s, world.scripts = 1_750_000_000.0, Scripts(script)
    world.vss = world.scripts.vss = Server({}, a_server().writers[:1])
    world.guest = Guest(SERVER, world.scripts, drives=drives, vss=world.vss)
    world.ask("stage")
    world.ask("freeze")
    thawed = world.ask("thaw")
    assert len(line_of(thawed)) < 24_000
    assert len(shadow_of(thawed)["copies"]) == MAX_VOLUMES
    assert len(shadow_of(thawed)["storage"]) == MAX_VOLUMES
    assert not thawed["diskShadowLogCut"]
    assert log_of(thawed).writers_listed == 1


def test_an_inventory_tells_where_shadow_copies_lie():
    world = World()
    world.vss.add_copies([ShadowCopy("{1}", "{2}", D, "clientaccessible", False, "{3}")])
    inventory = world.ask("inventory", InstanceId=SERVER)["inventory"]
    assert inventory["programData"] == r"C:\ProgramData"
    assert [storage["volumeGuid"] for storage in inventory["shadowStorage"]] == [D]
