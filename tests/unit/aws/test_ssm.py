"""One verb to one server: the command that is sent, how long Guest waits, and how it reads what SSM answers."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError

from quiesce.aws.ssm import FIRST_ATTEMPT, SHORTEST_DELIVERY_S, UNANSWERED_LOOK_S, Guest
from quiesce.clock import Clock
from quiesce.errors import (
    AccessDenied,
    AgentUnreachable,
    AnswerUnreadable,
    AwsThrottled,
    AwsUnavailable,
    CommandRefused,
)
from quiesce.guest.agent import Agent
from quiesce.guest.answers import Answer
from quiesce.guest.documents import VERBS, Documents
from quiesce.guest.patience import Patience
from sandbox.aws.run_command import VISIBLE_AFTER_S, RunCommand
from sandbox.windows.agent import Agent as SimulatedAgent
from sandbox.windows.agent import Ended, Process
from tests.support.factories.run import INSTANCE, a_line, an_answer
from tests.support.scripted_ssm import COMMAND_ID, THE_DOCUMENT, Refusal, ScriptedSsm
from tests.support.ssm import client_of, guest_document

SESSION = {"RunId": "run-1", "Attempt": "1", "WaitSeconds": "90"}
PATIENCE = Patience(60, 0.3)
NOT_YET = Refusal("InvocationDoesNotExist")
NO_ANSWER = ReadTimeoutError(endpoint_url="https://ssm")


@pytest.fixture
def ssm() -> Iterator[ScriptedSsm]:
    ssm = ScriptedSsm()
    yield ssm
    assert ssm.unused() == [], "the test prepared an answer that no call used"


def an_invocation(status: str = "Success", details: str = "", **changes: Any) -> dict[str, Any]:
    """What GetCommandInvocation answers; if the command has ended, with the guest's line."""
    done = status in ("Success", "Failed")
    fields = {
        "CommandId": COMMAND_ID,
        "InstanceId": INSTANCE,
        "Status": status,
        "StatusDetails": details or status,
        "ResponseCode": {"Success": 0, "Failed": 1}.get(status, -1),
        "StandardOutputContent": a_line(an_answer(ok=status == "Success")) if done else "",
        "StandardErrorContent": "",
    }
    return {**fields, **changes}


def ask(ssm: ScriptedSsm, verb: str = "freeze", patience: Patience = PATIENCE, **more: str) -> Answer:
    return ssm.guest().ask(verb, SESSION | more, patience)


def looks(ssm: ScriptedSsm) -> int:
    return [operation for operation, _ in ssm.sent].count("GetCommandInvocation")


# ---- Sending ---------------------------------------------------------------------------------------------------------


def test_a_verb_is_sent_once_with_its_parameters_as_lists_of_text(ssm: ScriptedSsm) -> None:
    ssm.takes_the_command()
    ssm.says("GetCommandInvocation", an_invocation())
    assert ask(ssm).ok
    assert ssm.sent == [
        (
            "SendCommand",
            {
                "DocumentName": "the-document",
                "DocumentVersion": "3",
                "InstanceIds": [INSTANCE],
                "TimeoutSeconds": 60,
                "Comment": "quiesce freeze run-1",
                "Parameters": {"Verb": ["freeze"], "RunId": ["run-1"], "Attempt": ["1"], "WaitSeconds": ["90"]},
            },
        ),
        ("GetCommandInvocation", {"CommandId": COMMAND_ID, "InstanceId": INSTANCE}),
    ]


def test_a_verb_of_no_attempt_is_answered_by_the_documents_default(ssm: ScriptedSsm) -> None:
    assert guest_document("act", "bucket", "eu-central-1")["parameters"]["Attempt"]["default"] == FIRST_ATTEMPT
    ssm.takes_the_command()
    ssm.says("GetCommandInvocation", an_invocation(StandardOutputContent=a_line(an_answer("stage"))))
    assert ssm.guest().ask("stage", {"RunId": "run-1"}, PATIENCE).staged


def test_a_later_attempt_is_answered_by_its_own_number(ssm: ScriptedSsm) -> None:
    ssm.takes_the_command()
    ssm.says("GetCommandInvocation", an_invocation(StandardOutputContent=a_line(an_answer(attempt="2", session=None))))
    assert ask(ssm, Attempt="2").attempt == "2"


@pytest.mark.parametrize(("limit_s", "delivery_s"), [(5, SHORTEST_DELIVERY_S), (30, 30), (31, 31), (840, 840)])
def test_the_command_may_begin_for_as_long_as_its_answer_is_waited_for(
    ssm: ScriptedSsm, limit_s: int, delivery_s: int
) -> None:
    ssm.takes_the_command()
    ssm.says("GetCommandInvocation", an_invocation())
    ask(ssm, patience=Patience(limit_s, 1))
    assert ssm.sent[0][1]["TimeoutSeconds"] == delivery_s


def test_the_longest_run_id_makes_a_comment_that_ssm_takes(ssm: ScriptedSsm) -> None:
    ssm.takes_the_command()
    ssm.says(
        "GetCommandInvocation", an_invocation(StandardOutputContent=a_line(an_answer(run="r" * 100, session=None)))
    )
    assert ask(ssm, RunId="r" * 100).ok
    assert len(ssm.sent[0][1]["Comment"]) == 100


def test_a_verb_whose_documents_version_was_not_planned_is_not_sent(ssm: ScriptedSsm) -> None:
    guest = replace(ssm.guest(), documents=THE_DOCUMENT.at({"another": "1"}))
    with pytest.raises(CommandRefused, match=r"freeze was not sent: the plan names no version of the-document"):
        guest.ask("freeze", SESSION, PATIENCE)
    assert ssm.sent == []


def test_of_several_documents_each_verb_goes_by_its_own_in_its_own_version(ssm: ScriptedSsm) -> None:
    by_verb = dict.fromkeys(VERBS, "acts") | {"inventory": "looks", "collect": "looks"}
    ssm.says("DescribeDocument", a_version("7"), a_version("12"))
    ssm.says("SendCommand", Refusal("InvalidParameters"), Refusal("InvalidParameters"))
    guest = replace(ssm.guest(), documents=Documents(by_verb)).with_latest_documents()
    for verb in ("freeze", "inventory"):
        with pytest.raises(CommandRefused):
            guest.ask(verb, SESSION, PATIENCE)
    described = [given for operation, given in ssm.sent if operation == "DescribeDocument"]
    assert described == [{"Name": name, "DocumentVersion": "$LATEST"} for name in ("looks", "acts")]
    sent = [(given["DocumentName"], given["DocumentVersion"]) for op, given in ssm.sent if op == "SendCommand"]
    assert sent == [("acts", "12"), ("looks", "7")]


# ---- Which version ---------------------------------------------------------------------------------------------------


def a_version(version: str, status: str = "Active") -> dict[str, Any]:
    """What DescribeDocument answers of ``$LATEST``; its default is an older one."""
    return {"Document": {"DocumentVersion": version, "LatestVersion": version, "DefaultVersion": "1", "Status": status}}


def test_the_latest_version_is_taken_by_its_number_and_sent_from_then_on(ssm: ScriptedSsm) -> None:
    ssm.says("DescribeDocument", a_version("4"))
    ssm.takes_the_command()
    ssm.says("GetCommandInvocation", an_invocation())
    guest = ssm.guest().with_latest_documents()
    assert guest.documents.versions == {"the-document": "4"}
    assert guest.ask("freeze", SESSION, PATIENCE).ok
    assert ssm.sent[1][1]["DocumentVersion"] == "4"


VERSION_ERRORS = {
    "a document that is not there": (Refusal("InvalidDocument"), CommandRefused),
    "one without any version": (Refusal("InvalidDocumentVersion"), CommandRefused),
    "a version that SSM could not make": (a_version("2", "Failed"), CommandRefused),
    "a document that is being deleted": (a_version("2", "Deleting"), CommandRefused),
    "a version that SSM is making": (a_version("2", "Updating"), AwsUnavailable),
    "a document that SSM is making": (a_version("1", "Creating"), AwsUnavailable),
    "no number": (a_version("$LATEST"), AwsUnavailable),
    "no status": ({"Document": {"DocumentVersion": "2"}}, AwsUnavailable),
    "too many calls": (Refusal("ThrottlingException"), AwsThrottled),
    "no right": (Refusal("AccessDeniedException"), AccessDenied),
    "an answer that is lost": (NO_ANSWER, AwsUnavailable),
    "what nobody has seen": (Refusal("InvalidRole"), ClientError),
}


@pytest.mark.parametrize(("answer", "error"), VERSION_ERRORS.values(), ids=VERSION_ERRORS)
def test_a_version_that_is_not_known_or_not_ready_is_an_error_and_never_another_version(
    ssm: ScriptedSsm, answer: Any, error: type[Exception]
) -> None:
    ssm.says("DescribeDocument", answer)
    with pytest.raises(error):
        ssm.guest().with_latest_documents()
    assert len(ssm.sent) == 1


SEND_ERRORS = {
    "a server that SSM does not know": (Refusal("InvalidInstanceId"), AgentUnreachable),
    "a server of another platform": (Refusal("UnsupportedPlatformType"), AgentUnreachable),
    "a document that is not there": (Refusal("InvalidDocument"), CommandRefused),
    "a version that is not there any more": (Refusal("InvalidDocumentVersion"), CommandRefused),
    "parameters that it does not know": (Refusal("InvalidParameters"), CommandRefused),
    "more than 64 KB": (Refusal("MaxDocumentSizeExceeded"), CommandRefused),
    "too many calls": (Refusal("ThrottlingException"), AwsThrottled),
    "a fault of SSM's": (Refusal("InternalServerError", 500), AwsUnavailable),
    "no right": (Refusal("AccessDeniedException"), AccessDenied),
    "an answer that is lost": (NO_ANSWER, AwsUnavailable),
    "a way that is barred": (ConnectTimeoutError(endpoint_url="https://ssm"), AwsUnavailable),
    "what nobody has seen": (Refusal("InvalidRole"), ClientError),
}


@pytest.mark.parametrize(("answer", "error"), SEND_ERRORS.values(), ids=SEND_ERRORS)
def test_a_command_that_may_not_have_been_taken_is_an_error_at_once_and_is_not_sent_again(
    ssm: ScriptedSsm, answer: Any, error: type[Exception]
) -> None:
    ssm.says("SendCommand", answer)
    with pytest.raises(error):
        ask(ssm)
    assert (len(ssm.sent), ssm.pauses_s) == (1, [])


# ---- Looking ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("details", ["Pending", "InProgress", "In Progress", "Delayed", "Cancelling"])
def test_a_command_under_way_is_looked_at_again(ssm: ScriptedSsm, details: str) -> None:
    ssm.takes_the_command()
    ssm.says("GetCommandInvocation", NOT_YET, an_invocation("InProgress", details), an_invocation())
    assert ask(ssm).ok
    assert ssm.pauses_s == [0.3, 0.3]


LOST = [
    ("TimedOut", "Delivery Timed Out"),
    ("TimedOut", "DeliveryTimedOut"),
    ("TimedOut", "Execution Timed Out"),
    ("TimedOut", "ExecutionTimedOut"),
    ("TimedOut", "Timed Out"),
    ("Cancelled", "Cancelled"),
    ("Failed", "Undeliverable"),
    ("Cancelled", "Terminated"),
    ("Failed", "InvalidPlatform"),
    ("Failed", "Invalid Platform"),
    ("Failed", "AccessDenied"),
    ("Failed", "Access Denied"),
    ("Failed", "Rate Exceeded"),
    ("Failed", "Incomplete"),
    ("Failed", "No Instances In Tag"),
]


@pytest.mark.parametrize(("status", "details"), LOST)
def test_a_command_that_ended_without_an_answer_may_still_have_done_its_work(
    ssm: ScriptedSsm, status: str, details: str
) -> None:
    ssm.takes_the_command()
    ssm.says("GetCommandInvocation", an_invocation(status, details))
    with pytest.raises(
        AgentUnreachable, match=f"freeze on {INSTANCE} .*{COMMAND_ID}.* ended as {details.replace(' ', '')}"
    ):
        ask(ssm)


def test_a_status_without_details_is_enough(ssm: ScriptedSsm) -> None:
    ssm.takes_the_command()
    pending, success = an_invocation("InProgress"), an_invocation()
    del pending["StatusDetails"], success["StatusDetails"]
    ssm.says("GetCommandInvocation", pending, success)
    assert ask(ssm).ok


@pytest.mark.parametrize("details", ["Melted", "success", "Skipped"])
def test_a_status_that_nobody_knows_is_not_guessed_at(ssm: ScriptedSsm, details: str) -> None:
    ssm.takes_the_command()
    ssm.says("GetCommandInvocation", an_invocation(details=details))
    with pytest.raises(AnswerUnreadable, match=f"an unknown status: {details}"):
        ask(ssm)


def test_a_no_of_the_servers_is_an_answer(ssm: ScriptedSsm) -> None:
    ssm.takes_the_command()
    ssm.says("GetCommandInvocation", an_invocation("Failed"))
    assert not ask(ssm).ok


CONTRADICTIONS = {
    "a yes with exit code 1": an_invocation("Failed", StandardOutputContent=a_line(an_answer())),
    "a yes with exit code 3010": an_invocation(ResponseCode=3010),
    "a yes that failed with exit code 0": an_invocation(
        "Failed", ResponseCode=0, StandardOutputContent=a_line(an_answer())
    ),
    "a no with exit code 0": an_invocation(StandardOutputContent=a_line(an_answer(ok=False))),
}


@pytest.mark.parametrize("invocation", CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_a_line_that_contradicts_the_exit_code_is_not_believed(ssm: ScriptedSsm, invocation: dict[str, Any]) -> None:
    ssm.takes_the_command()
    ssm.says("GetCommandInvocation", invocation)
    with pytest.raises(AnswerUnreadable, match=r"answered ok = (True|False), but ended as (Success|Failed) with exit "):
        ask(ssm)


WITHOUT_OUR_LINE = {
    "success without a word, as for a step that was skipped": an_invocation(StandardOutputContent=""),
    "another run's answer": an_invocation(StandardOutputContent=a_line(an_answer(run="run-2"))),
    "another attempt's answer": an_invocation(StandardOutputContent=a_line(an_answer(attempt="2"))),
    "another verb's answer": an_invocation(StandardOutputContent=a_line(an_answer("thaw"))),
    "another server's session": an_invocation(
        StandardOutputContent=a_line(an_answer(session={**an_answer()["session"], "instance": "i-0fedcba9876543210"}))
    ),
}


@pytest.mark.parametrize("invocation", WITHOUT_OUR_LINE.values(), ids=WITHOUT_OUR_LINE)
def test_success_is_nothing_without_our_line_to_our_question(ssm: ScriptedSsm, invocation: dict[str, Any]) -> None:
    ssm.takes_the_command()
    ssm.says("GetCommandInvocation", invocation)
    with pytest.raises(AnswerUnreadable):
        ask(ssm)


NO_LINE = {
    "the agent's worker died": an_invocation(
        "Failed", StandardOutputContent="", StandardErrorContent="document process failed unexpectedly"
    ),
    "a scanner kept it from starting": an_invocation(
        "Failed", StandardOutputContent="not ours", StandardErrorContent="blocked by your administrator"
    ),
}


@pytest.mark.parametrize("invocation", NO_LINE.values(), ids=NO_LINE)
def test_a_command_that_failed_without_our_line_is_no_answer_and_is_sent_again(
    ssm: ScriptedSsm, invocation: dict[str, Any]
) -> None:
    ssm.takes_the_command()
    ssm.takes_the_command()
    ssm.says("GetCommandInvocation", invocation, an_invocation())
    assert ask(ssm).ok
    assert [operation for operation, _ in ssm.sent].count("SendCommand") == 2


@pytest.mark.parametrize("patience", [Patience(60.0, 0.5, again_s=10.0), Patience(10.0, 0.5)], ids=repr)
def test_a_command_that_always_fails_without_our_line_is_sent_again_for_as_long_as_it_is_worth(
    ssm: ScriptedSsm, patience: Patience
) -> None:
    ssm.always_says("SendCommand", {"Command": {"CommandId": COMMAND_ID}})
    ssm.always_says("GetCommandInvocation", NO_LINE["the agent's worker died"])
    with pytest.raises(AgentUnreachable, match=r"ended as Failed without an answer.*failed unexpectedly"):
        ask(ssm, patience=patience)
    assert 1000.0 + 8.0 <= ssm.now_s <= 1000.0 + 10.0


def test_a_wrong_line_of_ours_is_an_error_and_is_not_sent_again(ssm: ScriptedSsm) -> None:
    ssm.takes_the_command()
    ssm.says("GetCommandInvocation", an_invocation("Failed", StandardOutputContent=a_line(an_answer("thaw"))))
    with pytest.raises(AnswerUnreadable):
        ask(ssm)


@pytest.mark.parametrize(
    "answer", [NO_ANSWER, Refusal("ThrottlingException"), Refusal("InternalServerError", 500)], ids=repr
)
def test_a_look_that_ssm_did_not_answer_is_repeated_more_slowly_and_nothing_is_sent_again(
    ssm: ScriptedSsm, answer: Any
) -> None:
    ssm.takes_the_command()
    ssm.says("GetCommandInvocation", answer, an_invocation("InProgress"), an_invocation())
    assert ask(ssm).ok
    assert ssm.pauses_s == [UNANSWERED_LOOK_S, 0.3]
    assert [operation for operation, _ in ssm.sent].count("SendCommand") == 1


def test_a_look_is_never_hastened_by_an_error(ssm: ScriptedSsm) -> None:
    ssm.takes_the_command()
    ssm.says("GetCommandInvocation", NO_ANSWER, an_invocation())
    ask(ssm, patience=Patience(60, 2.0))
    assert ssm.pauses_s == [2.0]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Refusal("AccessDeniedException"), AccessDenied),
        (Refusal("InvalidInstanceId"), AgentUnreachable),
        (Refusal("InvalidCommandId"), ClientError),
    ],
)
def test_a_look_that_will_never_see_anything_ends_the_waiting(
    ssm: ScriptedSsm, answer: Refusal, error: type[Exception]
) -> None:
    ssm.takes_the_command()
    ssm.says("GetCommandInvocation", answer)
    with pytest.raises(error):
        ask(ssm)


# ---- Patience --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer", [NOT_YET, an_invocation("Pending"), NO_ANSWER, Refusal("ThrottlingException")], ids=lambda a: str(a)[:40]
)
@pytest.mark.parametrize("patience", [Patience(60, 0.3), Patience(60, 2.0), Patience(1, 7)])
def test_patience_ends_at_its_limit_and_not_a_pause_later(ssm: ScriptedSsm, answer: Any, patience: Patience) -> None:
    ssm.takes_the_command()
    ssm.always_says("GetCommandInvocation", answer)
    with pytest.raises(AgentUnreachable, match=f"no answer to freeze on {INSTANCE} .* within {patience.limit_s} s"):
        ask(ssm, patience=patience)
    assert sum(ssm.pauses_s) == pytest.approx(patience.limit_s)
    assert looks(ssm) == len(ssm.pauses_s) + 1


def test_an_answer_at_the_last_moment_is_one(ssm: ScriptedSsm) -> None:
    ssm.takes_the_command()
    ssm.says("GetCommandInvocation", *[an_invocation("Pending")] * 2, an_invocation())
    assert ask(ssm, patience=Patience(4, 2)).ok
    assert ssm.now_s == 1004


def test_patience_counts_the_time_that_the_calls_take(ssm: ScriptedSsm) -> None:
    ssm.call_s = 5
    ssm.takes_the_command()
    ssm.always_says("GetCommandInvocation", NO_ANSWER)
    with pytest.raises(AgentUnreachable):
        ask(ssm, patience=Patience(20, 1))
    assert ssm.now_s <= 1000 + 20 + 5


def test_the_error_of_the_last_look_is_behind_the_end_of_patience(ssm: ScriptedSsm) -> None:
    ssm.takes_the_command()
    ssm.always_says("GetCommandInvocation", Refusal("ThrottlingException"))
    with pytest.raises(AgentUnreachable) as unreachable:
        ask(ssm, patience=Patience(3, 1))
    assert isinstance(unreachable.value.__cause__, AwsThrottled)


# ---- What SSM knows about the agent ----------------------------------------------------------------------------------

ONLINE = {
    "InstanceId": INSTANCE,
    "PingStatus": "Online",
    "AgentVersion": "3.3.3572.0",
    "PlatformType": "Windows",
    "PlatformName": "Microsoft Windows Server 2022 Datacenter",
    "PlatformVersion": "10.0.20348",
}


def described(ssm: ScriptedSsm, *found: dict[str, Any]) -> Agent | None:
    ssm.says("DescribeInstanceInformation", {"InstanceInformationList": list(found)})
    return ssm.guest().describe_agent()


def test_an_agent_is_asked_for_by_its_server(ssm: ScriptedSsm) -> None:
    assert described(ssm, ONLINE) == Agent(
        online=True,
        version="3.3.3572.0",
        platform="Windows",
        windows="Microsoft Windows Server 2022 Datacenter 10.0.20348",
    )
    assert ssm.sent[0][1] == {"Filters": [{"Key": "InstanceIds", "Values": [INSTANCE]}]}


@pytest.mark.parametrize("ping", ["ConnectionLost", "Inactive"])
def test_an_agent_that_is_not_online_is_lost(ssm: ScriptedSsm, ping: str) -> None:
    agent = described(ssm, {**ONLINE, "PingStatus": ping})
    assert agent
    assert not agent.online


def test_an_agent_of_which_nothing_is_known_is_nothing_that_can_be_asked(ssm: ScriptedSsm) -> None:
    assert described(ssm, {"InstanceId": INSTANCE}) == Agent(online=False, version="", platform="", windows="")


@pytest.mark.parametrize("field", ["Status", "ResponseCode"])
def test_an_end_that_does_not_say_how_is_looked_for_again(ssm: ScriptedSsm, field: str) -> None:
    whole = an_invocation()
    ssm.takes_the_command()
    ssm.says("GetCommandInvocation", {name: value for name, value in whole.items() if name != field}, whole)
    assert ask(ssm).ok
    assert looks(ssm) == 2


def test_a_server_that_ssm_does_not_list_has_no_agent(ssm: ScriptedSsm) -> None:
    assert described(ssm) is None


@pytest.mark.parametrize("code", ["InvalidInstanceId", "InvalidInstanceInformationFilterValue"])
def test_a_server_that_ssm_has_never_heard_of_has_no_agent(ssm: ScriptedSsm, code: str) -> None:
    ssm.says("DescribeInstanceInformation", Refusal(code))
    assert ssm.guest().describe_agent() is None


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Refusal("ThrottlingException"), AwsThrottled),
        (Refusal("InternalServerError", 500), AwsUnavailable),
        (Refusal("AccessDeniedException"), AccessDenied),
        (Refusal("InvalidFilterKey"), ClientError),
        (NO_ANSWER, AwsUnavailable),
    ],
)
def test_not_to_be_told_is_no_proof_that_there_is_no_agent(
    ssm: ScriptedSsm, answer: Any, error: type[Exception]
) -> None:
    ssm.says("DescribeInstanceInformation", answer)
    with pytest.raises(error):
        ssm.guest().describe_agent()


# ---- With the agent's documented behaviour (in the sandbox) ----------------------------------------------------------


@dataclass
class Running(Process):
    """A script that prints its output at ``ends_s`` and ends."""

    stdout: str
    ends_s: float

    def poll(self, now_s: float) -> Ended | None:
        return Ended(0, self.stdout) if now_s >= self.ends_s else None


FIRST_VERSION = THE_DOCUMENT.at({"the-document": "1"})


@dataclass
class Simulated:
    """A server behind the sandbox's SSM: an agent, and a script that prints ``stdout`` after ``takes_s``."""

    stdout: str = a_line(an_answer())
    takes_s: float = 4.0
    now_s: float = 1_800_000_000.0
    started: int = 0
    meanwhile: dict[float, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.began_s = self.now_s
        self.agent = SimulatedAgent(self._start, delay_s=1.0)
        self.service = RunCommand({INSTANCE: self}, lambda _: "running", lambda: self.now_s)
        self.service.put_document("the-document", guest_document("act", "bucket", "eu-central-1"))

    def advance(self, now_s: float) -> None:
        self.agent.advance(now_s)

    def guest(self) -> Guest:
        return Guest(
            client_of(self.service), FIRST_VERSION, INSTANCE, Clock(monotonic=lambda: self.now_s, sleep=self._sleep)
        )

    def _start(self, _script: str, now_s: float) -> Running:
        self.started += 1
        return Running(self.stdout, now_s + self.takes_s)

    def _sleep(self, seconds: float) -> None:
        self.now_s += seconds
        for due_s in [due_s for due_s in self.meanwhile if self.began_s + due_s <= self.now_s]:
            self.meanwhile.pop(due_s)(self)


def asked(server: Simulated, patience: Patience = PATIENCE) -> Answer:
    return server.guest().ask("freeze", SESSION, patience)


def test_an_agent_that_takes_its_time_is_waited_for() -> None:
    server = Simulated()
    assert asked(server).ok
    assert server.now_s - server.began_s == pytest.approx(5.0, abs=2 * VISIBLE_AFTER_S + 2 * 0.3)


def test_a_server_without_a_network_never_begins_what_nobody_waits_for_any_more() -> None:
    server = Simulated(meanwhile={0.3: lambda server: setattr(server.agent, "connected", False)})
    with pytest.raises(AgentUnreachable):
        asked(server)
    server.agent.connected = True
    server.now_s += 1000
    server.agent.advance(server.now_s)
    assert server.started == 0


def test_an_agent_that_is_restarted_runs_the_verb_again_and_answers() -> None:
    server = Simulated(meanwhile={3: lambda server: server.agent.restart(server.now_s)})
    assert asked(server).ok
    assert server.started == 2


def test_an_answer_behind_24000_characters_is_cut_off_and_not_made_up() -> None:
    with pytest.raises(AnswerUnreadable, match="has 0 result lines"):
        asked(Simulated(stdout="x" * 24_000 + "\n" + a_line(an_answer())))
    with pytest.raises(AnswerUnreadable, match="the agent has cut the server's answer at 24000 characters"):
        asked(Simulated(stdout=a_line(an_answer()) + "x" * 24_000))


CUT = a_line(an_answer())[:200] + "--output truncated--"


def test_an_answer_that_is_too_long_is_asked_for_again_with_less_of_the_log(ssm: ScriptedSsm) -> None:
    """The verb has done its work: a server answers the same verb at once."""
    for output in (CUT, CUT, a_line(an_answer())):
        ssm.takes_the_command()
        ssm.says("GetCommandInvocation", an_invocation(StandardOutputContent=output))
    assert ask(ssm, LogBytes="400000").ok
    asked_for = [call["Parameters"]["LogBytes"] for operation, call in ssm.sent if operation == "SendCommand"]
    assert asked_for == [["400000"], ["40000"], ["0"]]


def test_an_answer_that_is_too_long_without_a_log_is_unreadable(ssm: ScriptedSsm) -> None:
    for more in ({"LogBytes": "0"}, {}):
        ssm.takes_the_command()
        ssm.says("GetCommandInvocation", an_invocation(StandardOutputContent=CUT))
        with pytest.raises(AnswerUnreadable, match="the agent has cut the server's answer"):
            ask(ssm, **more)


def test_a_command_that_somebody_cancels_is_lost() -> None:
    cancel = {2: lambda server: server.agent.cancel(server.agent.commands[0], server.now_s)}
    with pytest.raises(AgentUnreachable, match="ended as Cancelled"):
        asked(Simulated(meanwhile=cancel))


def test_a_script_beyond_the_documents_own_limit_is_lost() -> None:
    with pytest.raises(AgentUnreachable, match="ended as ExecutionTimedOut"):
        asked(Simulated(takes_s=10_000), Patience(5_000, 60))


def test_a_document_of_another_version_of_the_stack_takes_no_command() -> None:
    with pytest.raises(CommandRefused, match="InvalidParameters"):
        Simulated().guest().ask("freeze", SESSION | {"Colour": "red"}, PATIENCE)
