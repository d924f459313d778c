"""The input of the policy machine: which policy, and for a schedule the time for which it was due."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, StringConstraints

from quiesce.errors import PolicyRefused
from quiesce.executions import SCHEDULED_TIME_PATTERN, Crossing, Execution, execution_of, input_of
from quiesce.policy.parts import NAME_PATTERN, Name, StarterArn, tidy_policy
from quiesce.policy.policy import Policy
from quiesce.validation import Advice, Form, validated

EXAMPLE = '{"policy": "orders"}'
ADVICE = Advice(name="input", home=Policy, missing=f"add it, as in {EXAMPLE}", otherwise=f"write it as in {EXAMPLE}")
UNKNOWN = "unknown"
SCHEDULED_TIME = Form(SCHEDULED_TIME_PATTERN, "a time in UTC, such as 2026-03-14T01:30:00Z")
# With "-" and a server's id behind it, it is the name of a backup's execution, of at most 80 characters.
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,59}")


class PolicyRequest(Crossing):
    """The execution's input: a policy in the bucket; ``scheduled_time`` and ``schedule`` are set by its schedule.

    ``started_by`` is set by the command line, for the summary and the servers' records.
    """

    policy: Annotated[Name, BeforeValidator(tidy_policy)]
    scheduled_time: Annotated[str, AfterValidator(SCHEDULED_TIME)] | None = None
    schedule: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    started_by: StarterArn | None = None


@dataclass(frozen=True)
class PolicyRunIdentity:
    """A policy run's id and its policy, ``unknown`` where the input does not name one."""

    run_id: str
    policy: str
    execution: str


def read_policy_request(raw: Any) -> PolicyRequest:
    """Read the policy machine's input.

    Raises:
        PolicyRefused: with the field, what is wrong with it and what to write instead.
    """
    if not isinstance(raw, dict):
        raise PolicyRefused("input", f"is {type(raw).__name__}, not a JSON object", f"write for example {EXAMPLE}")
    if "instance_id" in raw or isinstance(raw.get("policy"), dict):
        remedy = f"write {EXAMPLE} here; one server alone is backed up by the backup machine"
        raise PolicyRefused("input", "is that of a backup of one server, and this machine takes whole policies", remedy)
    return validated(PolicyRequest, raw, "", ADVICE, PolicyRefused)


def identify(execution: Execution, raw: Any) -> PolicyRunIdentity:
    """Return the identity of a policy run, whatever its input is.

    Returns:
        ``run_id`` is ``<policy>-<scheduled time>`` if a schedule passed a time, so that a repeated delivery is the same
        policy run, else the execution's name.
    """
    data = raw if isinstance(raw, dict) else {}
    name, time = (
        _text(tidy_policy(data.get("policy")), NAME_PATTERN),
        _text(data.get("scheduled_time"), SCHEDULED_TIME_PATTERN),
    )
    scheduled = UNKNOWN not in (name, time)
    return PolicyRunIdentity(f"{name}-{re.sub('[:-]', '', time)}" if scheduled else execution.name, name, execution.id)


def check_run_id(identity: PolicyRunIdentity) -> None:
    """Refuse an execution's name of which the servers' runs can't be named.

    Raises:
        PolicyRefused: with the characters and the length that are allowed.
    """
    if not RUN_ID.fullmatch(identity.run_id):
        problem = f"{identity.run_id!r} is no name for its servers' runs"
        remedy = "start it under another name: at most 60 letters, digits, '-' and '_'"
        raise PolicyRefused("execution name", problem, remedy)


def run_name(request: PolicyRequest, identity: PolicyRunIdentity, instance_id: str) -> str:
    """Return the run id of one server in a policy run: the name of its backup's execution."""
    if request.scheduled_time:
        time = re.sub("[:-]", "", request.scheduled_time)
        return f"{request.policy}-{instance_id}-{time}"
    return f"{identity.run_id}-{instance_id}"


def cut_off(raw: Any) -> Mapping[str, Any] | None:
    """Return the detail of the event that an execution ended without a summary, if the input is such an event."""
    is_event = isinstance(raw, dict) and raw.get("source") == "aws.states" and isinstance(raw.get("detail"), dict)
    return raw["detail"] if is_event else None


def cut_off_run(detail: Mapping[str, Any]) -> PolicyRunIdentity | None:
    """Return the policy run of an execution that was cut off; None if it had only to summarize another one."""
    raw = input_of(detail)
    return None if cut_off(raw) else identify(execution_of(detail), raw)


def _text(value: Any, pattern: str) -> str:
    return value if isinstance(value, str) and re.fullmatch(pattern, value) else UNKNOWN
