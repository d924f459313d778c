"""Plan's last part: it stages the session on a server that it can ask; for any other, Plan records the obstacle."""

import hashlib
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from quiesce.backup.state import Plan
from quiesce.errors import AccessDenied, AwsThrottled, AwsUnavailable, PolicyRefused, ServerRefused
from quiesce.guest.scripts import STAGES, Stage
from quiesce.steps.backup.prepare import prepare
from tests.support.factories.run import INSTANCE, a_line, a_manifest, a_plan, an_answer, some_settings
from tests.support.scripted_ssm import COMMAND_ID, Refusal, ScriptedSsm

ONLINE = {"InstanceId": INSTANCE, "PingStatus": "Online", "AgentVersion": "3.3.3572.0", "PlatformType": "Windows"}
INVENTORY = {
    "windows": {"version": "10.0.20348", "name": "Windows Server 2022", "installation": "Server", "productType": 3},
    "powershell": {"version": "5.1.20348.1", "languageMode": "FullLanguage"},
    "drives": [],
    "programData": "C:\\ProgramData",
    "programDataFreeBytes": 10**10,
    "shadowStorage": [],
}
KEYS: dict[Stage, str | None] = {stage: f"scripts/admin/{stage}_files-nightly.ps1" for stage in STAGES}


@dataclass
class Store:
    """Stands in for the bucket with the scripts."""

    keys: dict[Stage, str | None] = field(default_factory=lambda: dict(KEYS))
    looked: int = 0
    packages: dict[str, bytes] = field(default_factory=dict)

    def list_scripts(self, _folders: Sequence[str]) -> list[str]:
        self.looked += 1
        return [key for key in self.keys.values() if key]

    def read_script(self, key: str) -> bytes:
        return f"# {key}".encode()

    def write_package(self, key: str, content: bytes) -> None:
        self.packages[key] = content

    def link_to_package(self, key: str) -> str:
        assert key in self.packages
        return f"https://bucket/{key}?signed"


def a_ssm(*, agent: Any = ONLINE, document: Any = None, inventory: Any = None, stage: Any = None) -> ScriptedSsm:
    """SSM that knows this agent, with the server's answers to inventory and stage; a Refusal is SSM's error instead."""
    ssm = ScriptedSsm()
    if not isinstance(agent, Refusal):
        agent = {"InstanceInformationList": [agent] if agent else []}
    ssm.says("DescribeInstanceInformation", agent)
    ssm.always_says("DescribeDocument", document or {"Document": {"DocumentVersion": "3", "Status": "Active"}})
    for verb, answer in (("inventory", inventory), ("stage", stage)):
        answers(
            ssm,
            an_answer(verb, **({"inventory": INVENTORY} if verb == "inventory" else {})) if answer is None else answer,
        )
    return ssm


def answers(ssm: ScriptedSsm, answer: Any) -> None:
    if not isinstance(answer, dict):
        ssm.says("SendCommand", answer)
        return
    ssm.takes_the_command()
    status, code = ("Success", 0) if answer["ok"] else ("Failed", 1)
    ended = {"Status": status, "StatusDetails": status, "ResponseCode": code, "StandardOutputContent": a_line(answer)}
    ssm.says("GetCommandInvocation", {"CommandId": COMMAND_ID, **ended})


def asking(consistency: str = "application-or-crash", source: str = "bucket", **changes: Any) -> Plan:
    settings = some_settings(scripts={"from": source}, consistency=consistency)
    return a_plan(settings=settings, **changes)


def prepared(ssm: ScriptedSsm, plan: Plan | None = None, store: Store | None = None) -> Plan:
    return prepare(ssm.guest(), store or Store(), plan or asking())  # type: ignore[arg-type]


def sent(ssm: ScriptedSsm) -> list[str]:
    return [body["Parameters"]["Verb"][0] for operation, body in ssm.sent if operation == "SendCommand"]


def test_a_server_that_can_be_asked_says_what_it_is_and_is_staged() -> None:
    ssm = a_ssm()
    store = Store()
    plan = prepared(ssm, store=store)
    assert (plan.freezes, plan.consistency.level, plan.notes) == (True, "application", [])
    assert plan.windows == "Windows Server 2022 10.0.20348"
    assert sent(ssm) == ["inventory", "stage"]
    staged = next(body for operation, body in ssm.sent[::-1] if operation == "SendCommand")["Parameters"]
    [(key, content)] = store.packages.items()
    [sha256] = staged["PackageHash"]
    assert (sha256, staged["PackageLink"]) == (hashlib.sha256(content).hexdigest(), [f"https://bucket/{key}?signed"])
    assert key == f"packages/{INSTANCE}/{plan.run_id}/{sha256}.zip"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        packed = {name: archive.read(name) for name in archive.namelist()}
    assert packed.pop("quiesce.ps1").startswith(b"# quiesce's session on a server.")
    assert packed == {f"{stage}_files-nightly.ps1": f"# {KEYS[stage]}".encode() for stage in STAGES}


def test_a_script_that_is_missing_is_noted_and_staged_as_missing() -> None:
    scripts = {"before": "before_files-nightly.ps1", "after": "", "complete": ""}
    ssm = a_ssm(stage=an_answer("stage", staged=a_manifest(scripts=scripts)))
    plan = prepared(ssm, asking(notes=["kept"]), Store({**KEYS, "after": None, "complete": None}))
    folders = f"scripts/admin/{INSTANCE}/ or scripts/admin/"
    assert plan.freezes
    assert plan.notes == ["kept"] + [f"there is no {s} script in the bucket ({folders})" for s in ("after", "complete")]


def test_scripts_that_lie_on_the_server_are_looked_for_there_and_not_in_the_bucket() -> None:
    scripts = {"before": "C:\\ProgramData\\Quiesce\\scripts\\before_files-nightly.cmd", "after": "", "complete": "x"}
    store = Store()
    ssm = a_ssm(stage=an_answer("stage", staged=a_manifest(source="server", scripts=scripts)))
    plan = prepared(ssm, asking(source="server"), store)
    assert (store.looked, plan.notes) == (0, ["there is no after script on the server"])


def test_a_file_that_is_no_script_is_named_where_there_is_none() -> None:
    scripts = {"before": "", "after": "", "complete": "x"}
    manifest = a_manifest(source="server", scripts=scripts, ignored={"before": "before_files-nightly.py"})
    plan = prepared(a_ssm(stage=an_answer("stage", staged=manifest)), asking(source="server"))
    started = "the server starts only .ps1, .cmd, .bat, .vbs, .exe and .com; write a .cmd that starts it"
    assert plan.notes == [
        f"there is no before script on the server: before_files-nightly.py is none, because {started}",
        "there is no after script on the server",
    ]


def test_what_the_server_cannot_tell_of_a_script_is_a_note() -> None:
    unsure = {"before": "", "after": "its parameters run code", "complete": ""}
    plan = prepared(a_ssm(stage=an_answer("stage", staged=a_manifest(unsure=unsure))))
    assert plan.freezes
    assert plan.notes == ["it could not be told whether the after script begins at all: its parameters run code"]


OLD = {"run": "old", "attempt": 2, "phase": "frozen", "createdMs": 1_790_000_000_000}
OLD_NOTES = [
    "the session of run old, attempt 2 was still open on the server, beyond its limit (phase frozen): it began at "
    "2026-09-21 14:13:20 UTC by its clock, and its application may have been held since",
    "the server has ended the session of run old, attempt 2, which was open beyond its limit",
]


def test_an_old_session_that_the_server_has_ended_is_told() -> None:
    inventory = an_answer("inventory", inventory={**INVENTORY, "overdue": [OLD]})
    plan = prepared(a_ssm(inventory=inventory, stage=an_answer("stage", staged=a_manifest(overdue=[OLD]))))
    assert (plan.freezes, plan.overdue, plan.notes) == (True, ["run old, attempt 2"], OLD_NOTES)


def test_an_old_session_is_told_although_the_inventory_said_nothing_of_it() -> None:
    plan = prepared(a_ssm(stage=an_answer("stage", staged=a_manifest(overdue=[OLD]))))
    assert (plan.overdue, plan.notes) == (["run old, attempt 2"], OLD_NOTES[1:])


@pytest.mark.parametrize(("phase", "held"), [("before", True), ("after", True), ("created", False), ("thawed", False)])
def test_only_an_old_session_without_its_thaw_may_have_held_the_application(phase: str, held: bool) -> None:
    inventory = an_answer("inventory", inventory={**INVENTORY, "overdue": [{**OLD, "phase": phase}]})
    [note] = prepared(a_ssm(inventory=inventory)).notes
    assert note.endswith("may have been held since") == held


def test_what_the_inventory_said_is_kept_where_stage_refuses() -> None:
    inventory = an_answer("inventory", inventory={**INVENTORY, "overdue": [OLD]})
    refusal = an_answer("stage", ok=False, error="SessionOpen: old attempt 2 is frozen", staged=None)
    plan = prepared(a_ssm(inventory=inventory, stage=refusal))
    assert (plan.freezes, plan.overdue, plan.notes) == (False, ["run old, attempt 2"], OLD_NOTES[:1])
    assert plan.windows == "Windows Server 2022 10.0.20348"


CLONE = "ForeignServer: this is i-0fedcba9876543210, not i-0123456789abcdef0"
OBSTACLES = {
    "no agent": ({"agent": None}, "Systems Manager does not know the server"),
    "never heard of": ({"agent": Refusal("InvalidInstanceId")}, "Systems Manager does not know the server"),
    "offline": ({"agent": {**ONLINE, "PingStatus": "ConnectionLost"}}, "has lost its connection"),
    "too old": ({"agent": {**ONLINE, "AgentVersion": "2.3.1319.0"}}, "2.3.1319.0 is older than 3.0.502"),
    "gone meanwhile": ({"inventory": Refusal("InvalidInstanceId")}, "SSM refuses a command for"),
    "a document that is gone": ({"document": Refusal("InvalidDocument")}, "SSM does not have the-document"),
    "a version that could not be made": (
        {"document": {"Document": {"DocumentVersion": "4", "Status": "Failed"}}},
        "version 4 of the-document is Failed in SSM. Deploy the stack again",
    ),
    "no such document": ({"inventory": Refusal("InvalidDocument")}, "SSM refuses inventory with the-document"),
    "a clone": ({"inventory": an_answer("inventory", ok=False, error=CLONE)}, f"the server refused: {CLONE}"),
    "constrained": (
        {"inventory": {"quiesce": 1, "ok": False, "error": "LanguageMode: PowerShell is constrained"}},
        "the server refused: LanguageMode: PowerShell is constrained",
    ),
    "an inventory of another kind": (
        {"inventory": an_answer("inventory", inventory={"windows": 11})},
        "is not what the guest writes",
    ),
    "no way to the bucket": (
        {"stage": an_answer("stage", ok=False, error="PackageNotFetched: timed out", staged=None)},
        "the server refused: PackageNotFetched: timed out",
    ),
    "a yes without a manifest": (
        {"stage": an_answer("stage", staged=None)},
        "the server's successful answer has no manifest",
    ),
    "another run's manifest": ({"stage": an_answer("stage", staged=a_manifest(run="run-2"))}, "staged for run 'run-2'"),
}


@pytest.mark.parametrize(("behaviour", "words"), OBSTACLES.values(), ids=OBSTACLES)
def test_what_keeps_the_server_from_being_asked_makes_a_crash_consistent_plan_with_the_reason(
    behaviour: dict[str, Any], words: str
) -> None:
    plan = prepared(a_ssm(**behaviour))
    assert (plan.freezes, plan.consistency.level) == (False, "crash")
    assert plan.consistency.reason.startswith("the application could not be frozen: ")
    assert words in plan.consistency.reason


@pytest.mark.parametrize(("behaviour", "words"), OBSTACLES.values(), ids=OBSTACLES)
def test_and_a_refusal_where_the_policy_takes_nothing_less(behaviour: dict[str, Any], words: str) -> None:
    with pytest.raises(ServerRefused) as refused:
        prepared(a_ssm(**behaviour), asking("application"))
    assert words in str(refused.value)


def test_a_stopped_server_is_asked_nothing() -> None:
    ssm = ScriptedSsm()
    plan = prepared(ssm, asking(instance_state="stopped"))
    assert (plan.freezes, ssm.sent) == (False, [])
    assert plan.consistency.reason == "the application could not be frozen: the server was stopped"


def test_a_server_that_ssm_thinks_is_windows_and_ec2_does_not_is_sent_nothing() -> None:
    ssm = a_ssm()
    assert not prepared(ssm, asking(platform="Linux/UNIX")).freezes
    assert sent(ssm) == []


def test_a_server_that_cannot_say_what_it_is_is_asked_all_the_same() -> None:
    silent = an_answer("inventory", ok=False, error="InventoryUnreadable: CIM answers nothing")
    plan = prepared(a_ssm(inventory=silent))
    assert plan.freezes
    assert plan.notes == ["the server can't report its inventory: InventoryUnreadable: CIM answers nothing"]


def test_an_error_of_a_longer_name_is_another_one() -> None:
    other = an_answer("inventory", ok=False, error="InventoryUnreadableByUs: ask later")
    plan = prepared(a_ssm(inventory=other))
    assert not plan.freezes
    assert plan.consistency.reason.endswith("the server refused: InventoryUnreadableByUs: ask later")


@pytest.mark.parametrize("verb", ["document", "inventory", "stage"])
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Refusal("ThrottlingException"), AwsThrottled),
        (Refusal("InternalServerError", 500), AwsUnavailable),
        (Refusal("AccessDeniedException"), AccessDenied),
    ],
)
def test_what_is_no_fault_of_the_servers_is_no_reason_for_less(
    verb: str, answer: Refusal, error: type[Exception]
) -> None:
    with pytest.raises(error):
        prepared(a_ssm(**{verb: answer}))


def test_a_doubtful_script_is_the_policys_fault_and_no_reason_for_less() -> None:
    class Doubtful(Store):
        def list_scripts(self, _folders: Sequence[str]) -> list[str]:
            raise PolicyRefused("scripts", "two objects are both the before script", "leave one of them")

    with pytest.raises(PolicyRefused):
        prepared(a_ssm(), store=Doubtful())
