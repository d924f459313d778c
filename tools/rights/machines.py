"""What state machines need beside their functions, and what functions need of the stack's own key."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from tests.support.project import definition, resources, step_of
from tests.template.permissions import listed
from tools.rights.calls import Reach, reach_of

Statements = Callable[[str], Iterable[Mapping[str, Any]]]
# Step Functions developer guide, "IAM policies for integrated services": nested executions, and Distributed Map. A
# machine hears of the end of what it started by a rule of Step Functions.
STARTS_AND_WAITS = (
    *("states:StartExecution", "states:DescribeExecution", "states:StopExecution"),
    *("events:PutTargets", "events:PutRule", "events:DescribeRule"),
)
INTEGRATIONS: Mapping[str, tuple[str, ...]] = {
    ":function:": (),  # SAM's LambdaInvokePolicy: test_permissions.py
    ":states:startExecution.sync:2": STARTS_AND_WAITS,
    # Behind the one that also fits it: this one waits for nothing.
    ":states:startExecution": ("states:StartExecution",),
}
DISTRIBUTED = ("states:StartExecution", "states:DescribeExecution", "states:StopExecution")
READERS: Mapping[str, str] = {":s3:getObject": "s3:GetObject"}
# What such a machine may do with itself can't stand in its own role, which its definition needs before it exists.
WITH_ITSELF = {
    "PolicyMachine": "MayRunMaps",
    "RetentionMachine": "MayRunRetentionMap",
    "DoctorMachine": "MayRunDoctorMap",
}
# What a service asks the key for, in the caller's name (S3 user guide, SSE-KMS; SNS and DynamoDB developer guides).
OF_THE_KEY: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("s3", "get_object"): ("kms:Decrypt",),
    ("s3", "put_object"): ("kms:Decrypt", "kms:GenerateDataKey"),
    ("sns", "publish"): ("kms:Decrypt", "kms:GenerateDataKey"),
}
KEY_POLICY = "MayUseOurKey"


def statements(name: str) -> Iterator[Mapping[str, Any]]:
    """Give the statements of a machine's role but for SAM's own, or those of a managed policy that names its roles."""
    managed = resources("AWS::IAM::ManagedPolicy")
    for policy in (
        resources("AWS::Serverless::StateMachine")
        .get(name, {"Properties": {}})["Properties"]
        .get("Policies", [{"Ref": name}])
    ):
        if "Ref" in policy:
            yield from managed[policy["Ref"]]["Properties"]["PolicyDocument"]["Statement"]
        elif "Statement" in policy:
            yield from policy["Statement"]
    if name in WITH_ITSELF:
        yield from managed[WITH_ITSELF[name]]["Properties"]["PolicyDocument"]["Statement"]


def differences(statements_of: Statements = statements) -> list[str]:
    """Return what machines, and functions under the stack's key, may not do although they need it, and the reverse."""
    needs = {
        machine: set(_needed(definition(machine), machine)) for machine in resources("AWS::Serverless::StateMachine")
    }
    needs[KEY_POLICY] = _needed_of_the_key(reach_of(step_of(f)) for f in resources("AWS::Serverless::Function"))
    found = []
    for name, needed in needs.items():
        may = {right for statement in statements_of(name) for right in _allowed(statement)}
        found += [f"{name} may not {action}, which it needs" for action in sorted(needed - may)]
        found += [f"{name} may {action}, and nothing of it needs that" for action in sorted(may - needed)]
    return found


def _allowed(statement: Mapping[str, Any]) -> Iterator[str]:
    """Give the actions that a statement allows, those of Step Functions with the machine of which it allows them."""
    machines = re.findall(r"\$\{(\w+)\.Name\}|'Ref': '(\w+Machine)'", str(statement["Resource"]))
    of = [first or second for first, second in machines]
    for action in listed(statement["Action"]):
        yield from (f"{action} of {machine}" for machine in of) if action.startswith("states:") else [action]


def _needed(node: Any, machine: str) -> Iterator[str]:
    """Give the actions that the states below need, and the name of an integration that the table above lacks."""
    if isinstance(node, list):
        for each in node:
            yield from _needed(each, machine)
    if not isinstance(node, dict):
        return
    if node.get("Type") == "Task":
        resource = str(node["Resource"])
        known = [actions for ending, actions in INTEGRATIONS.items() if ending in resource]
        other = str(node.get("Parameters", {}).get("StateMachineArn")).rpartition(":")[2]
        yield from (
            _of(other, known[0])
            if known
            else (f"[{resource}: say what it needs in INTEGRATIONS of tools/rights/machines.py]",)
        )
    if node.get("Mode") == "DISTRIBUTED":
        yield from _of(machine, DISTRIBUTED)
    if "ItemReader" in node:
        yield next(action for ending, action in READERS.items() if ending in node["ItemReader"]["Resource"])
    for each in node.values():
        yield from _needed(each, machine)


def _of(machine: str, actions: Iterable[str]) -> Iterator[str]:
    yield from (f"{action} of {machine}" if action.startswith("states:") else action for action in actions)


def _needed_of_the_key(reaches: Iterable[Reach]) -> set[str]:
    calls = {(call.service, call.operation) for reach in reaches for call in reach.calls}
    return {action for call in calls for action in OF_THE_KEY.get(call, ())}
