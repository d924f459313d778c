"""The input of a backup's execution: which policy, and which of its targets."""

import json
from typing import Annotated, Any

from pydantic import AfterValidator, Discriminator, Strict, Tag

from quiesce.backup.run import SCHEDULED_TIME_PATTERN
from quiesce.errors import PolicyRefused
from quiesce.executions import Crossing
from quiesce.policy import file
from quiesce.policy.parts import InstanceId, Name
from quiesce.policy.policy import Policy
from quiesce.policy.target import TargetSettings
from quiesce.validation import Form, validated

# An inline policy goes through every state, of which Step Functions lets 256 KiB pass, with all that the states add.
MAX_INPUT_BYTES = 65_536
EXAMPLE = '{"policy": "files-nightly", "instance_id": "i-0123456789abcdef0"}'
# If the input has a field that belongs in the policy, the advice says so.
ADVICE = file.ADVICE._replace(missing=f"add it, as in {EXAMPLE}")

SCHEDULED_TIME = Form(SCHEDULED_TIME_PATTERN, "a time in UTC, such as 2026-03-14T01:30:00Z")
# With tags Pydantic tries, and reports, only the form that the value has.
PolicyOrName = Annotated[
    Annotated[Name, Tag("policy-name")] | Annotated[dict[str, Any], Tag("policy-inline")],
    Discriminator(lambda value: "policy-inline" if isinstance(value, dict) else "policy-name"),
]


class BackupRequest(Crossing):
    """The execution's input: which policy, by name or inline, and which of its targets.

    ``instance_id`` may be left out where an inline policy has one target.
    ``scheduled_time`` is set by the schedule and goes into the run id, so that a repeated delivery is the same run.
    """

    policy: PolicyOrName
    instance_id: InstanceId | None = None
    scheduled_time: Annotated[str, Strict(), AfterValidator(SCHEDULED_TIME)] | None = None


def read_request(raw: Any) -> BackupRequest:
    """Read an execution's input.

    Raises:
        PolicyRefused: with the field, what is wrong with it and what to write instead.
    """
    if not isinstance(raw, dict):
        raise PolicyRefused("input", f"is {type(raw).__name__}, not a JSON object", f"write for example {EXAMPLE}")
    size = len(json.dumps(raw, ensure_ascii=False, separators=(",", ":")).encode())
    if size > MAX_INPUT_BYTES:
        remedy = "put the policy into the bucket as policies/<name>.yaml, and name it in the input"
        raise PolicyRefused("input", f"has {size} bytes, more than {MAX_INPUT_BYTES}", remedy)
    request = validated(BackupRequest, raw, "", ADVICE, PolicyRefused)
    if request.instance_id is None and isinstance(request.policy, str):
        raise PolicyRefused(
            "instance_id", "is missing", f"say which of the policy's targets to back up, as in {EXAMPLE}"
        )
    return request


def choose_target(policy: Policy, request: BackupRequest) -> TargetSettings:
    """Return the settings that hold for the server that is backed up.

    Raises:
        PolicyRefused: the policy has no such target, or has several and none is named.
    """
    known = [target.instance_id for target in policy.targets]
    if request.instance_id is None and len(known) > 1:
        raise PolicyRefused(
            "instance_id", f"is missing, and the policy has {len(known)} targets", f"name one of {', '.join(known)}"
        )
    instance_id = request.instance_id or known[0]
    settings = policy.settings_for(instance_id)
    if settings is None:
        raise PolicyRefused(
            "instance_id",
            f"{instance_id} is no target of policy '{policy.name}' (its targets: {', '.join(known)})",
            "correct the id, or add it to the policy's targets",
        )
    return settings
