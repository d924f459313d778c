"""A simulated server under the product's own code and SSM's API, on a clock that only waiting moves."""

import io
import json
import zipfile

import pytest
from botocore.exceptions import ClientError

from quiesce.aws.ssm import Guest
from quiesce.clock import Clock
from quiesce.errors import AgentUnreachable, CommandRefused
from quiesce.guest.documents import ACT, LOOK, Documents
from quiesce.guest.package import Package, pack
from quiesce.guest.patience import Patience
from sandbox.aws.run_command import RunCommand
from sandbox.windows.application import BusyApplication, examine
from sandbox.windows.customer_scripts import outcome_of
from sandbox.windows.host import Outcome
from sandbox.windows.inventory import nvme_drives
from sandbox.windows.system import Windows
from tests.support.memory_files import MemoryFiles
from tests.support.ssm import client_of, guest_document

BUCKET, REGION = "quiesce-bucket", "eu-central-1"
SERVER = "i-0123456789abcdef0"
LOOKING, ACTING = "quiesce-LookDocument", "quiesce-ActDocument"
# "paint" is no verb.
DOCUMENTS = Documents(
    dict.fromkeys(LOOK, LOOKING) | dict.fromkeys([*ACT, "paint"], ACTING), {LOOKING: "1", ACTING: "1"}
)
PACKAGE = pack("files", {})
PACKAGE_LINK = f"https://{BUCKET}.s3.{REGION}.amazonaws.com/packages/{SERVER}/run-1/package.zip?X-Amz-Expires=600"
PATIENCE = Patience(limit_s=180, look_every_s=0.3)
STAGED = {
    "RunId": "run-1",
    "InstanceId": SERVER,
    "Policy": "files",
    "Scripts": "server",
    "FreezeLimitSeconds": "120",
    "SessionLimitSeconds": "100800",
    "PackageLink": PACKAGE_LINK,
    "PackageHash": PACKAGE.sha256,
}
UPLOAD = f"https://{BUCKET}.s3.{REGION}.amazonaws.com/logs/{SERVER}/run-1/session-1.zip?X-Amz-Expires=600"
COLLECT = {"RunId": "run-1", "Attempt": "1", "UploadLink": UPLOAD, "CollectOutput": "true"}
SESSION = {"RunId": "run-1", "Attempt": "1", "WaitSeconds": "90"}


class World:
    """One server behind Run Command, and the clock of both."""

    def __init__(self, **scripts):
        self.now_s = 1_750_000_000.0
        self.drives = {"D:": MemoryFiles(), "E:": MemoryFiles()}
        self.application = BusyApplication(seed=2, drives=self.drives)
        self.bucket = {PACKAGE_LINK: PACKAGE.content}
        drives = nvme_drives({"C:": "vol-0123456789abcdef0", "D:": "vol-0fedcba9876543210"})
        self.windows = Windows(SERVER, self.application, self.bucket.get, self.now_s, put=self.put, drives=drives)
        self.windows.scripts.folder.update({f"{stage}_files.ps1": text for stage, text in scripts.items()})
        self.states = {SERVER: "running"}
        self.service = RunCommand({SERVER: self.windows}, self.states.get, lambda: self.now_s)
        self.service.put_document(LOOKING, guest_document("look", BUCKET, REGION))
        self.service.put_document(ACTING, guest_document("act", BUCKET, REGION))
        self.client = client_of(self.service)

    def put(self, link, content):
        """Store what the server uploads."""
        self.bucket[link] = content
        return True

    def wait(self, seconds):
        self.now_s += seconds
        self.windows.advance(self.now_s)

    def ask(self, verb, parameters=SESSION, patience=PATIENCE):
        guest = Guest(self.client, DOCUMENTS, SERVER, Clock(monotonic=lambda: self.now_s, sleep=self.wait))
        return guest.ask(verb, parameters, patience)

    def freeze(self):
        assert self.ask("stage", STAGED).ok
        return self.ask("freeze")

    def session(self):
        return self.windows.guest.sessions()[-1].saved

    def send(self, verb, parameters=SESSION, instance_id=SERVER):
        values = {"Verb": [verb], **{name: [value] for name, value in parameters.items()}}
        sent = self.client.send_command(
            DocumentName=DOCUMENTS.by_verb[verb], InstanceIds=[instance_id], Parameters=values
        )
        return sent["Command"]["CommandId"]

    def copy_is_torn(self):
        self.application.work()
        return examine(self.drives).torn


@pytest.fixture
def world():
    return World(before="", after="", complete="")


def test_a_session_goes_from_before_to_complete(world):
    frozen = world.freeze().session
    assert (frozen.phase, frozen.before.succeeded) == ("frozen", True)
    thawed = world.ask("thaw").session
    assert (thawed.phase, thawed.after.argument, thawed.auto_thawed) == ("thawed", "1", False)
    nonce = world.windows.guest.runs["run-1"].nonce
    ended = world.ask("complete", SESSION | {"Succeeded": "true", "Nonce": nonce}).session
    assert (ended.phase, ended.complete.argument) == ("ended", "1")
    assert world.application.asked == ["before", "after 1", "complete 1"]


def test_a_copy_taken_while_the_application_is_held_is_never_torn(world):
    assert any(world.copy_is_torn() for _ in range(20))
    world.freeze()
    assert not any(world.copy_is_torn() for _ in range(20))
    world.ask("thaw")
    assert any(world.copy_is_torn() for _ in range(20))


def test_a_server_that_nobody_asks_thaws_by_itself_at_its_limit_and_ends_its_session(world):
    world.freeze()
    world.wait(115)
    assert world.application.held
    world.wait(10)
    assert (world.application.held, world.session()["autoThawed"]) == (False, True)
    world.wait(100_800)
    assert world.application.asked == ["before", "after 1", "complete 0"]
    assert world.session()["phase"] == "ended"


def test_the_watchdog_thaws_when_the_session_runner_has_died(world):
    world.freeze()
    world.windows.guest.sessions()[0].runner = None
    world.wait(60 + 120 + 30 + 10)
    assert world.application.asked == ["before", "after 1"]
    world.wait(100_800)
    assert world.application.asked == ["before", "after 1", "complete 0"]


def test_a_rebooted_server_thaws_when_it_is_up_again(world):
    world.freeze()
    world.windows.reboot(down_s=60)
    world.wait(59)
    assert world.application.asked == ["before"]
    world.wait(10)
    assert world.application.asked == ["before", "after 1"]


def test_a_verb_under_way_when_the_server_reboots_is_answered_after_the_boot():
    world = World(before="# sandbox: run 20 s", after="", complete="")
    assert world.ask("stage", STAGED).ok
    world.send("freeze")
    world.wait(10)
    world.windows.reboot(down_s=60)
    world.wait(70)
    assert world.session()["phase"] == "thawed"
    command = world.windows.agent.commands[-1]
    assert (command.status, command.starts) == ("Failed", 2)
    assert "NotFrozen" in command.stdout


def test_an_agent_restarted_while_before_runs_starts_it_no_second_time():
    world = World(before="# sandbox: run 20 s", after="", complete="")
    assert world.ask("stage", STAGED).ok
    world.send("freeze")
    world.wait(5)
    world.windows.agent.restart(world.now_s)
    world.wait(20)
    command = world.windows.agent.commands[-1]
    assert (command.status, command.starts) == ("Success", 2)
    assert world.application.asked == ["before"]


def test_a_freeze_whose_answer_never_comes_is_unreachable_and_the_server_goes_on():
    world = World(before="# sandbox: run 20 s", after="", complete="")
    assert world.ask("stage", STAGED).ok
    command_id = world.send("freeze")
    world.wait(5)
    world.windows.agent.connected = False
    with pytest.raises(AgentUnreachable):
        world.ask("thaw")
    assert world.application.asked == ["before", "after 1"]
    invocation = world.client.get_command_invocation(CommandId=command_id, InstanceId=SERVER)
    assert (invocation["Status"], invocation["ResponseCode"]) == ("InProgress", -1)


def packed(world, package):
    """Put a package into the bucket; return what stage is told of it."""
    world.bucket[PACKAGE_LINK] = package.content
    return STAGED | {"Scripts": "bucket", "PackageHash": package.sha256}


def test_a_script_of_the_bucket_comes_with_the_package_when_it_is_staged(world):
    assert world.ask("stage", packed(world, pack("files", {"before": b"# sandbox: exit 3"}))).ok
    del world.bucket[PACKAGE_LINK]
    before = world.ask("freeze").session.before
    assert (before.succeeded, before.exit_code) == (False, 3)
    assert world.application.asked == []


def test_a_link_that_leads_nowhere_is_refused_by_the_server(world):
    answer = world.ask("stage", STAGED | {"PackageLink": PACKAGE_LINK.replace("package.zip", "other.zip")})
    assert (answer.ok, answer.error) == (False, "PackageNotFetched")


def test_a_package_that_is_not_the_one_of_the_command_is_refused_by_the_server(world):
    named = packed(world, PACKAGE)
    world.bucket[PACKAGE_LINK] = pack("files", {"before": b"another's"}).content
    answer = world.ask("stage", named)
    assert (answer.ok, answer.error_name) == (False, "PackageChanged")


def test_a_package_that_is_too_large_is_refused_by_the_server(world):
    large = Package(PACKAGE.content.ljust(11 * 1024 * 1024, b"\0"))
    answer = world.ask("stage", packed(world, large))
    assert (answer.ok, answer.error_name) == (False, "PackageTooLarge")


def test_a_link_to_another_bucket_is_refused_by_ssm_itself(world):
    link = PACKAGE_LINK.replace(BUCKET, "other-bucket")
    with pytest.raises(ClientError, match="InvalidParameters"):
        world.send("stage", STAGED | {"PackageLink": link})


def test_a_server_names_the_volumes_that_its_drives_are_on(world):
    inventory = world.ask("inventory", {"RunId": "run-1", "InstanceId": SERVER}).inventory
    serials = {drive["path"]: drive["serial"] for drive in inventory["drives"]}
    assert serials == {"C:": "vol0123456789abcdef0_00000001.", "D:": "vol0fedcba9876543210_00000001."}
    assert inventory["windows"]["installation"] == "Server"


def test_another_server_names_nothing(world):
    answer = world.ask("inventory", {"RunId": "run-1", "InstanceId": "i-0fedcba9876543210"})
    assert (answer.ok, answer.inventory) == (False, None)
    assert answer.error.startswith("ForeignServer")


def test_a_session_that_is_under_way_sends_its_files_and_stays_as_it_is(world):
    frozen = world.freeze().session
    answer = world.ask("collect", COLLECT)
    assert answer.session == frozen
    with zipfile.ZipFile(io.BytesIO(world.bucket[UPLOAD])) as archive:
        assert json.loads(archive.read("state.json"))["phase"] == "frozen"
        assert sorted(archive.namelist()) == ["before.err", "before.out", "manifest.json", "session.log", "state.json"]
    assert world.ask("thaw").session.phase == "thawed"


def test_what_scripts_have_printed_is_sent_only_if_it_is_asked_for(world):
    world.freeze()
    world.ask("collect", COLLECT | {"CollectOutput": "false"})
    with zipfile.ZipFile(io.BytesIO(world.bucket[UPLOAD])) as archive:
        assert sorted(archive.namelist()) == ["manifest.json", "session.log", "state.json"]


def test_files_that_the_bucket_does_not_take_are_not_collected(world):
    frozen = world.freeze().session
    world.windows.guest.put = lambda _link, _content: False
    answer = world.ask("collect", COLLECT)
    assert (answer.ok, answer.session, answer.collected) == (False, frozen, None)
    assert answer.error.startswith("NotCollected")


def test_files_are_sent_to_the_own_bucket_only(world):
    with pytest.raises(ClientError, match="InvalidParameters"):
        world.send("collect", COLLECT | {"UploadLink": UPLOAD.replace(BUCKET, "other-bucket")})


def test_a_verb_that_the_document_does_not_know_yet_has_an_error_of_its_own(world):
    with pytest.raises(CommandRefused, match="InvalidParameters"):
        world.ask("paint", SESSION)
    with pytest.raises(CommandRefused, match="InvalidParameters"):
        world.ask("thaw", SESSION | {"Colour": "red"})


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("Stop-Service shop", (0, 0)),
        ("# sandbox: exit 3\nexit 3", (3, 0)),
        ("# sandbox: run 12 s\r\n", (0, 12)),
        ("# sandbox: run 1.5 s\n# sandbox: exit 1", (1, 1.5)),
        ("# sandbox: hang", (0, float("inf"))),
    ],
)
def test_a_script_says_in_a_comment_how_it_goes(text, outcome):
    assert outcome_of(text) == Outcome(*outcome)


def test_a_script_that_says_what_nobody_knows_is_no_script_that_succeeds():
    with pytest.raises(ValueError, match="sandbox: explode"):
        outcome_of("# sandbox: explode")


def test_an_invocation_does_not_exist_for_a_moment(world):
    command_id = world.send("stage", STAGED)
    with pytest.raises(ClientError, match="InvocationDoesNotExist"):
        world.client.get_command_invocation(CommandId=command_id, InstanceId=SERVER)
    world.wait(0.15)
    assert world.client.get_command_invocation(CommandId=command_id, InstanceId=SERVER)["Status"] == "Pending"


@pytest.mark.parametrize(("state", "refused"), [("stopped", False), ("terminated", True), (None, True)])
def test_a_command_is_taken_for_a_stopped_server_and_refused_for_one_that_is_gone(world, state, refused):
    world.states[SERVER] = state
    if refused:
        with pytest.raises(ClientError, match="InvalidInstanceId"):
            world.send("stage", STAGED)
    else:
        assert world.send("stage", STAGED)


def test_ssm_tells_of_running_servers_only(world):
    guest = Guest(world.client, DOCUMENTS, SERVER, Clock())
    assert guest.describe_agent().online
    world.windows.agent.connected = False
    world.wait(301)
    assert not guest.describe_agent().online
    world.states[SERVER] = "stopped"
    assert guest.describe_agent() is None
    world.states.clear()
    assert guest.describe_agent() is None


@pytest.mark.parametrize("call", ["cancel_command", "list_documents"])
def test_what_the_sandbox_does_not_have_is_an_error(world, call):
    parameters = {"cancel_command": {"CommandId": "0" * 36}}.get(call, {})
    with pytest.raises(ClientError, match="the sandbox has no ssm"):
        getattr(world.client, call)(**parameters)


def test_parameters_that_the_sandbox_does_not_know_are_refused(world):
    with pytest.raises(ClientError, match="OutputS3BucketName"):
        world.client.send_command(DocumentName=ACTING, InstanceIds=[SERVER], OutputS3BucketName="bucket")


def test_an_answer_of_the_guest_is_one_line_of_json(world):
    world.send("stage", STAGED)
    world.wait(1)
    [line] = world.windows.agent.commands[0].stdout.splitlines()
    assert json.loads(line)["ok"] is True
