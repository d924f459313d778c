"""The product's own files, as tests read them: the template and the definitions of the state machines."""

import re
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.support.environment import ACCOUNT, REGION

ROOT = Path(__file__).parents[2]


@cache
def template() -> dict[str, Any]:
    """Return template.yaml with CloudFormation's short tags in their long form (``{"Fn::GetAtt": "Table.Arn"}``)."""
    yaml = YAML(typ="safe", pure=True)
    yaml.constructor.add_multi_constructor("!", _long_form)
    return dict(yaml.load((ROOT / "template.yaml").read_text()))


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """Return the template's resources of one type, by logical id."""
    return {name: resource for name, resource in template()["Resources"].items() if resource["Type"] == kind}


def step_of(function: str) -> str:
    """Return the name of a function's folder, which is its step."""
    return Path(template()["Resources"][function]["Properties"]["CodeUri"]).name


@cache
def definition(machine: str = "BackupMachine") -> dict[str, Any]:
    """Return a state machine's definition as deployed, with the template's value for each ``${Name}``."""
    properties = template()["Resources"][machine]["Properties"]
    text = (ROOT / properties["DefinitionUri"]).read_text()
    arns = {name: function_arn(value) for name, value in properties["DefinitionSubstitutions"].items()}
    return dict(YAML(typ="safe", pure=True).load(re.sub(r"\$\{(\w+)\}", lambda match: arns[match[1]], text)))


def function_arn(value: dict[str, str]) -> str:
    """Return the ARN of ``!GetAtt <function>.Arn`` in tests; its last part is the logical id."""
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{value['Fn::GetAtt'].removesuffix('.Arn')}"


def _long_form(constructor: Any, tag: Any, node: Any) -> dict[str, Any]:
    name = str(tag).lstrip("!")
    match node.id:
        case "scalar":
            value: Any = node.value
        case "sequence":
            value = constructor.construct_sequence(node, deep=True)
        case _:
            value = constructor.construct_mapping(node, deep=True)
    return {name if name in ("Ref", "Condition") else f"Fn::{name}": value}
