"""IAM: what the role of an instance profile may do, as its policy simulator says; nothing is called in its name."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from quiesce.aws.clients import ANY_REFUSAL, repeatable
from quiesce.doctor.rights import Decision, Question, Right, Rights, judged

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient


def rights_of(client: "IAMClient", profile: str, questions: Sequence[Question]) -> Rights:
    """Return what the role of an instance profile, by its ARN, lacks; without an answer of IAM's that is not known.

    A network may have no way to IAM, and an account may keep it closed: no other line of a diagnosis hangs on it.
    """
    name = profile.rpartition("/")[2]
    try:
        role = _role_of(client, name)
        if not role:
            return Rights(lacks=("a role",))
        return judged(role.rpartition("/")[2], [(each, _decisions(client, role, each)) for each in questions])
    except ANY_REFUSAL as error:
        return Rights(why=f"IAM gave no answer: {error}")


def _role_of(client: "IAMClient", name: str) -> str:
    """Return the ARN of a profile's role, empty if it has none."""
    with repeatable("iam:GetInstanceProfile"):
        roles = client.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Roles"]
        return next((role["Arn"] for role in roles), "")


def _decisions(client: "IAMClient", role: str, question: Question) -> dict[Right, Decision]:
    context: Any = [
        {"ContextKeyName": key, "ContextKeyValues": [*values], "ContextKeyType": _type_of(key)}
        for key, values in question.context.items()
    ]
    with repeatable("iam:SimulatePrincipalPolicy"):
        pages = client.get_paginator("simulate_principal_policy").paginate(
            PolicySourceArn=role,
            ActionNames=question.actions,
            ResourceArns=question.resources,
            ContextEntries=context,
        )
        return dict(right for page in pages for result in page["EvaluationResults"] for right in _rights(result))


def _rights(result: Any) -> Iterator[tuple[Right, Decision]]:
    """Yield what a result says: of its own resource, and of each that it lists beneath."""
    action = result["EvalActionName"]
    yield (action, result.get("EvalResourceName", "*")), _decision(result, "EvalDecision")
    for each in result.get("ResourceSpecificResults", []):
        yield (action, each["EvalResourceName"]), _decision(each, "EvalResourceDecision")


def _decision(result: Any, field: str) -> Decision:
    return Decision(result[field] == "allowed", tuple(result.get("MissingContextValues", [])))


def _type_of(key: str) -> str:
    return "stringList" if key == "aws:TagKeys" else "string"
