"""KMS is MiniStack's; EC2 and EBS here take its keys for a customer's, and those that are disabled for unusable."""

from typing import Any

from ministack.services import kms

from sandbox.aws.faults import Answer, Handler
from sandbox.aws.keys import KEYS


def followed(handler: Handler) -> Handler:
    """Let EBS know of the keys after each call."""

    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Answer:
        answer = await handler(method, path, headers, body, query)
        for key in kms._keys.values():
            KEYS.customers.add(key["Arn"])
            # KMS developer guide, key states: a key that is disabled or pending deletion cannot be used.
            (KEYS.denied.discard if key["KeyState"] == "Enabled" else KEYS.denied.add)(key["Arn"])
        return answer

    return handle
