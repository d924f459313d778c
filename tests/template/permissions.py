"""Make the permissions table of docs/reference/reference.md from the template.

``python -m tests.template.permissions`` prints it.
"""

import re
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.support.project import resources

HEAD = ("Function", "Action", "Resource", "Condition", "Why")


class Permission(NamedTuple):
    """One statement of one function's role; ``why`` is its Sid."""

    function: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: str
    why: str


def permissions() -> list[Permission]:
    """Return every statement of every function's role: those under the function, then those of managed policies."""
    functions = resources("AWS::Serverless::Function")
    return [_permission(name, statement) for name in functions for statement in statements(name)]


def statements(function: str) -> Iterator[dict[str, Any]]:
    """Give the statements of a function's role, those of the template's managed policies among them."""
    managed = resources("AWS::IAM::ManagedPolicy")
    for policy in resources("AWS::Serverless::Function")[function]["Properties"].get("Policies", []):
        document = managed[policy["Ref"]]["Properties"]["PolicyDocument"] if "Ref" in policy else policy
        yield from document["Statement"]


def listed(value: Any) -> list[Any]:
    """Return as a list what IAM lets be one value or several."""
    return value if isinstance(value, list) else [value]


def row(permission: Permission) -> str:
    """Return a permission as a row of the table."""
    cells = (
        permission.function.removesuffix("Function"),
        ", ".join(f"`{action}`" for action in permission.actions),
        ", ".join(f"`{resource}`" for resource in permission.resources),
        f"`{permission.condition}`" if permission.condition else "",
        permission.why,
    )
    return f"| {' | '.join(cells)} |"


def table() -> str:
    """Return the whole table."""
    return "\n".join([f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|", *map(row, permissions())])


def _permission(function: str, statement: dict[str, Any]) -> Permission:
    conditions = [
        f"{operator} {key} {', '.join(map(_text, listed(value)))}"
        for operator, keys in statement.get("Condition", {}).items()
        for key, value in keys.items()
    ]
    where = tuple(_short(_text(resource)) for resource in listed(statement["Resource"]))
    return Permission(function, tuple(listed(statement["Action"])), where, "; ".join(conditions), statement["Sid"])


def _text(value: Any) -> str:
    """Return a value as the template's short tags write it."""
    return str(next(iter(value.values()))) if isinstance(value, dict) else str(value)


def _short(resource: str) -> str:
    return re.sub(r"\$\{AWS::\w+\}", "", resource).split(":", 5)[5] if resource.startswith("arn:") else resource


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
