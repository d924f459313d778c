"""IAM behind MiniStack's front: the permissions of what the doctor asks of it, and the policy simulator."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id
from ministack.services import iam as ministack_iam

from sandbox.aws import iam
from sandbox.aws.faults import Answer, Handler
from sandbox.aws.policy_simulator import simulated


def handler(original: Handler) -> Handler:
    """MiniStack's IAM with this simulator, and with the permissions of what the doctor asks of it."""

    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Answer:
        given = {name: value[0] if isinstance(value, list) else value for name, value in query.items()}
        given |= dict(parse_qsl(body.decode()))
        refused = iam.refuse("iam", needed(given), headers, query)
        if refused or given.get("Action") != "SimulatePrincipalPolicy":
            return refused or await original(method, path, headers, body, query)
        return _by_ministack(given)

    return handle


def needed(given: Mapping[str, str]) -> list[iam.Permission]:
    """The permission that a call of IAM needs, by the service authorization reference; of other calls none."""
    named = {
        "GetInstanceProfile": f"arn:aws:iam::{get_account_id()}:instance-profile/{given.get('InstanceProfileName')}",
        "SimulatePrincipalPolicy": given.get("PolicySourceArn", ""),
    }
    action = given.get("Action", "")
    return [(f"iam:{action}", named[action], {})] if f"iam:{action}" in iam.RESOURCE_BY_SIMULATOR else []


def _by_ministack(given: Mapping[str, str]) -> Answer:
    name = given["PolicySourceArn"].rpartition("/")[2]
    if name not in ministack_iam._roles:
        missing: Answer = ministack_iam._error(404, "NoSuchEntity", f"The role {name} cannot be found.", ns="iam")
        return missing
    entries = _prefixes(given, "ContextEntries")
    results = simulated(
        iam_evaluator._gather_role_policies(name, get_account_id()),
        [given[each] for each in _prefixes(given, "ActionNames")],
        [given[each] for each in _prefixes(given, "ResourceArns")],
        {
            given[f"{entry}.ContextKeyName"]: [given[each] for each in _prefixes(given, f"{entry}.ContextKeyValues")]
            for entry in entries
        },
    )
    body = "".join(f"<member>{_in_xml(result)}</member>" for result in results)
    body = f"<EvaluationResults>{body}</EvaluationResults><IsTruncated>false</IsTruncated>"
    call = "SimulatePrincipalPolicy"
    answer: Answer = ministack_iam._xml(200, f"{call}Response", f"<{call}Result>{body}</{call}Result>", ns="iam")
    return answer


def _prefixes(given: Mapping[str, str], name: str) -> list[str]:
    """Return what the list's members' parameters begin with, in their order."""
    numbers = {
        key.removeprefix(f"{name}.member.").partition(".")[0] for key in given if key.startswith(f"{name}.member.")
    }
    return [f"{name}.member.{number}" for number in sorted(numbers, key=int)]


def _in_xml(result: Mapping[str, Any]) -> str:
    missing = "".join(f"<member>{escape(key)}</member>" for key in result["MissingContextValues"])
    named = "".join(f"<{name}>{escape(result[name])}</{name}>" for name in result if name.startswith("Eval"))
    return f"{named}<MissingContextValues>{missing}</MissingContextValues>"
