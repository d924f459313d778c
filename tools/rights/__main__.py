"""Compare what each function's code calls with what its role allows, both ways: ``python -m tools.rights``.

A call without its right is red, and so is a right without its call, each within its folder, document or condition.
The actions, and the kinds of resources that each knows, come from the service authorization reference as cfn-lint
carries it (pinned in uv.lock).
"""

import json
import re
import sys
from collections.abc import Callable, Iterable
from functools import cache
from importlib.resources import files
from typing import Any

from botocore import xform_name
from botocore.session import Session

from tests.support.project import resources, step_of
from tests.template.permissions import listed, statements
from tools.rights import machines
from tools.rights.calls import Call, Reach, all_calls, reach_of
from tools.rights.scopes import LISTING, NoScope, scopes_of_call, scopes_of_statement

Statements = Callable[[str], Iterable[dict[str, Any]]]
# What IAM calls otherwise than the API: service authorization reference; S3 user guide, "Required permissions for
# Amazon S3 API operations".
NAMES = {
    "s3:ListObjectsV2": "s3:ListBucket",
    "lambda:Invoke": "lambda:InvokeFunction",
    "stepfunctions:DescribeExecution": "states:DescribeExecution",
    "stepfunctions:GetExecutionHistory": "states:GetExecutionHistory",
}
TOGETHER = "dynamodb:TransactWriteItems"
TAGS = ("ec2:CreateTags",)
NEW_UNDER_A_KEY = ("kms:CreateGrant", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext")
FROM_KEY_TO_KEY = (*NEW_UNDER_A_KEY, "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo")
STARTED_UNDER_A_KEY = ("kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey")
# What a call needs beside its own action, as the code uses it; keys: EBS user guide (sandbox/aws/keys.py).
BESIDE = {
    "ec2:CreateSnapshots": TAGS,
    "ec2:CreateImage": TAGS,
    "ec2:CreateSecurityGroup": TAGS,
    "ec2:CreateVolume": (*TAGS, *FROM_KEY_TO_KEY),
    "ec2:RunInstances": (*TAGS, *STARTED_UNDER_A_KEY, "iam:PassRole"),
    "ec2:StartInstances": STARTED_UNDER_A_KEY,
    "ec2:CopySnapshot": (*TAGS, *NEW_UNDER_A_KEY, "kms:Decrypt"),
    "ec2:DeregisterImage": ("ec2:DeleteSnapshot",),  # DeleteAssociatedSnapshots
    "scheduler:CreateSchedule": ("iam:PassRole",),
    "scheduler:UpdateSchedule": ("iam:PassRole",),
    "ec2:ModifySnapshotTier": STARTED_UNDER_A_KEY,
    "ec2:RestoreSnapshotTier": STARTED_UNDER_A_KEY,
    "ebs:GetSnapshotBlock": ("kms:Decrypt",),
    "ebs:StartSnapshot": (*TAGS, *NEW_UNDER_A_KEY, "kms:Decrypt", "kms:GenerateDataKey"),
}
# The kinds of resources that a call names here, each of which has to be allowed.
KINDS = {
    "ec2:AttachVolume": {"instance", "volume"},
    "ec2:CreateImage": {"image", "instance", "snapshot"},
    "ec2:CreateSecurityGroup": {"security-group", "vpc"},
    "ec2:CreateSnapshots": {"instance", "snapshot", "volume"},
    "ec2:CreateVolume": {"snapshot", "volume"},
    "ec2:DeleteTags": {"instance", "volume"},
    "ec2:DetachVolume": {"instance", "volume"},
    "ec2:ModifyInstanceAttribute": {"instance", "security-group", "volume"},
    "ec2:RunInstances": {
        *("image", "instance", "key-pair", "network-interface", "security-group", "snapshot", "subnet", "volume"),
    },
    "ssm:SendCommand": {"document", "instance"},
}


Right = tuple[str, str]
"""An action, and within what: a folder, a document, ``created`` or ``existing``; mostly empty."""


@cache
def needed(step: str) -> dict[Right, str]:
    """Return the rights that a step's code needs, each with a place that needs it.

    Raises:
        NoScope: the tool does not know within what a call needs its right.
    """
    found = {("s3:ListBucket", f"{folder}/"): f"functions/{step}" for folder in LISTING.get(step, ())}
    reach = reach_of(step)
    for call in sorted(reach.calls):
        for right in _rights(call, reach):
            found.setdefault(right, call.place)
    return found


def differences(statements_of: Statements = statements) -> list[str]:
    """Return what roles lack, what they have too much, and what does not fit the reference.

    Args:
        statements_of: gives the statements of a function's role; by default the template's.
    """
    found, reached = [], set()
    for function in resources("AWS::Serverless::Function"):
        step, statements_here = step_of(function), list(statements_of(function))
        reached |= {call.place for call in reach_of(step).calls}
        try:
            found += _compared(function, needed(step), statements_here)
        except NoScope as unknown:
            found.append(f"{function}: {unknown}")
        found += [f"{function}: {problem}" for statement in statements_here for problem in misplaced(statement)]
    return found + [f"{place} uses a client, and no function reaches it" for place in sorted(all_calls() - reached)]


def _compared(function: str, needs: dict[Right, str], statements_here: list[dict[str, Any]]) -> list[str]:
    may = _allowed(statements_here)
    found = [f"{function} may not {_words(r)}, which {needs[r]} needs" for r in sorted(needs.keys() - may.keys())]
    found += [f"{function} may {_words(r)}, and nothing of it needs that" for r in sorted(may.keys() - needs.keys())]
    for right in sorted(needs.keys() & may.keys()):
        lacking = sorted(KINDS.get(right[0], set()) - may[right])
        found += [f"{function} may not {_words(right)} on any {kind}" for kind in lacking]
    return found


def _words(right: Right) -> str:
    action, scope = right
    return f"{action} ({scope})" if scope else action


def misplaced(statement: dict[str, Any]) -> list[str]:
    """Say which actions of a statement do not exist, or do not know one of its resources."""
    problems = []
    for action in listed(statement["Action"]):
        service, name = action.split(":")
        known = reference()[service]["Actions"].get(name.lower())
        if known is None:
            problems.append(f"{action} is no action of {service}")
            continue
        kinds = set(known.get("Resources", ()))
        for resource in map(_text, listed(statement["Resource"])):
            if resource == "*" and kinds:
                problems.append(f"{action} on everything, although it knows {', '.join(sorted(kinds))}")
            elif resource.startswith("arn:") and not kinds & kinds_of(service, resource):
                problems.append(f"{action} knows no resource like {resource}")
    return problems


@cache
def kinds_of(service: str, arn: str) -> set[str]:
    """Return the kinds of resources, of this service and of EC2, whose ARNs begin like this one."""
    plain = re.sub(r"\$\{[^}]+\}", "x", arn).split(":", 5)
    found = set()
    for owner in {service, plain[2]} & reference().keys():
        for kind, described in reference()[owner]["Resources"].items():
            formats = [each.split(":", 5)[5] for each in described["ARNFormats"]]
            if any(each.split("/")[0].split(":")[0] == plain[5].split("/")[0].split(":")[0] for each in formats):
                found.add(kind)
    return found


@cache
def reference() -> dict[str, Any]:
    """Return the service authorization reference, by service."""
    text = (files("cfnlint") / "data" / "AdditionalSpecs" / "Policies.json").read_text()
    return dict(json.loads(text))


def _allowed(statements_here: list[dict[str, Any]]) -> dict[Right, set[str]]:
    """Return the rights that are allowed, each with the kinds of resources that it is allowed on."""
    may: dict[Right, set[str]] = {}
    beside: dict[str, set[str]] = {}
    for statement in statements_here:
        texts = [text for text in map(_text, listed(statement["Resource"])) if text.startswith("arn:")]
        for action in listed(statement["Action"]):
            kinds = {kind for text in texts for kind in kinds_of(action.partition(":")[0], text)}
            scopes = [*scopes_of_statement(action, statement)]
            for scope in scopes:
                may.setdefault((action, scope), set()).update(kinds)
            if not scopes:  # of what the action has in each scope: servers, beside the documents that are sent to them
                beside.setdefault(action, set()).update(kinds)
    return {(action, scope): kinds | beside.get(action, set()) for (action, scope), kinds in may.items()}


def _text(resource: Any) -> str:
    return str(next(iter(resource.values()))) if isinstance(resource, dict) else str(resource)


@cache
def _apis(service: str) -> dict[str, str]:
    return {xform_name(name): name for name in Session().get_service_model(service).operation_names}


def _rights(call: Call, reach: Reach) -> Iterable[Right]:
    action = f"{call.service}:{_apis(call.service)[call.operation]}"
    if action == TOGETHER:
        # Each write of a transaction needs the right to it alone (DynamoDB developer guide, "IAM policies").
        made = {name for _, name, _ in reach.seen}
        yield from (
            (f"dynamodb:{kind}Item", "") for kind in ("Put", "Update", "Delete") if f"Write.{kind.lower()}" in made
        )
        return
    own = NAMES.get(action, action)
    for each in (own, *BESIDE.get(action, ())):
        yield from ((each, scope) for scope in scopes_of_call(each, call, own, reach))


if __name__ == "__main__":
    sys.exit("\n".join(differences() + machines.differences()) or 0)
