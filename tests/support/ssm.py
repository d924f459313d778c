"""Systems Manager in the test's own process: the sandbox answers clients of SSM, on the test's clock."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import yaml
from botocore.config import Config

from sandbox.aws.run_command import RunCommand, respond

GUEST = Path(__file__).parents[2] / "guest"


@cache
def guest_document(kind: str, bucket: str, region: str) -> dict[str, Any]:
    """Return the guest's document ``look``, ``act`` or ``mend`` as CloudFormation makes it for a stack's bucket."""
    return made(yaml.safe_load((GUEST / f"{kind}.yaml").read_text()), bucket, region)


def made(content: Any, bucket: str, region: str) -> dict[str, Any]:
    """Return a document's content as CloudFormation makes it for a stack with this bucket."""
    values = {"${Bucket}": bucket, "${AWS::Region}": region, "${AWS::URLSuffix}": "amazonaws.com"}

    def resolved(node: Any) -> Any:
        if isinstance(node, list):
            return [resolved(each) for each in node]
        if not isinstance(node, dict):
            return node
        if set(node) != {"Fn::Sub"}:
            return {key: resolved(each) for key, each in node.items()}
        text = str(node["Fn::Sub"])
        for name, value in values.items():
            text = text.replace(name, value)
        return text

    document: dict[str, Any] = resolved(content)
    return document


def client_of(service: RunCommand, region: str = "eu-central-1") -> Any:
    """Return a client of SSM whose requests go to this service, without retries of its own."""
    config = Config(retries={"total_max_attempts": 1})
    client = boto3.client(
        "ssm", region_name=region, aws_access_key_id="test", aws_secret_access_key="test", config=config
    )
    answer: Callable[..., Any] = lambda request, **_: respond(service, request)  # noqa: E731
    client.meta.events.register_first("before-send.ssm", answer)
    return client
