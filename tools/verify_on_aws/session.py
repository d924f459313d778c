"""One verification: its name, its server and stack, and what it has seen so far."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from tools.verify_on_aws.calls import Calls, Whatever

# Everything that a verification makes by itself carries it, with the verification's name.
TAG = "quiesce:verify"
# A person puts it on a server that a verification may stop, change and fill with snapshots.
THROW_AWAY = "quiesce-verify", "throw-away"
RUN_LIMIT_S = 4 * 3600

Verdict = Literal["as expected", "otherwise", "not seen", "not run"]


@dataclass(frozen=True)
class Seen:
    """What a step saw, in words, and what that says of the belief."""

    verdict: Verdict
    words: str


@dataclass(frozen=True)
class Step:
    """A step: ``beliefs`` are the rows of docs/unconfirmed.md that it settles, in short, ``expected`` what we expect.

    ``changes_server`` says that it stops the server or attaches volumes to it; ``servers`` is how many it adds;
    ``ends_server`` that it terminates the server, if the verification launched it, so that it comes last.
    """

    name: str
    beliefs: str
    expected: str
    take: "Callable[[Verification], Seen]"
    changes_server: bool = False
    servers: int = 0
    ends_server: bool = False


def seen(expected: bool, words: str) -> Seen:  # noqa: FBT001
    """Return what was seen, which is as expected or not."""
    return Seen("as expected" if expected else "otherwise", words)


@dataclass
class Verification:
    """What the steps share; ``records`` are those of its runs by the step's name, ``raw`` files by their names."""

    calls: Calls
    name: str
    region: str
    instance_id: str = ""
    launched: bool = False
    launch_request: dict[str, Any] = field(default_factory=dict)
    """With which the server was launched, if this verification did."""
    outputs: Any = field(default_factory=dict)
    resources: Any = field(default_factory=dict)
    records: dict[str, Any] = field(default_factory=dict)
    executions: dict[str, str] = field(default_factory=dict)
    measured: dict[str, Any] = field(default_factory=dict)
    raw: dict[str, bytes] = field(default_factory=dict)
    as_functions: Calls | None = None
    """Calls with the rights of the functions' managed policies, once a step has made the role."""
    key: str = ""
    """The verification's own key, once a step has made it, and a snapshot under it."""
    key_snapshot: str = ""
    volumes: list[str] = field(default_factory=list)
    """Volumes that steps made for later ones."""

    def tagged(self, kind: str, **more: str) -> list[dict[str, Any]]:
        """Return the TagSpecifications with which EC2 makes a resource of this kind."""
        tags = {"Name": self.name, TAG: self.name, **more}
        return [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]

    def ours(self) -> list[dict[str, Any]]:
        """Return the filter for what this verification made itself."""
        return [{"Name": f"tag:{TAG}", "Values": [self.name]}]

    def of_stack(self) -> list[dict[str, Any]]:
        """Return the filter for what its stack made."""
        return [{"Name": "tag:quiesce:stack", "Values": [self.name]}]

    def policy(self, **settings: Any) -> dict[str, Any]:
        """Return an inline policy for the server."""
        target = {"instance_id": self.instance_id, **settings}
        return {"name": "verify", "owner": "verify", "targets": [target]}

    def start(self, label: str, request: dict[str, Any], machine: str = "BackupMachineArn") -> str:
        """Start an execution, and return its ARN."""
        arn = self.calls(
            "stepfunctions:StartExecution",
            stateMachineArn=str(self.outputs[machine]),
            name=f"{label}-{len(self.executions) + 1}",
            input=json.dumps(request),
        )["executionArn"]
        self.executions[label] = str(arn)
        return str(arn)

    def end_of(self, arn: str) -> Any:
        """Wait for the end of an execution, and return what Step Functions says of it."""
        return self.calls.until(
            "stepfunctions:DescribeExecution",
            lambda it: it["status"] != "RUNNING",
            limit_s=RUN_LIMIT_S,
            executionArn=arn,
        )

    def run(self, label: str, request: dict[str, Any], machine: str = "BackupMachineArn") -> Any:
        """Run an execution to its end; return its output, or its error as ``{"Error": ..., "Cause": ...}``."""
        ended = self.end_of(self.start(label, request, machine))
        if isinstance(ended, Whatever):
            return ended
        if ended["status"] != "SUCCEEDED":
            self.records[label] = {"Error": ended.get("error", ended["status"]), "Cause": ended.get("cause", "")}
        else:
            self.records[label] = json.loads(ended["output"])
        return self.records[label]
