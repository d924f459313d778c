"""Deploy the project's template under the verification's own name, with a bucket of its own for the code."""

import os
import tempfile
from pathlib import Path
from typing import Any

from tools.verify_on_aws.calls import Whatever
from tools.verify_on_aws.session import TAG, Verification

ROOT = Path(__file__).resolve().parents[2]


def code_bucket(name: str, account: str) -> str:
    """Return the name of the bucket for the code: bucket names are unique in the world."""
    return f"{name}-code-{account}"


def deploy(it: Verification, account: str, runtime: str, architecture: str, server_role: str) -> None:
    """Build and deploy the template, and take down the stack's outputs and resources."""
    bucket = code_bucket(it.name, account)
    place: dict[str, Any] = {"CreateBucketConfiguration": {"LocationConstraint": it.region}}
    it.calls("s3:CreateBucket", Bucket=bucket, **({} if it.region == "us-east-1" else place))
    environment = {**os.environ, "QUIESCE_RUNTIME": runtime, "QUIESCE_ARCHITECTURE": architecture}
    with tempfile.TemporaryDirectory() as folder:
        build = f"{folder}/build"
        # Of its own: the project's asks for SAM's bucket, which would stay behind.
        Path(folder, "samconfig.toml").write_text("version = 0.1\n")
        config = ["--config-file", f"{folder}/samconfig.toml"]
        it.calls.command(["sam", "build", "--build-dir", build, *config], ROOT, environment)
        parameters = [f"Runtime={runtime}", f"Architecture={architecture}"]
        parameters += [f"ServerRoles={server_role}"] if server_role else []
        it.calls.command(
            [
                *("sam", "deploy", "--template-file", f"{build}/template.yaml", *config),
                *("--stack-name", it.name, "--s3-bucket", bucket, "--region", it.region),
                *("--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset", "--no-fail-on-empty-changeset"),
                *("--tags", f"{TAG}={it.name}", "--parameter-overrides", *parameters),
            ],
            ROOT,
            environment,
        )
    look_at_stack(it)


def look_at_stack(it: Verification) -> None:
    """Take down the outputs of the stack, and the physical names of its resources, by type and by logical id."""
    stack = it.calls("cloudformation:DescribeStacks", StackName=it.name)["Stacks"][0]
    listed = it.calls("cloudformation:DescribeStackResources", StackName=it.name)["StackResources"]
    if isinstance(stack, Whatever):
        it.outputs, it.resources = Whatever("output"), Whatever("resource")
        return
    it.outputs = {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}
    it.resources = {}
    for each in listed:
        it.resources.setdefault(each["ResourceType"], []).append(each["PhysicalResourceId"])
        it.resources[each["LogicalResourceId"]] = each["PhysicalResourceId"]
