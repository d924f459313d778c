"""State machines defined in YAML, which CloudFormation converts and MiniStack passes on as they are."""

import json
from typing import Any

import yaml
from ministack.services.cloudformation import provisioners


def as_json(definition: str) -> str:
    """A state machine's definition as JSON, whether it is written in JSON or YAML.

    Source: AWS, CloudFormation user guide, AWS::StepFunctions::StateMachine S3Location: "a JSON or YAML file". It is
    read after the substitutions were made in its text, which MiniStack does as AWS does:
    aws-cloudformation/aws-cloudformation-resource-providers-stepfunctions, DefinitionProcessor.java.
    """
    return json.dumps(yaml.safe_load(definition))


def install() -> None:
    """Give MiniStack's engine every definition as JSON."""
    original = provisioners._sfn_definition

    def definition_as_json(properties: dict[str, Any]) -> str:
        return as_json(original(properties))

    provisioners._sfn_definition = definition_as_json
