"""The product's own files, as tests read them: the template and the definitions of the state machines.

``python -m tests.support.project statemachine/backup.asl.yaml`` prints a definition as it is deployed,
``python -m tests.support.project template.yaml`` the template with the resources that it includes.
"""

import json
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.support.environment import ACCOUNT, BUCKET, REGION

ROOT = Path(__file__).parents[2]
# The included files that are not CloudFormation's: what servers run.
GUEST = ("guest/look.yaml", "guest/act.yaml", "guest/mend.yaml")


@cache
def template() -> dict[str, Any]:
    """Return template.yaml with all that it includes but the guest's documents, and short tags in their long form."""
    return dict(_included(yaml_of_template()))


@cache
def yaml_of_template() -> dict[str, Any]:
    """Return template.yaml as it stands, with short tags in their long form."""
    yaml = YAML(typ="safe", pure=True)
    yaml.constructor.add_multi_constructor("!", _long_form)
    return dict(yaml.load((ROOT / "template.yaml").read_text()))


def includes() -> list[str]:
    """Return the files that the template includes, as it writes them."""
    return re.findall(
        r"\{Name: AWS::Include, Parameters: \{Location: ([^\s}]+)\}\}", (ROOT / "template.yaml").read_text()
    )


def _included(node: Any) -> Any:
    """Put its file in place of each ``AWS::Include``; short tags are an error there, as they are to CloudFormation."""
    match node:
        case {"Fn::Transform": {"Parameters": {"Location": location}}, **rest} if location not in GUEST:
            return _included(rest) | YAML(typ="safe", pure=True).load((ROOT / location).read_text())
        case dict():
            return {name: _included(value) for name, value in node.items()}
        case list():
            return [_included(value) for value in node]
    return node


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """Return the template's resources of one type, by logical id."""
    return {name: resource for name, resource in template()["Resources"].items() if resource["Type"] == kind}


def step_of(function: str) -> str:
    """Return the name of a function's folder, which is its step."""
    return Path(template()["Resources"][function]["Properties"]["CodeUri"]).name


@cache
def definition(machine: str = "BackupMachine") -> dict[str, Any]:
    """Return a state machine's definition as it is deployed."""
    return dict(YAML(typ="safe", pure=True).load(definition_text(machine)))


def definition_text(machine: str) -> str:
    """Return a state machine's file with each ``${Name}`` replaced in its text, before anything is read of it.

    Source: aws-cloudformation/aws-cloudformation-resource-providers-stepfunctions, DefinitionProcessor.java.
    """
    properties = template()["Resources"][machine]["Properties"]
    values = {name: substitution(value) for name, value in properties["DefinitionSubstitutions"].items()}
    text = (ROOT / properties["DefinitionUri"]).read_text()
    return re.sub(r"\$\{(\w+)\}", lambda match: values[match[1]], text)


def substitution(value: Any) -> str:
    """Return what CloudFormation makes of a value of DefinitionSubstitutions."""
    match value:
        case {"Fn::GetAtt": _}:
            return function_arn(value)
        case {"Fn::FindInMap": [mapping, key, name]}:
            return str(template()["Mappings"][mapping][key][name])
        case {"Ref": "Bucket"}:
            return BUCKET
        case {"Ref": machine}:
            return f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{machine}"
        case {"Fn::Sub": str(text)}:
            return text.replace("${AWS::Partition}", "aws")
        case {"Fn::Sub": [text, values]}:
            return re.sub(r"\$\{(\w+)\}", lambda match: substitution(values[match[1]]), text)
    raise ValueError(f"the tests do not know what CloudFormation makes of {value}")


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


if __name__ == "__main__":
    [written_as] = sys.argv[1:]
    machines = {
        resource["Properties"]["DefinitionUri"]: name
        for name, resource in resources("AWS::Serverless::StateMachine").items()
    }
    json.dump(template() if written_as == "template.yaml" else definition(machines[written_as]), sys.stdout)
