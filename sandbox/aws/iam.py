"""IAM for the functions' roles: checks every resource that a call names, and keeps every decision.

MiniStack's evaluator decides. But for a call of EC2 or SSM, MiniStack guesses one resource, and it allows what it does
not know. So `ec2_permissions.py`, `ebs.py` and `ssm.py` derive the permissions that a call needs, and an action without
a rule is denied.
"""

from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id, get_region, new_uuid
from ministack.core.router import extract_access_key_id
from ministack.services import iam as ministack_iam

from sandbox.aws import ec2_permissions, keys
from sandbox.aws.faults import Answer, Handler
from sandbox.aws.not_enforced import SERVICES_NOT_ENFORCED

# MiniStack names the right resource for these.
RESOURCE_BY_MINISTACK = frozenset(
    f"{service}:{action}"
    for service, actions in {
        "s3": "GetBucketVersioning GetObject GetObjectVersion PutObject DeleteObject ListBucket ListBucketVersions",
        "dynamodb": "GetItem BatchGetItem PutItem UpdateItem DeleteItem Query ConditionCheckItem",
        "sns": "ListSubscriptionsByTopic Publish",
        "lambda": "InvokeFunction",
        "states": "DescribeExecution GetExecutionHistory ListExecutions StartExecution",
        "sts": "GetCallerIdentity",
        "cloudformation": "DescribeStacks",
        "cloudwatch": "DescribeAlarms",
    }.items()
    for action in actions.split()
)


RESOURCE_BY_SSM = frozenset(
    f"ssm:{action}"
    for action in (
        "SendCommand",
        "GetCommandInvocation",
        "ListCommands",
        "ListCommandInvocations",
        "DescribeInstanceInformation",
        "DescribeDocument",
        "GetParameter",
    )
)
RESOURCE_BY_EBS = frozenset(
    f"ebs:{action}"
    for action in (
        "ListSnapshotBlocks",
        "GetSnapshotBlock",
        "ListChangedBlocks",
        "StartSnapshot",
        "PutSnapshotBlock",
        "CompleteSnapshot",
    )
)
RESOURCE_BY_SCHEDULER = frozenset(
    f"scheduler:{action}Schedule{'s' * (action == 'List')}" for action in ("Create", "Update", "Get", "Delete", "List")
)
RESOURCE_BY_SIMULATOR = frozenset({"iam:GetInstanceProfile", "iam:SimulatePrincipalPolicy"})
Permission = ec2_permissions.Permission


def is_known(action: str) -> bool:
    """Whether the sandbox has a rule for the resources of an action."""
    by_service = RESOURCE_BY_EBS | RESOURCE_BY_SSM | RESOURCE_BY_SCHEDULER | RESOURCE_BY_SIMULATOR
    known = action in RESOURCE_BY_MINISTACK | by_service | keys.ACTIONS | {"iam:PassRole"}
    return known or action.removeprefix("ec2:") in ec2_permissions.RULES


@dataclass(frozen=True)
class Decision:
    """One decision about a call of a role; `sids` are the statements that allow it."""

    role: str
    action: str
    resource: str
    allowed: bool
    sids: tuple[str, ...]


class DecisionLog:
    """Every decision since the start, for the least-privilege report."""

    def __init__(self) -> None:
        self.decisions: list[Decision] = []

    def denied(self, stack: str) -> list[Decision]:
        """The decisions that denied a call to a role of a stack."""
        return [
            decision for decision in self.decisions if not decision.allowed and decision.role.startswith(f"{stack}-")
        ]

    def unused(self, stack: str) -> list[tuple[str, str, str]]:
        """Role, Sid and action of every grant to a stack's functions that no call has needed so far."""
        used = {(d.role, sid, d.action) for d in self.decisions for sid in d.sids}
        roles = (role for role in ministack_iam._roles.values() if role["RoleName"].startswith(f"{stack}-"))
        return sorted(grant for role in roles for grant in _grants(role) if grant not in used)


def _grants(role: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Role, Sid and action of what a function's role allows, by its own statements or by managed policies."""
    if "lambda.amazonaws.com" not in str(role["AssumeRolePolicyDocument"]):
        return
    documents = iam_evaluator._gather_role_policies(role["RoleName"], get_account_id())
    for statement in (statement for statements in documents for statement in statements):
        if statement.effect == "Allow":
            enforced = (action for action in statement.actions if not action.startswith(SERVICES_NOT_ENFORCED))
            yield from ((role["RoleName"], statement.sid, action) for action in enforced)


def refuse_ec2(backend: Any, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Answer | None:
    """Check an EC2 call on every resource it names; return the denial if one of them is not allowed."""
    parameters = {name: value[0] if isinstance(value, list) else value for name, value in query.items()}
    parameters |= dict(parse_qsl(body.decode()))
    permissions = ec2_permissions.needed(backend, parameters.get("Action", ""), parameters)
    return refuse("ec2", permissions, headers, query)


def refuse(
    service: str, permissions: list[Permission], headers: dict[str, str], query: dict[str, Any]
) -> Answer | None:
    """Check all permissions that a call needs; return the denial if one of them is not granted."""
    key = extract_access_key_id(headers, query)
    for action, arn, context in permissions:
        denial = iam_evaluator.enforce(key, action, service, get_region(), resource_arn=arn, service_context=context)
        if denial:
            return _refusal(service, action, arn, denial, headers)
    return None


def hide_missing_objects(handler: Handler) -> Handler:
    """Answer 403 instead of 404 to a role that may not list the bucket.

    Source: AWS, S3 API reference, GetObject: without s3:ListBucket a missing object gives Access Denied. In this
    decision s3:prefix is the object's name, as Ceph found when it followed AWS (ceph/ceph, pull request 68577).
    """

    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Answer:
        answer = await handler(method, path, headers, body, query)
        bucket, _, name = path.strip("/").partition("/")
        if answer[0] != HTTPStatus.NOT_FOUND or method not in {"GET", "HEAD"} or not name:
            return answer
        key, arn = extract_access_key_id(headers, query), f"arn:aws:s3:::{bucket}"
        context = {"s3:prefix": name}
        denial = iam_evaluator.enforce(
            key, "s3:ListBucket", "s3", get_region(), resource_arn=arn, service_context=context
        )
        return _refusal("s3", "s3:ListBucket", arn, denial, headers) if denial else answer

    return handle


def _refusal(service: str, action: str, arn: str, denial: Any, headers: dict[str, str]) -> Answer:
    code, message = "", ""
    if isinstance(denial, iam_evaluator.AuthError):
        code = denial.code
    else:
        message = iam_actions.identity_denial_message(action, denial.principal_arn, arn, denial.decision == "Deny")
        message = f"You are not authorized to perform this operation. {message}"
    answer: Answer = iam_actions.access_denied_response(
        service, action, "", new_uuid(), error_code=code, message=message, headers=headers
    )
    return answer


_statements: ContextVar[list[tuple[str, tuple[str, ...]]] | None] = ContextVar("_statements", default=None)
"""Role and allowing Sids of the decision being made, once its identity's own policies have been evaluated."""


def install(log: DecisionLog) -> None:
    """Make MiniStack leave to `refuse` what we check ourselves, deny unknown actions, and keep every decision."""
    extract = iam_actions.extract_iam_action
    evaluate, enforce = iam_evaluator.evaluate, iam_evaluator.enforce

    def action_or_unknown(service: str, *request: Any) -> str | None:
        if service in {"ebs", "ec2", "ssm", "scheduler"}:
            return None
        found = extract(service, *request) or f"{service}:UnknownToTheSandbox"
        return None if found in RESOURCE_BY_SIMULATOR else found

    def evaluate_known_actions(context: Any, policies: Any, *limits: Any) -> Any:
        if not is_known(context.action):
            policies = []
        seen = _statements.get()
        if seen == [] and context.principal_type == "AssumedRole":  # resource policies come after the identity's
            statements = (statement for document in policies for statement in document)
            allowing = tuple(s.sid for s in statements if evaluate(context, [[s]]).decision == "Allow")
            seen.append((context.principal_arn.split("/")[1], allowing))
        return evaluate(context, policies, *limits)

    def enforce_and_keep(
        key: str, action: str, service: str, region: str, *, resource_arn: str = "*", **rest: Any
    ) -> Any:
        if action == "cloudwatch:DescribeAlarms" and resource_arn == "*":
            # API reference, DescribeAlarms: of metric alarms it needs those alone, of composite ones everything.
            resource_arn = f"arn:aws:cloudwatch:{region}:{get_account_id()}:alarm:*"
        seen: list[tuple[str, tuple[str, ...]]] = []
        token = _statements.set(seen)
        try:
            denial = enforce(key, action, service, region, resource_arn=resource_arn, **rest)
        finally:
            _statements.reset(token)
        log.decisions += [Decision(role, action, resource_arn, denial is None, sids) for role, sids in seen]
        return denial

    iam_actions.extract_iam_action = action_or_unknown
    iam_evaluator.evaluate = evaluate_known_actions
    iam_evaluator.enforce = enforce_and_keep
