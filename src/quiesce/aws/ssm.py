"""Systems Manager: sends a verb to a server and waits for its answer. Sending it twice is safe: it runs once."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from quiesce.aws.clients import code_of, repeatable
from quiesce.clock import Clock
from quiesce.errors import (
    AgentUnreachable,
    AnswerUnreadable,
    AwsThrottled,
    AwsUnavailable,
    CommandRefused,
    GuestRefused,
)
from quiesce.guest.agent import Agent
from quiesce.guest.answers import MAX_QUOTED, Answer, Question, has_line, is_cut, read_answer
from quiesce.guest.documents import VERSION, Documents
from quiesce.guest.patience import Patience

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_ssm.type_defs import InstanceInformationTypeDef

# SSM's statuses without their blanks: its guide and its API write some of them differently.
UNDER_WAY = frozenset({"Pending", "InProgress", "Delayed", "Cancelling"})
ANSWERED = frozenset({"Success", "Failed"})
LOST = frozenset(
    [
        "DeliveryTimedOut",
        "ExecutionTimedOut",
        "TimedOut",
        "Undeliverable",
        "Terminated",
        "Cancelled",
        "InvalidPlatform",
        "AccessDenied",
        "RateExceeded",
        "Incomplete",
        "NoInstancesInTag",
    ]
)
# SSM's error codes for a document that it does not have, or not in this version.
MISSING_DOCUMENT = frozenset({"InvalidDocument", "InvalidDocumentVersion"})
# The same, and those for a document and parameters that do not fit together, or not into 64 KB.
MISFITS = MISSING_DOCUMENT | {"InvalidParameters", "MaxDocumentSizeExceeded"}
# How SSM is asked for the number of the latest version; the number is what is sent.
LATEST = "$LATEST"
# A version's statuses before it can be sent.
BEING_MADE = frozenset({"Creating", "Updating"})
# SSM's error codes for a server that it does not know, or no longer knows.
UNREACHABLE = frozenset({"InvalidInstanceId", "UnsupportedPlatformType"})
# SSM refuses a shorter time.
SHORTEST_DELIVERY_S = 30
# The document's default, for verbs that belong to no attempt.
FIRST_ATTEMPT = "1"
# After a command that the agent ended without an answer: its worker died, or a scanner kept it from starting.
SEND_AGAIN_S = 2.0
# Less of a log than this says nothing.
SHORT_LOG_BYTES = 100_000
# After a look that SSM did not answer: it asks for slower calls, and publishes no number.
UNANSWERED_LOOK_S = 1.0


@dataclass(frozen=True)
class Guest:
    """A server, the documents that carry verbs to it, and the clock by which we wait for it."""

    client: "SSMClient"
    documents: Documents
    instance_id: str
    clock: Clock

    def describe_agent(self) -> Agent | None:
        """Return what SSM knows of the agent, None if it knows no such server."""
        filters: Any = [{"Key": "InstanceIds", "Values": [self.instance_id]}]
        try:
            with repeatable("ssm:DescribeInstanceInformation"):
                found = self.client.describe_instance_information(Filters=filters)["InstanceInformationList"]
                return next((_agent(info) for info in found if info["InstanceId"] == self.instance_id), None)
        except ClientError as error:
            if code_of(error) not in ("InvalidInstanceId", "InvalidInstanceInformationFilterValue"):
                raise
            return None

    def with_latest_documents(self) -> "Guest":
        """Return the server with each document in its latest version by now: the one that a run sends to its end.

        Raises:
            CommandRefused: SSM has no such document, or could not make its latest version; not retried.
            AwsThrottled: retried by the state machine.
            AwsUnavailable: no usable answer, or SSM is still making the version; retried by the state machine.
        """
        versions = {name: self._latest_version(name) for name in self.documents.names}
        return replace(self, documents=self.documents.at(versions))

    def _latest_version(self, name: str) -> str:
        try:
            with repeatable("ssm:DescribeDocument"):
                found = self.client.describe_document(Name=name, DocumentVersion=LATEST)["Document"]
                version, status = found["DocumentVersion"], found["Status"]
                if not VERSION.fullmatch(version):
                    raise ValueError(f"version {version!r} of {name}")
        except ClientError as error:
            if code_of(error) in MISSING_DOCUMENT:
                raise CommandRefused(f"SSM does not have {name}: {error}. Deploy the stack again") from error
            raise
        if status in BEING_MADE:
            raise AwsUnavailable(f"ssm:DescribeDocument: version {version} of {name} is {status}: the stack is updated")
        if status != "Active":
            raise CommandRefused(f"version {version} of {name} is {status} in SSM. Deploy the stack again")
        return version

    def ask(self, verb: str, parameters: Mapping[str, str], patience: Patience) -> Answer:
        """Send one verb and wait for its answer.

        Args:
            verb: of guest/look.yaml or guest/act.yaml.
            parameters: of the document; all values are text.
            patience: how long to wait for the answer, and until when to send the verb again if the agent ended its
                command without an answer; the server does not start a command after ``limit_s`` (30 s at least).

        Raises:
            AgentUnreachable: no answer in time; the command may still run. The state machine may ask again.
            AnswerUnreadable: the answer is not what quiesce's script writes; not retried.
            CommandRefused: the document does not take these parameters; not retried.
            AwsThrottled: SSM took no command; retried by the state machine.
            AwsUnavailable: it is not known whether SSM took the command; retried by the state machine.
                Both come from sending only: a look that SSM does not answer is repeated.
        """
        began = self.clock.monotonic()
        ended = self._ended(verb, parameters, patience)
        while is_cut(ended.get("StandardOutputContent", "")) and parameters.get("LogBytes", "0") != "0":
            # It has been done: the same verb again answers at once, with less of the log.
            parameters = {**parameters, "LogBytes": str(_fewer(int(parameters["LogBytes"])))}
            left_s = patience.limit_s - (self.clock.monotonic() - began)
            ended = self._ended(verb, parameters, replace(patience, limit_s=left_s))
        question = Question(verb, parameters["RunId"], parameters.get("Attempt", FIRST_ATTEMPT), self.instance_id)
        answer = read_answer(ended.get("StandardOutputContent", ""), ended.get("StandardErrorContent", ""), question)
        if answer.ok != (ended["Status"] == "Success" and ended["ResponseCode"] == 0):
            how = f"{ended['Status']} with exit code {ended['ResponseCode']}"
            raise AnswerUnreadable(f"{verb} on {self.instance_id} answered ok = {answer.ok}, but ended as {how}")
        return answer

    def _ended(self, verb: str, parameters: Mapping[str, str], patience: Patience) -> Any:
        """Return the invocation with an answer; one that the agent ended without any is not an answer."""
        began = self.clock.monotonic()
        while True:
            command_id = self._send(verb, {"Verb": verb, **parameters}, patience)
            what = f"{verb} on {self.instance_id} (command {command_id})"
            ended = self._await_end(command_id, what, patience, began + patience.limit_s)
            if ended["Status"] == "Success" or has_line(ended.get("StandardOutputContent", "")):
                return ended
            if self.clock.monotonic() + SEND_AGAIN_S > began + min(patience.again_s, patience.limit_s):
                said = (ended.get("StandardErrorContent", "") or ended.get("StandardOutputContent", ""))[:MAX_QUOTED]
                raise AgentUnreachable(f"{what} ended as Failed without an answer; the agent says {said!r}")
            self.clock.sleep(SEND_AGAIN_S)

    def run(self, verb: str, parameters: Mapping[str, str], patience: Patience) -> None:
        """Run once a document of one of AWS's own steps, which has no verb and gives no answer of ours, to its end.

        Raises:
            GuestRefused: the step has failed, as the agent says.
            The others as ``ask`` does.
        """
        command_id = self._send(verb, parameters, patience)
        what = f"{verb} on {self.instance_id} (command {command_id})"
        ended = self._await_end(command_id, what, patience, self.clock.monotonic() + patience.limit_s)
        if ended["Status"] != "Success":
            said = (ended.get("StandardErrorContent", "") or ended.get("StandardOutputContent", ""))[:MAX_QUOTED]
            raise GuestRefused(f"{what} ended as {ended['Status']}; the agent says {said!r}")

    def _send(self, verb: str, parameters: Mapping[str, str], patience: Patience) -> str:
        document, version = self.documents.carrying(verb)
        try:
            with repeatable("ssm:SendCommand"):
                answer = self.client.send_command(
                    DocumentName=document,
                    DocumentVersion=version,
                    InstanceIds=[self.instance_id],
                    TimeoutSeconds=max(SHORTEST_DELIVERY_S, int(patience.limit_s)),
                    Comment=f"quiesce {verb} {parameters.get('RunId', '')}".rstrip()[:100],
                    Parameters={name: [value] for name, value in parameters.items()},
                )
                return answer["Command"]["CommandId"]
        except ClientError as error:
            if code_of(error) in UNREACHABLE:
                raise AgentUnreachable(f"SSM refuses a command for {self.instance_id}: {error}") from error
            if code_of(error) in MISFITS:
                raise CommandRefused(f"SSM refuses {verb} with {document}, version {version}: {error}") from error
            raise

    def _await_end(self, command_id: str, what: str, patience: Patience, until: float) -> Any:
        """Return the invocation once the server has answered; the last look is at ``until``, by ``monotonic``."""
        while True:
            unanswered: Exception | None = None
            try:
                if found := self._look(command_id, what):
                    return found
            except (AwsThrottled, AwsUnavailable) as error:  # the command goes on; the next look may see it
                unanswered = error
            left_s = until - self.clock.monotonic()
            if left_s <= 0:
                raise AgentUnreachable(f"no answer to {what} within {patience.limit_s:.0f} s") from unanswered
            pause_s = max(patience.look_every_s, UNANSWERED_LOOK_S) if unanswered else patience.look_every_s
            self.clock.sleep(min(pause_s, left_s))

    def _look(self, command_id: str, what: str) -> Any:
        """Return the invocation if the server has answered, None while it may still do so."""
        try:
            with repeatable("ssm:GetCommandInvocation"):
                found = self.client.get_command_invocation(CommandId=command_id, InstanceId=self.instance_id)
                status = (found.get("StatusDetails") or found["Status"]).replace(" ", "")
                if status in ANSWERED:
                    _ = found["Status"], found["ResponseCode"]  # ``ask`` reads them
        except ClientError as error:
            if code_of(error) == "InvocationDoesNotExist":  # SSM answers so for a moment after SendCommand
                return None
            if code_of(error) in UNREACHABLE:
                raise AgentUnreachable(f"{what}: SSM no longer knows the server: {error}") from error
            raise
        if status in UNDER_WAY:
            return None
        if status in LOST:
            raise AgentUnreachable(f"{what} ended as {status}")
        if status not in ANSWERED:
            raise AnswerUnreadable(f"{what} has an unknown status: {status}")
        return found


def _fewer(log_bytes: int) -> int:
    """Return how much of DiskShadow's log to ask for where an answer was too long: a tenth, then none."""
    return log_bytes // 10 if log_bytes > SHORT_LOG_BYTES else 0


def _agent(info: "InstanceInformationTypeDef") -> Agent:
    return Agent(
        online=info.get("PingStatus") == "Online",
        version=info.get("AgentVersion", ""),
        platform=info.get("PlatformType", ""),
        windows=f"{info.get('PlatformName', '')} {info.get('PlatformVersion', '')}".strip(),
    )
