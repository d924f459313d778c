"""The EBS direct APIs behind MiniStack's front: their permissions, and the simulated service."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

from ministack.core.responses import get_account_id, get_region

from sandbox.aws import ec2, iam
from sandbox.aws.direct_apis import ApiError, Call, DirectApis, call_of, told
from sandbox.aws.ec2_permissions import existing
from sandbox.aws.faults import Answer, Handler
from sandbox.aws.keys import KEYS, to_read, to_write


def _permissions(backend: Any, call: Call, body: bytes) -> list[iam.Permission]:
    """The permissions that a request needs.

    Source: AWS, service authorization reference for Amazon Elastic Block Store: all actions require the snapshot, whose
    tags are `aws:ResourceTag`. StartSnapshot has condition keys of its own, and with tags it needs ec2:CreateTags, for
    which the reference lists no ec2:CreateAction.
    """
    if call.operation == "StartSnapshot":
        return list(_starting(json.loads(body)))
    arn, context = existing(backend, call.snapshot_id)
    return [(f"ebs:{call.operation}", arn, context)]


def _starting(request: dict[str, Any]) -> Iterator[iam.Permission]:
    new = f"arn:aws:ec2:{get_region()}::snapshot/"
    tags = {f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in request.get("Tags", [])}
    context: dict[str, Any] = tags | {"aws:TagKeys": [tag["Key"] for tag in request.get("Tags", [])]} if tags else {}
    own = {"ebs:VolumeSize": str(request.get("VolumeSize", ""))}
    own |= {"ebs:Description": request["Description"]} if "Description" in request else {}
    own |= {"ebs:ParentSnapshot": new + request["ParentSnapshotId"]} if "ParentSnapshotId" in request else {}
    yield "ebs:StartSnapshot", f"{new}*", {**context, **own}
    if tags:
        yield "ec2:CreateTags", f"{new}*", context


def _uses_of_keys(backend: Any, call: Call, body: bytes) -> list[iam.Permission]:
    """The uses of a customer's key that a request needs of its caller."""
    snapshot_id = call.snapshot_id
    if call.operation == "StartSnapshot":
        snapshot_id = json.loads(body).get("ParentSnapshotId", "")
    key = KEYS.of(backend.snapshots[snapshot_id]) if snapshot_id in backend.snapshots else ""
    if call.operation == "GetSnapshotBlock":
        return to_read(key, snapshot_id)
    return to_write(key) if call.operation in ("StartSnapshot", "PutSnapshotBlock") else []


def handler(service: DirectApis) -> Handler:
    """The handler of requests for blocks; both snapshots of a comparison must be allowed."""

    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Answer:
        given = {name: value[0] if isinstance(value, list) else value for name, value in query.items()}
        backend, call = ec2.backend(get_account_id(), get_region()), call_of(method, path)
        permissions = _permissions(backend, call, body)
        if first := given.get("firstSnapshotId"):
            permissions.append((f"ebs:{call.operation}", *existing(backend, first)))
        refused = iam.refuse("ebs", permissions, headers, query)
        if refused:
            return refused
        with ec2.called_by(headers, query):
            if not KEYS.may(_uses_of_keys(backend, call, body)):
                return told(ApiError("AccessDeniedException", "DEPENDENCY_ACCESS_DENIED", "The key may not be used."))
        return await asyncio.to_thread(service.answer, method, path, given, headers, body)

    return handle
