"""The input of a backup's execution: which policy, and which of its targets."""

import json
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Strict, Tag

from quiesce.backup.run import RUN_ID
from quiesce.errors import PolicyRefused
from quiesce.executions import SCHEDULED_TIME_PATTERN, Crossing
from quiesce.policy import file
from quiesce.policy.parts import INSTANCE_ID_PATTERN, Name, ServerName, StarterArn, tidy_policy
from quiesce.policy.policy import Policy
from quiesce.policy.selection import Candidate
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
    Annotated[Name, BeforeValidator(tidy_policy), Tag("policy-name")] | Annotated[dict[str, Any], Tag("policy-inline")],
    Discriminator(lambda value: "policy-inline" if isinstance(value, dict) else "policy-name"),
]


class OfPolicyRun(Crossing):
    """The policy run that a run belongs to, by its id, and the number of its entry in the policy's ``targets``.

    ``started_by`` is who started the policy run by the command line, for the record.
    """

    id: Annotated[str, Strict(), AfterValidator(Form(RUN_ID.pattern, "the id of a policy run"))]
    target: Annotated[int, Field(ge=0, le=99, strict=True)]
    started_by: StarterArn | None = None


class BackupRequest(Crossing):
    """The execution's input: which policy, by name or inline, and which of its targets.

    ``instance_id`` may be left out where an inline policy has one target. A Name tag in it is refused with the id.
    ``scheduled_time`` is set by the schedule and goes into the run id, so that a repeated delivery is the same run.
    ``policy_run`` is set by the policy machine: the policy is then the one that its Resolve kept.
    ``started_by`` is set by the command line, for the record.
    """

    policy: PolicyOrName
    instance_id: ServerName | None = None
    scheduled_time: Annotated[str, Strict(), AfterValidator(SCHEDULED_TIME)] | None = None
    policy_run: OfPolicyRun | None = None
    started_by: StarterArn | None = None


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
    # By this Step Functions' console links an execution with the one that started it.
    typed = {name: value for name, value in raw.items() if name != "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID"}
    request = validated(BackupRequest, typed, "", ADVICE, PolicyRefused)
    if request.instance_id is None and isinstance(request.policy, str):
        raise PolicyRefused(
            "instance_id", "is missing", f"say which of the policy's targets to back up, as in {EXAMPLE}"
        )
    return request


def is_name(request: BackupRequest) -> bool:
    """Say whether ``instance_id`` is a Name tag and no id."""
    return request.instance_id is not None and not re.fullmatch(INSTANCE_ID_PATTERN, request.instance_id)


def choose_target(policy: Policy, request: BackupRequest) -> TargetSettings | None:
    """Return the settings that hold for the server that is backed up; None if only its tags can tell.

    Raises:
        PolicyRefused: the policy has no such target, or has several and none is named.
    """
    known = [target.words for target in policy.targets]
    if request.policy_run:
        return _settings_in(policy, request.policy_run)
    if request.instance_id is None and (len(known) > 1 or not policy.targets[0].instance_id):
        raise PolicyRefused(
            "instance_id", f"is missing, and the policy has {len(known)} targets", f"name one of {', '.join(known)}"
        )
    instance_id = request.instance_id or known[0]
    settings = policy.settings_for(instance_id)
    if settings is None and all(target.instance_id for target in policy.targets):
        raise _no_target(policy, instance_id)
    return settings


def choose_by_tags(policy: Policy, candidate: Candidate) -> TargetSettings:
    """Return the settings that hold for a server that no entry of the policy names by its id.

    Raises:
        PolicyRefused: the server's tags are not those of a target.
    """
    if entries := policy.entries_for(candidate):
        return policy.settings_of(entries[0])
    raise _no_target(policy, candidate.instance_id)


def _settings_in(policy: Policy, policy_run: OfPolicyRun) -> TargetSettings:
    if policy_run.target >= len(policy.targets):
        problem = f"is {policy_run.target}, and the policy has {len(policy.targets)} targets"
        raise PolicyRefused("policy_run.target", problem, "start the policy machine, which sets it")
    return policy.settings_of(policy_run.target)


def _no_target(policy: Policy, instance_id: str) -> PolicyRefused:
    known = ", ".join(target.words for target in policy.targets)
    return PolicyRefused(
        "instance_id",
        f"{instance_id} is no target of policy '{policy.name}' (its targets: {known})",
        "correct the id, or add it to the policy's targets",
    )
