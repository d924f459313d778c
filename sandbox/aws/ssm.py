"""Systems Manager behind MiniStack's front: Run Command over HTTP, its permissions, and documents from CloudFormation.

It replaces MiniStack's own SSM, which runs a command's shell text on this machine.
"""

import asyncio
import json
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from ministack.core.responses import get_account_id, get_region
from ministack.services.cloudformation import provisioners

from sandbox.aws import iam
from sandbox.aws.documents import SsmError
from sandbox.aws.ec2 import backend
from sandbox.aws.ec2_permissions import existing
from sandbox.aws.faults import Answer, Handler
from sandbox.aws.run_command import RunCommand, answer

LINK_TIMEOUT_S = 30


def handler(service: RunCommand) -> Handler:
    """The handler of SSM's requests."""

    async def handle(_method: str, _path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Answer:
        target = headers["x-amz-target"]
        permissions = needed(target.rpartition(".")[2], json.loads(body))
        refused = iam.refuse("ssm", permissions, headers, query)
        if refused:
            return refused
        # In a thread, so that the gateway can answer a simulated server that fetches from the bucket meanwhile.
        status, content = await asyncio.to_thread(answer, service, target, body)
        return status, {"Content-Type": "application/x-amz-json-1.1"}, content

    return handle


def needed(operation: str, given: dict[str, Any]) -> list[iam.Permission]:
    """The permissions that a call needs; the role must have all of them.

    Source: AWS, service authorization reference for Systems Manager: SendCommand needs the document and each instance,
    whose tags are condition keys; DescribeDocument and GetDocument the document; GetCommandInvocation and
    DescribeInstanceInformation have none. The ARN of a document of AWS's own has no account.
    """
    action, resources = f"ssm:{operation}", ["*"]
    where = f"{get_region()}:{get_account_id()}"
    if operation in ("DescribeDocument", "GetDocument"):
        resources = [f"arn:aws:ssm:{where}:document/{given.get('Name')}"]
    if operation == "SendCommand":
        instances = [existing(backend(get_account_id(), get_region()), i) for i in given.get("InstanceIds", [])]
        name = given.get("DocumentName", "")
        owner = f"{get_region()}:" if name.startswith("AWSEC2-") else where
        document = f"arn:aws:ssm:{owner}:document/{name}"
        return [(action, document, {}), *((action, arn, tags) for arn, tags in instances)]
    if operation == "GetParameter":  # a public parameter's ARN has no account
        resources = [f"arn:aws:ssm:{get_region()}::parameter{given['Name']}"]
    return [(action, resource, {}) for resource in resources]


def install_documents(service: RunCommand) -> None:
    """Let CloudFormation create documents; Ref is the name, an update adds a version.

    Source of what an update does with a content that SSM has already: aws-cloudformation-resource-providers-ssm,
    UpdateHandler.java ("no changes to document were made"). A rollback is an update with the old content.
    """

    def create(logical_id: str, properties: dict[str, Any], stack_name: str) -> tuple[str, dict[str, Any]]:
        name = provisioners._physical_name(stack_name, logical_id)
        service.put_document(name, properties["Content"])
        return name, {}

    def update(name: str, old: dict[str, Any], new: dict[str, Any], _stack_name: str) -> tuple[str, dict[str, Any]]:
        if {key for key in old | new if old.get(key) != new.get(key)} != {"Content"}:
            raise ValueError("The sandbox knows an update of a document's Content only")
        if new.get("UpdateMethod") != "NewVersion":
            raise ValueError("The sandbox knows the UpdateMethod NewVersion only")
        try:
            service.put_document(name, new["Content"])
        except SsmError as error:
            if error.code != "DuplicateDocumentContent":
                raise
        return name, {}

    def delete(name: str, _properties: dict[str, Any]) -> None:
        service.documents.pop(name, None)

    provisioners._RESOURCE_HANDLERS["AWS::SSM::Document"] = {"create": create, "update": update, "delete": delete}


class BucketLinks(NamedTuple):
    """Follows a server's presigned links to the sandbox; a link's own host is signed and goes into the Host header."""

    endpoint: str

    def get(self, link: str) -> bytes | None:
        """Download from a link; None where a server would get an error."""
        return self._follow(link, "GET", None)

    def put(self, link: str, content: bytes) -> bool:
        """Upload to a link; False where a server would get an error."""
        return self._follow(link, "PUT", content) is not None

    def _follow(self, link: str, method: str, content: bytes | None) -> bytes | None:
        parts = urlsplit(link)
        where = f"{self.endpoint}{parts.path}?{parts.query}"
        request = Request(where, content, {"Host": parts.netloc}, method=method)
        try:
            with urlopen(request, timeout=LINK_TIMEOUT_S) as answered:
                found: bytes = answered.read()
                return found
        except HTTPError as refused:
            refused.close()
            return None
