"""What every machine's state document begins with, what a Catch adds to it, and the event of an ended execution."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

# The event's statuses of executions that may have no record; a failed one mostly has it.
ENDINGS = {
    "ABORTED": ("ExecutionStopped", "the execution was stopped by hand or by its parent"),
    "TIMED_OUT": ("ExecutionTimedOut", "the execution ran longer than the state machine allows"),
    "FAILED": ("ExecutionFailed", "the execution failed before it could record its end"),
}
# As EventBridge Scheduler writes it.
SCHEDULED_TIME_PATTERN = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"


class Crossing(BaseModel):
    """What crosses the boundary of a state machine or of its states: frozen, and an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# Who started an execution by the command line, which asks AWS for it; nothing checks what others write there.
STARTER_PATTERN = r"arn:[a-z-]+:(?:iam|sts)::[0-9]{12}:[!-~]{1,512}"


def starter_of(raw: Any) -> str:
    """Return who started an execution, or the policy run that it belongs to, as its input says it.

    Returns:
        An ARN; empty if the input says none.
    """
    own = raw if isinstance(raw, dict) else {}
    parent = own.get("policy_run")
    given = own.get("started_by") or (parent.get("started_by") if isinstance(parent, dict) else None)
    return given if isinstance(given, str) and re.fullmatch(STARTER_PATTERN, given) else ""


class Execution(Crossing):
    """The Step Functions execution, as the context object describes it."""

    id: str
    name: str
    started_at: datetime


class Failure(Crossing):
    """What a Catch recorded: the error's name, and Lambda's answer as text."""

    Error: str
    Cause: str = ""


@dataclass(frozen=True)
class Cause:
    """Why an execution failed: the error's true name, and its message."""

    error: str
    words: str


def cause_of(failure: Failure) -> Cause:
    """Return an error's name and message from what a Catch recorded; Lambda wraps the message in JSON.

    Of another machine's execution, Step Functions describes the whole in JSON, its error among it (developer guide,
    "Integrate with Step Functions"): that error counts.
    """
    try:
        answer = json.loads(failure.Cause)
    except ValueError:
        answer = None
    if isinstance(answer, dict) and "ExecutionArn" in answer:
        status, error = str(answer.get("Status")), answer.get("Error")
        words = f"{answer['ExecutionArn']} ended as {status}"
        return cause_of(Failure(Error=str(error or failure.Error), Cause=str(answer.get("Cause") or words)))
    message = answer.get("errorMessage") if isinstance(answer, dict) else None
    return Cause(failure.Error, str(message or failure.Cause or "no message was given"))


def failure_of(error: Exception) -> Failure:
    """Return an error that a step did not raise, as a Catch would have recorded it."""
    return Failure(Error=type(error).__name__, Cause=str(error))


def execution_of(detail: Mapping[str, Any]) -> Execution:
    """Return the execution that an event reports."""
    started_at = datetime.fromtimestamp(detail["startDate"] / 1000, UTC)
    return Execution(id=detail["executionArn"], name=detail["name"], started_at=started_at)


def input_of(detail: Mapping[str, Any]) -> Any:
    """Return the execution's input, None if it was too large for the event."""
    return json.loads(detail.get("input") or "null")


def cause_of_ending(detail: Mapping[str, Any]) -> Cause:
    """Return why the execution that an event reports ended: its own error, or what its status shows."""
    if detail["status"] == "FAILED" and detail.get("error"):
        return cause_of(Failure(Error=detail["error"], Cause=detail.get("cause") or ""))
    return Cause(*ENDINGS[detail["status"]])
