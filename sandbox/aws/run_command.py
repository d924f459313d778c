"""SSM Run Command, without a socket: its API over documents, agents and a clock.

Used behind MiniStack's front by `ssm.py`, and in-process by tests through `respond`.
"""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from threading import RLock
from typing import Any, Protocol

import botocore.session
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.model import OperationModel
from botocore.validate import ParamValidator

from sandbox.aws import vss_document
from sandbox.aws.documents import Document, SsmError, Versions
from sandbox.windows.agent import Agent, Command

# API reference, GetCommandInvocation: "an eventual consistency model"; how long it takes is not published.
VISIBLE_AFTER_S = 0.1
DEFAULT_DELIVERY_S = 3600
# API reference, CommandPlugin: the maximum length of an output.
MAX_STEP_OUTPUT = 2_500
# StatusDetails whose Status has another name (API reference, CommandInvocation).
STATUS_BY_DETAILS = {"In Progress": "InProgress", "Delivery Timed Out": "TimedOut", "Execution Timed Out": "TimedOut"}


class ManagedServer(Protocol):
    """A server as SSM sees it."""

    @property
    def agent(self) -> Agent:
        """Its agent."""

    def advance(self, now_s: float) -> None:
        """Do everything on the server that is due by now."""


@dataclass
class RunCommand:
    """The service.

    `state_of` returns EC2's state of an instance, None if there is no such instance; `clock` is in seconds since 1970.
    """

    servers: Mapping[str, ManagedServer]
    state_of: Callable[[str], str | None]
    clock: Callable[[], float]
    documents: dict[str, Versions] = field(default_factory=dict)
    lock: Any = field(default_factory=RLock)
    parameters: dict[str, str] = field(default_factory=dict)
    """Public parameters by name; AWS names its images there."""
    sent: list[dict[str, Any]] = field(default_factory=list)
    """Every command as it was sent, the newest first."""

    def put_document(self, name: str, content: Mapping[str, Any]) -> Document:
        """Make a document, or add a version to it; its default stays the first.

        Raises:
            SsmError: see `Versions.add`; nothing was changed.
        """
        versions = self.documents.get(name) or Versions(name)
        added = versions.add(content)
        self.documents[name] = versions
        return added

    def call(self, operation: str, given: dict[str, Any]) -> dict[str, Any]:
        """Answer an API call.

        Raises:
            SsmError: SSM refuses the call; `ValidationException` also for parameters that the sandbox does not know.
        """
        calls = {
            "SendCommand": self._send,
            "GetCommandInvocation": self._get_invocation,
            "ListCommands": self._list_commands,
            "ListCommandInvocations": self._list_invocations,
            "DescribeInstanceInformation": self._describe,
            "DescribeDocument": self._describe_document,
            "GetDocument": self._get_document,
            "GetParameter": self._get_parameter,
        }
        if operation not in calls:
            raise SsmError("UnknownOperationException", f"the sandbox has no ssm:{operation}")
        report = ParamValidator().validate(given, _model(operation).input_shape)
        if report.has_errors():
            raise SsmError("ValidationException", report.generate_report())
        with self.lock:
            now_s = self.clock()
            for server in self.servers.values():
                server.advance(now_s)
            return calls[operation](given, now_s)

    def _send(self, given: dict[str, Any], now_s: float) -> dict[str, Any]:
        _only(given, "DocumentName", "DocumentVersion", "InstanceIds", "Parameters", "TimeoutSeconds", "Comment")
        name, version = given["DocumentName"], given.get("DocumentVersion", "$DEFAULT")
        document = None if name == vss_document.NAME else self._document(name).find(version)
        if document is None and version != "$DEFAULT":
            raise SsmError("SandboxCannotTell", "which versions AWS's document has")
        if len(given["InstanceIds"]) != 1:
            raise SsmError("ValidationException", "the sandbox sends a command to one server")
        server = self._managed(given["InstanceIds"][0])
        delivery_s, parameters = given.get("TimeoutSeconds", DEFAULT_DELIVERY_S), given.get("Parameters", {})
        if document is None:
            script, limit_s = vss_document.script_of(parameters)
        else:
            script, limit_s = document.script_with(parameters), document.execution_limit_s
        command = Command(str(uuid.uuid4()), script, now_s, delivery_s, limit_s)
        server.agent.commands.append(command)
        of_which = {"DocumentName": name, "DocumentVersion": str(document.version) if document else version}
        sent = {"CommandId": command.command_id, **of_which, "Status": "Pending"}
        self.sent.insert(0, {**sent, "InstanceIds": given["InstanceIds"], "Parameters": parameters})
        return {"Command": {**sent, "StatusDetails": "Pending", "ExpiresAfter": command.expires_s}}

    def _document(self, name: str) -> Versions:
        if name not in self.documents:
            raise SsmError("InvalidDocument", name)
        return self.documents[name]

    def _describe_document(self, given: dict[str, Any], _now_s: float) -> dict[str, Any]:
        """API reference: without a version it describes the default."""
        _only(given, "Name", "DocumentVersion")
        return {"Document": self._document(given["Name"]).describe(given.get("DocumentVersion", "$DEFAULT"))}

    def _get_document(self, given: dict[str, Any], _now_s: float) -> dict[str, Any]:
        """API reference: the content as it was given, in the format that is asked for; the sandbox has it in JSON."""
        _only(given, "Name", "DocumentVersion", "DocumentFormat")
        if given.get("DocumentFormat", "JSON") != "JSON":
            raise SsmError("ValidationException", "the sandbox has documents in JSON")
        found = self._document(given["Name"]).find(given.get("DocumentVersion", "$DEFAULT"))
        content = {"Content": json.dumps(found.content), "DocumentFormat": "JSON", "DocumentType": "Command"}
        return {"Name": found.name, "DocumentVersion": str(found.version), "Status": "Active", **content}

    def _managed(self, instance_id: str) -> ManagedServer:
        """API reference, InvalidInstanceId: no agent, or the node is not running, pending, stopping or stopped."""
        state, server = self.state_of(instance_id), self.servers.get(instance_id)
        if server is None or state not in {"running", "pending", "stopped", "stopping"}:
            raise SsmError("InvalidInstanceId", f"{instance_id} is not a managed node in a valid state")
        return server

    def _get_invocation(self, given: dict[str, Any], now_s: float) -> dict[str, Any]:
        _only(given, "CommandId", "InstanceId")
        server = self.servers.get(given["InstanceId"])
        sent = [c for c in server.agent.commands if c.command_id == given["CommandId"]] if server else []
        if not sent or now_s < sent[0].sent_s + VISIBLE_AFTER_S:
            raise SsmError("InvocationDoesNotExist", "")
        command = sent[0]
        return {
            "CommandId": command.command_id,
            "InstanceId": given["InstanceId"],
            "Status": STATUS_BY_DETAILS.get(command.status, command.status),
            "StatusDetails": command.status,
            "ResponseCode": command.exit_code,
            "ExecutionStartDateTime": _time(command.started_s),
            "ExecutionEndDateTime": _time(command.ended_s),
            "StandardOutputContent": command.stdout,
            "StandardErrorContent": command.stderr,
        }

    def _list_commands(self, given: dict[str, Any], _now_s: float) -> dict[str, Any]:
        """API reference: the commands of the last thirty days; the sandbox knows two filters, of one server."""
        _only(given, "InstanceId", "Filters", "MaxResults")
        filters = {each["key"]: each["value"] for each in given.get("Filters", [])}
        if not {"DocumentName"} <= filters.keys() <= {"DocumentName", "InvokedAfter"} or "InstanceId" not in given:
            raise SsmError("ValidationException", "the sandbox knows DocumentName and InvokedAfter, of one server")
        instance_id = given["InstanceId"]
        server, after = self.servers.get(instance_id), filters.get("InvokedAfter", "1970-01-01T00:00:00Z")
        after_s = datetime.strptime(after, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
        recent = {c.command_id for c in server.agent.commands if c.sent_s > after_s} if server else set()
        found = [c for c in self.sent if c["DocumentName"] == filters["DocumentName"] and c["CommandId"] in recent]
        return {"Commands": found[: given.get("MaxResults", 50)]}

    def _list_invocations(self, given: dict[str, Any], now_s: float) -> dict[str, Any]:
        """API reference: the invocations of a command, with its steps' outputs if they are asked for (`Details`)."""
        _only(given, "CommandId", "InstanceId", "Details")
        if "CommandId" not in given or "InstanceId" not in given:
            raise SsmError("ValidationException", "the sandbox lists the invocations of one command on one server")
        server = self.servers.get(given["InstanceId"])
        found = [c for c in server.agent.commands if c.command_id == given["CommandId"]] if server else []
        found = [command for command in found if now_s >= command.sent_s + VISIBLE_AFTER_S]
        return {"CommandInvocations": [_invocation(command, given) for command in found]}

    def _describe(self, given: dict[str, Any], now_s: float) -> dict[str, Any]:
        """API reference: stopped and terminated nodes are not listed; an unknown id is an error."""
        _only(given, "Filters")
        if [f["Key"] for f in given.get("Filters", [])] != ["InstanceIds"]:
            raise SsmError("ValidationException", "the sandbox knows the filter InstanceIds")
        ids = given["Filters"][0]["Values"]
        if unknown := [i for i in ids if self.state_of(i) is None]:
            raise SsmError("InvalidInstanceId", f"{unknown}")
        found = [i for i in ids if i in self.servers and self.state_of(i) == "running"]
        return {"InstanceInformationList": [_information(i, self.servers[i].agent, now_s) for i in found]}

    def _get_parameter(self, given: dict[str, Any], _now_s: float) -> dict[str, Any]:
        """Source: Systems Manager's API reference, GetParameter."""
        _only(given, "Name")
        if given["Name"] not in self.parameters:
            raise SsmError("ParameterNotFound", given["Name"])
        return {"Parameter": {"Name": given["Name"], "Type": "String", "Value": self.parameters[given["Name"]]}}


def _information(instance_id: str, agent: Agent, now_s: float) -> dict[str, Any]:
    return {
        "InstanceId": instance_id,
        "PingStatus": "Online" if agent.seems_online(now_s) else "ConnectionLost",
        "LastPingDateTime": agent.last_ping_s,
        "AgentVersion": agent.version,
        "PlatformType": "Windows",
        "PlatformName": "Microsoft Windows Server 2022 Datacenter",
        "PlatformVersion": "10.0.20348",
        "ResourceType": "EC2Instance",
    }


def _invocation(command: Command, given: dict[str, Any]) -> dict[str, Any]:
    """Return an invocation as ListCommandInvocations does: the output of a step has 2,500 characters at most."""
    status = STATUS_BY_DETAILS.get(command.status, command.status)
    one = {"CommandId": command.command_id, "InstanceId": given["InstanceId"], "Status": status}
    step = {"Name": "runPowerShellScript", "Status": status, "ResponseCode": command.exit_code}
    steps = [{**step, "Output": (command.stdout + command.stderr)[:MAX_STEP_OUTPUT]}] if given.get("Details") else []
    return {**one, "StatusDetails": command.status, "CommandPlugins": steps}


def _only(given: dict[str, Any], *known: str) -> None:
    if unknown := set(given) - set(known):
        raise SsmError("ValidationException", f"the sandbox does not know {sorted(unknown)} here")


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat() if seconds else ""


@cache
def _model(operation: str) -> OperationModel:
    return botocore.session.get_session().get_service_model("ssm").operation_model(operation)


def answer(service: RunCommand, target: str, body: bytes) -> tuple[int, bytes]:
    """Answer a request of the JSON protocol: HTTP status and body."""
    try:
        return 200, json.dumps(service.call(target.rpartition(".")[2], json.loads(body))).encode()
    except SsmError as error:
        return 400, json.dumps({"__type": error.code, "message": error.message}).encode()


def respond(service: RunCommand, request: AWSPreparedRequest) -> AWSResponse:
    """Answer a request as botocore's event `before-send.ssm` hands it over, instead of the network."""
    target, body = request.headers["X-Amz-Target"], request.body or b"{}"
    target = target.decode() if isinstance(target, bytes) else target
    status, content = answer(service, target, body if isinstance(body, bytes) else body.encode())
    response = AWSResponse(request.url, status, {"Content-Type": "application/x-amz-json-1.1"}, None)
    response._content = content
    return response
