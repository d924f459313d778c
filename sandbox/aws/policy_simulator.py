"""IAM's policy simulator: MiniStack's looks at one resource and at nothing of the caller's context, and moto has none.

A role's policies are evaluated as MiniStack evaluates them for a real call, after policy variables such as
``${ec2:InstanceId}`` have got their values from the context.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from moto.core.responses import ActionResult
from moto.iam.exceptions import NotFoundException
from moto.iam.responses import IamResponse

VARIABLE = re.compile(r"\$\{([^}]+)\}")
DECISIONS = {"Allow": "allowed", "Deny": "explicitDeny"}
Context = Mapping[str, Sequence[str]]


def simulated(
    policies: Sequence[Sequence[Any]], actions: Sequence[str], resources: Sequence[str], context: Context
) -> list[dict[str, Any]]:
    """Return EvaluationResults: one for each action and resource.

    API reference, SimulatePrincipalPolicy: without resources ``*``; MissingContextValues are given for ``*`` alone.

    Args:
        policies: the parsed statements of each.
        actions: as ``ec2:CreateTags``.
        resources: ARNs, which may end in wildcards.
        context: the values by condition key, in any case.
    """
    known = {key.lower(): values[0] if len(values) == 1 else [*values] for key, values in context.items()}
    keys = {key for policy in policies for statement in policy for key in _keys(statement.conditions)}
    filled = [[_filled(statement, known) for statement in policy] for policy in policies]
    return [
        {
            "EvalActionName": action,
            "EvalResourceName": resource,
            "EvalDecision": _decision(filled, action, resource, known),
            "MissingContextValues": sorted(key for key in keys if key.lower() not in known) if resource == "*" else [],
        }
        for action in actions
        for resource in resources or ["*"]
    ]


def _decision(policies: Sequence[Sequence[Any]], action: str, resource: str, known: dict[str, Any]) -> str:
    from ministack.core import iam_evaluator

    call = iam_evaluator.EvalContext("", "AssumedRole", "", action, resource, "", service_context=known)
    return DECISIONS.get(iam_evaluator.evaluate(call, policies).decision, "implicitDeny")


def _filled(statement: Any, known: Mapping[str, Any]) -> Any:
    """Return a statement with its variables replaced; one without a value stays as it is, and matches nothing."""
    conditions = json.dumps(statement.conditions)
    conditions = VARIABLE.sub(lambda found: str(known.get(found[1].lower(), found[0])), conditions)
    return replace(statement, conditions=json.loads(conditions))


def _keys(conditions: Mapping[str, Any]) -> Iterator[str]:
    for operator in conditions.values():
        yield from operator
        yield from VARIABLE.findall(json.dumps(operator))


def _by_moto(self: IamResponse) -> ActionResult:
    from ministack.core import iam_evaluator

    arn = self._get_param("PolicySourceArn")
    roles = [role for role in self.backend.roles.values() if role.arn == arn]
    if not roles:
        raise NotFoundException(f"The role with name {arn.rpartition('/')[2]} cannot be found.")
    [role] = roles
    documents = [*role.policies.values(), *(managed.document for managed in role.managed_policies.values())]
    entries = self._get_param("ContextEntries", [])
    results = simulated(
        [iam_evaluator.parse_policy_document(document) for document in documents],
        self._get_param("ActionNames"),
        self._get_param("ResourceArns", []),
        {entry["ContextKeyName"]: entry["ContextKeyValues"] for entry in entries},
    )
    return ActionResult({"EvaluationResults": results, "IsTruncated": False})


def into_moto() -> None:
    """Let moto's IAM answer SimulatePrincipalPolicy of roles; calling it again changes nothing."""
    IamResponse.simulate_principal_policy = _by_moto  # type: ignore[attr-defined]
