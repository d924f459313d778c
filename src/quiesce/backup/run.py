"""A run's identity, derived from the execution's input and name alone: every state and every retry agrees on it."""

import re
from dataclasses import dataclass
from typing import Any

from quiesce.backup.state import RunState
from quiesce.errors import PolicyRefused
from quiesce.executions import SCHEDULED_TIME_PATTERN, Execution
from quiesce.policy.parts import INSTANCE_ID_PATTERN, NAME_PATTERN, tidy_id, tidy_policy

UNKNOWN = "unknown"
# What Step Functions, EC2 tags, S3 keys, CloudWatch and folders on the server all accept.
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")


@dataclass(frozen=True)
class RunIdentity:
    """A run's id with its policy and server, ``unknown`` where the input does not name them, and its policy run."""

    run_id: str
    policy: str
    instance_id: str
    policy_run: str = ""


def identify(execution: Execution, raw: Any) -> RunIdentity:
    """Return the identity of a run, whatever its input is: a run that Plan refuses needs a record, too.

    Returns:
        ``run_id`` is ``<policy>-<instance>-<scheduled time>`` if the schedule passed a time, else the execution's name.
    """
    data = raw if isinstance(raw, dict) else {}
    policy = data.get("policy")
    inline = policy if isinstance(policy, dict) else {}
    name = _text(inline.get("name") if inline else tidy_policy(policy), NAME_PATTERN)
    given = data.get("instance_id")
    instance_id = _text(tidy_id(_only_target(inline) if given is None else given), INSTANCE_ID_PATTERN)
    time = re.sub(r"[:-]", "", _text(data.get("scheduled_time"), SCHEDULED_TIME_PATTERN))
    scheduled = UNKNOWN not in (name, instance_id, time)
    run_id = f"{name}-{instance_id}-{time}" if scheduled else execution.name
    return RunIdentity(run_id, name, instance_id, _policy_run(data.get("policy_run")))


def identity_of(state: RunState) -> RunIdentity:
    """Return the identity of a state document's run."""
    return identify(state.execution, state.input)


def check_run_id(run_id: str) -> None:
    """Refuse an execution name that tags, keys or metrics do not accept.

    Raises:
        PolicyRefused: with the characters that are allowed.
    """
    if not RUN_ID.fullmatch(run_id):
        raise PolicyRefused(
            "execution name",
            f"{run_id!r} has characters other than letters, digits, '-' and '_'",
            "start it under another name",
        )


def _only_target(inline: dict[Any, Any]) -> Any:
    targets = inline.get("targets")
    one = targets[0] if isinstance(targets, list) and len(targets) == 1 else None
    return one.get("instance_id") if isinstance(one, dict) else None


def _policy_run(given: Any) -> str:
    policy_run = _text(given.get("id"), RUN_ID.pattern) if isinstance(given, dict) else UNKNOWN
    return "" if policy_run == UNKNOWN else policy_run


def _text(value: Any, pattern: str) -> str:
    return value if isinstance(value, str) and re.fullmatch(pattern, value) else UNKNOWN
