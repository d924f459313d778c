"""SSM command documents: what Run Command accepts as one, and what it makes of a command's parameters.

The sandbox knows what AWS documents and refuses everything else in a document, so that nothing relies on a guess.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from sandbox.windows.agent import Step

# SSM quotas: "content of the document must not exceed 64KB", the parameters' values at run time included.
MAX_SIZE_BYTES = 64 * 1024
# amazon-ssm-agent, docparser/parameters: any other name is dropped by the agent.
PARAMETER_NAME = re.compile(r"[a-zA-Z0-9]+")
PLACEHOLDER = re.compile(r"\{\{ *([a-zA-Z0-9]+) *\}\}")
# amazon-ssm-agent, pluginutil.go: seconds that a step may run; a value out of bounds or not a number means the default.
DEFAULT_EXECUTION_S, SHORTEST_EXECUTION_S, LONGEST_EXECUTION_S = 3600, 5, 172_800
# The agent's own steps, with the inputs that must stand in each, and those that may (Systems Manager user guide,
# command document plugin reference, schema 2.2).
STEPS: Mapping[str, tuple[set[str], set[str]]] = {
    "aws:updateSsmAgent": ({"agentName", "source", "allowDowngrade"}, {"targetVersion"}),
    "aws:configurePackage": ({"name", "action"}, {"version", "installationType"}),
}
KNOWN_PROPERTIES = {"type", "description", "default", "allowedPattern", "minChars", "maxChars"}


class SsmError(Exception):
    """An error that SSM answers with: its code and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


def execution_limit_s(text: str) -> int:
    """How long a step with this `timeoutSeconds` may run."""
    seconds = int(text) if text.isdecimal() else 0
    return seconds if SHORTEST_EXECUTION_S <= seconds <= LONGEST_EXECUTION_S else DEFAULT_EXECUTION_S


@dataclass(frozen=True)
class Document:
    """One version of a command document with a single step: a PowerShell script, or one that the agent does itself."""

    name: str
    version: int
    content: Mapping[str, Any]
    size_bytes: int
    parameters: Mapping[str, Mapping[str, Any]]
    script: str | Step
    execution_limit_s: int

    @classmethod
    def parse(cls, name: str, version: int, content: Mapping[str, Any]) -> "Document":
        """Read a document's content.

        Raises:
            SsmError: `InvalidDocumentContent`, `MaxDocumentSizeExceeded`.
        """
        size_bytes = len(json.dumps(content).encode())
        if size_bytes > MAX_SIZE_BYTES:
            raise SsmError("MaxDocumentSizeExceeded", f"{size_bytes} bytes")
        if not set(content) <= {"schemaVersion", "description", "parameters", "mainSteps"}:
            _refuse(f"unknown here: {sorted(content)}")
        if content.get("schemaVersion") != "2.2":
            _refuse(f"schemaVersion {content.get('schemaVersion')!r}")
        script, limit_s = _only_step(content["mainSteps"])
        parameters = content.get("parameters", {})
        for parameter, properties in parameters.items():
            _check_parameter(parameter, properties)
        if undeclared := set(PLACEHOLDER.findall(str(script))) - set(parameters):
            _refuse(f"not declared: {sorted(undeclared)}")
        return cls(name, version, content, size_bytes, parameters, script, limit_s)

    def script_with(self, given: Mapping[str, list[str]]) -> str | Step:
        """The PowerShell that the agent runs for a command with these parameters, or the step that it does itself.

        Raises:
            SsmError: `InvalidParameters`, `MaxDocumentSizeExceeded`.
        """
        if unknown := set(given) - set(self.parameters):
            raise SsmError("InvalidParameters", f"not in {self.name}: {sorted(unknown)}")
        if self.size_bytes + len(json.dumps(given).encode()) > MAX_SIZE_BYTES:
            raise SsmError("MaxDocumentSizeExceeded", "document and parameters together")
        values = {name: _value(name, properties, given.get(name)) for name, properties in self.parameters.items()}

        def filled(text: str) -> str:
            return PLACEHOLDER.sub(lambda found: values[found.group(1)], text)

        if isinstance(self.script, str):
            return filled(self.script)
        return Step(self.script.action, tuple((name, filled(text)) for name, text in self.script.inputs))


@dataclass
class Versions:
    """All versions of one document, and which of them is its default.

    A new version is not the default. CloudFormation's reference says that ``NewVersion`` makes it the default, a user
    saw that it does not (aws-cloudformation/cloudformation-coverage-roadmap, issue 2539, July 2026).
    """

    name: str
    made: list[Document] = field(default_factory=list)
    default: int = 1

    def add(self, content: Mapping[str, Any]) -> Document:
        """Add a version.

        Raises:
            SsmError: `InvalidDocumentContent`, `MaxDocumentSizeExceeded`; `DuplicateDocumentContent` for the content of
                the latest version. Whether SSM also refuses that of an earlier one is not published.
        """
        new = Document.parse(self.name, len(self.made) + 1, content)
        if self.made and self.made[-1].content == content:
            raise SsmError("DuplicateDocumentContent", f"version {self.made[-1].version} of {self.name} has it")
        self.made.append(new)
        return new

    def find(self, version: str) -> Document:
        """Return a version by its number, ``$LATEST`` or ``$DEFAULT``.

        Raises:
            SsmError: `InvalidDocumentVersion`.
        """
        number = {"$LATEST": len(self.made), "$DEFAULT": self.default}.get(version) or int(version)
        if number > len(self.made):
            raise SsmError("InvalidDocumentVersion", f"{self.name} has no version {version}")
        return self.made[number - 1]

    def describe(self, version: str) -> dict[str, Any]:
        """Return a version as DescribeDocument does."""
        found = self.find(version)
        return {
            "Name": self.name,
            "Status": "Active",
            "DocumentType": "Command",
            "DocumentFormat": "JSON",
            "SchemaVersion": "2.2",
            "DocumentVersion": str(found.version),
            "LatestVersion": str(len(self.made)),
            "DefaultVersion": str(self.default),
        }


def _refuse(reason: str) -> NoReturn:
    raise SsmError("InvalidDocumentContent", reason)


def _only_step(steps: list[dict[str, Any]]) -> tuple[str | Step, int]:
    if len(steps) != 1 or set(steps[0]) != {"action", "name", "inputs"}:
        _refuse("the sandbox knows documents of one plain step")
    inputs, action = steps[0]["inputs"], steps[0]["action"]
    if action in STEPS:
        needed, possible = STEPS[action]
        if not needed <= set(inputs) <= needed | possible or not all(isinstance(text, str) for text in inputs.values()):
            _refuse(f"{action} with {sorted(inputs)}")
        return Step(action, tuple(inputs.items())), DEFAULT_EXECUTION_S
    if steps[0]["action"] != "aws:runPowerShellScript" or set(inputs) != {"timeoutSeconds", "runCommand"}:
        _refuse("the sandbox knows aws:runPowerShellScript with timeoutSeconds and runCommand")
    return "\n".join(inputs["runCommand"]), execution_limit_s(inputs["timeoutSeconds"])


def _check_parameter(name: str, properties: Mapping[str, Any]) -> None:
    if not PARAMETER_NAME.fullmatch(name) or properties.get("type") != "String":
        _refuse(f"the sandbox knows parameters of type String, named by letters and digits: {name}")
    if unknown := set(properties) - KNOWN_PROPERTIES:
        _refuse(f"{name} has {sorted(unknown)}")
    pattern = properties.get("allowedPattern", "^$")
    if not isinstance(pattern, str) or not (pattern.startswith("^") and pattern.endswith("$")):
        # Not known: whether SSM searches for the pattern or matches the whole value.
        _refuse(f"{name} needs an allowedPattern from ^ to $")


def _value(name: str, properties: Mapping[str, Any], given: list[str] | None) -> str:
    if given is None:
        if "default" not in properties:
            raise SsmError("InvalidParameters", f"{name} is missing")
        return str(properties["default"])
    if len(given) != 1:
        raise SsmError("InvalidParameters", f"{name} takes one value, not {len(given)}")
    value, longest = given[0], properties.get("maxChars", MAX_SIZE_BYTES)
    if not properties.get("minChars", 0) <= len(value) <= longest:
        raise SsmError("InvalidParameters", f"{name} has {len(value)} characters")
    if "allowedPattern" in properties and not re.fullmatch(properties["allowedPattern"], value):
        raise SsmError("InvalidParameters", f"{name} does not match {properties['allowedPattern']}")
    return value
