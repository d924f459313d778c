"""The EBS direct APIs behind MiniStack's front: their permissions, and the simulated service."""

import asyncio
from typing import Any

from ministack.core.responses import get_account_id, get_region

from sandbox.aws import ec2, iam
from sandbox.aws.direct_apis import DirectApis, call_of
from sandbox.aws.ec2_permissions import existing
from sandbox.aws.faults import Answer, Handler


def handler(service: DirectApis) -> Handler:
    """The handler of requests for blocks.

    Source: AWS, service authorization reference for Amazon Elastic Block Store: both actions require the snapshot,
    whose tags are `aws:ResourceTag`.
    """

    async def handle(_method: str, path: str, headers: dict[str, str], _body: bytes, query: dict[str, Any]) -> Answer:
        call = call_of(path)
        arn, context = existing(ec2.backend(get_account_id(), get_region()), call.snapshot_id)
        refused = iam.refuse("ebs", [(f"ebs:{call.operation}", arn, context)], headers, query)
        if refused:
            return refused
        given = {name: value[0] if isinstance(value, list) else value for name, value in query.items()}
        return await asyncio.to_thread(service.answer, path, given)

    return handle
