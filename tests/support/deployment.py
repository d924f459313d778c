"""Deploy a SAM template straight to the sandbox's CloudFormation, much faster than `sam deploy`.

For tests. The layer's dependencies are those that `src/requirements.txt` names, copied from this interpreter's packages
instead of downloaded; another test runs the real `sam build` and `sam deploy`.
"""

import io
import json
import re
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sandbox.aws.interpreter import ARCHITECTURE, RUNTIME, packages_needed_by
from sandbox.gateway import Sandbox

CODE = {
    "AWS::Serverless::Function": "CodeUri",
    "AWS::Serverless::LayerVersion": "ContentUri",
    "AWS::Serverless::StateMachine": "DefinitionUri",
}
# Of the layer that holds nothing of ours.
REQUIREMENTS = {"PageLayer": "requirements-page.txt"}


def deploy(
    aws: Sandbox, project: Path, stack: str = "quiesce", parameters: dict[str, str] | None = None
) -> dict[str, str]:
    """Deploy `template.yaml` of a project, and return the stack's outputs.

    Args:
        aws: a running sandbox.
        project: the folder of the template.
        stack: name of the stack; it must not exist yet.
        parameters: override the template's defaults; Runtime and Architecture default to this machine's.

    Raises:
        botocore.exceptions.WaiterError: the stack was not created.
    """
    s3, cloudformation, bucket = aws.client("s3"), aws.client("cloudformation"), f"{stack}-deployment"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": aws.region})
    cloudformation.create_stack(**_stack(s3, project, stack, parameters or {}))
    waiter = cloudformation.get_waiter("stack_create_complete")
    waiter.wait(StackName=stack, WaiterConfig={"Delay": 0.05, "MaxAttempts": 400})
    return outputs(aws, stack)


def update(aws: Sandbox, project: Path, stack: str, edit: Callable[[dict[str, Any]], object] = lambda _: None) -> str:
    """Update a stack from a project's template, changed by ``edit``; return the status in which the update ended."""
    cloudformation = aws.client("cloudformation")
    cloudformation.update_stack(**_stack(aws.client("s3"), project, stack, {}, edit))
    while True:
        [described] = cloudformation.describe_stacks(StackName=stack)["Stacks"]
        if not described["StackStatus"].endswith("_IN_PROGRESS"):
            return str(described["StackStatus"])
        time.sleep(0.05)


def _stack(
    s3: Any,
    project: Path,
    stack: str,
    parameters: dict[str, str],
    edit: Callable[[dict[str, Any]], object] = lambda _: None,
) -> dict[str, Any]:
    """Upload what the template names, as `sam package` does, and return what CloudFormation is asked for."""
    from samcli.yamlhelper import yaml_parse

    bucket = f"{stack}-deployment"
    template = yaml_parse((project / "template.yaml").read_text())
    edit(template)

    def upload_includes(node: Any) -> None:
        for name, value in node.items() if isinstance(node, dict) else enumerate(node):
            if name == "Fn::Transform":
                location = value["Parameters"]["Location"]
                s3.put_object(Bucket=bucket, Key=location, Body=(project / location).read_bytes())
                value["Parameters"]["Location"] = f"s3://{bucket}/{location}"
            elif isinstance(value, dict | list):
                upload_includes(value)

    upload_includes(template)
    for name, resource in template["Resources"].items():
        if name == "Fn::Transform":
            continue
        property_name = CODE.get(resource["Type"])
        if property_name:
            source = project / resource["Properties"][property_name]
            s3.put_object(Bucket=bucket, Key=name, Body=_package(name, resource["Type"], source))
            resource["Properties"][property_name] = {"Bucket": bucket, "Key": name}
    given = {"Runtime": RUNTIME, "Architecture": ARCHITECTURE, **parameters}
    return {
        "StackName": stack,
        "TemplateBody": json.dumps(template, default=str),
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    }


def outputs(aws: Sandbox, stack: str = "quiesce") -> dict[str, str]:
    """Return the outputs of a stack, by key."""
    described = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}


def _package(name: str, kind: str, source: Path) -> bytes:
    if source.is_file():
        return source.read_bytes()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package:
        files = _layer_files(source, name) if kind.endswith("LayerVersion") else _files_under(source)
        for path, inside in files:
            package.write(path, inside)
    return archive.getvalue()


def _files_under(folder: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path, str(path.relative_to(folder))


def _layer_files(source: Path, layer: str) -> Iterator[tuple[Path, str]]:
    """Yield what src/Makefile puts into a layer: the package itself, and the dependencies in its requirements."""
    if layer not in REQUIREMENTS:
        for path, name in _files_under(source):
            yield path, f"python/{name}"
    requirements: Any = (source / REQUIREMENTS.get(layer, "requirements.txt")).read_text()
    for package in packages_needed_by(tuple(re.findall(r"^([\w.-]+)==", requirements, re.MULTILINE))).values():
        for file in package.files or []:
            path = Path(str(package.locate_file(file)))
            if file.parts[0] != ".." and path.is_file():
                yield path, f"python/{file}"
