"""Faults that a test orders: calls whose answer is lost after the effect, and calls that AWS refuses."""

import json
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from typing import Any

Answer = tuple[int, dict[str, str], bytes]
Handler = Callable[..., Awaitable[Answer]]

LOST = "x-sandbox-lost"
XML_SERVICES = {"ec2", "s3", "sns"}


class Faults:
    """The faults ordered, by IAM action (`ec2:CreateSnapshots`); one call uses up one order.

    A dry run is a call of its own: `ec2:CreateSnapshots (DryRun)`.
    """

    def __init__(self) -> None:
        self._lost: dict[str, int] = defaultdict(int)
        self._refusals: dict[str, deque[str]] = defaultdict(deque)

    def lose_answer(self, action: str, times: int = 1) -> None:
        """Let the next calls take effect but break the connection off before their answers arrive."""
        self._lost[action] += times

    def refuse(self, action: str, code: str, times: int = 1) -> None:
        """Answer the next calls with an error of this code, without any effect."""
        self._refusals[action].extend([code] * times)

    def reset(self) -> None:
        """Forget all orders."""
        self._lost.clear()
        self._refusals.clear()

    def wrap(self, service: str, handler: Handler, action_of: Callable[..., str | None]) -> Handler:
        """Return a service's handler with these faults around it."""

        async def faulty(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Answer:
            action = action_of(service, method, path, headers, body, query) or ""
            action += " (DryRun)" if b"DryRun=true" in body else ""
            if self._refusals[action]:
                return _refusal(service, self._refusals[action].popleft())
            status, answer_headers, answer = await handler(method, path, headers, body, query)
            if self._lost[action] > 0:
                self._lost[action] -= 1
                answer_headers = {**answer_headers, LOST: "yes"}
            return status, answer_headers, answer

        return faulty


def _refusal(service: str, code: str) -> Answer:
    message = "A test ordered this refusal."
    if service in XML_SERVICES:
        error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        body = error if service == "s3" else f"<Response><Errors>{error}</Errors></Response>"
        return 503, {"Content-Type": "text/xml"}, body.encode()
    return (
        400,
        {"Content-Type": "application/x-amz-json-1.0"},
        json.dumps({"__type": code, "message": message}).encode(),
    )


def break_off_lost_answers(application: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Wrap an ASGI application so that a lost answer breaks off after its first byte, as a cut connection does.

    Only a chunked answer breaks visibly: botocore takes fewer bytes than announced for the whole answer.
    """

    async def wrapped(scope: dict[str, Any], receive: Any, send: Any) -> None:
        lost = False

        async def send_or_break_off(message: dict[str, Any]) -> None:
            nonlocal lost
            lost = lost or any(name.decode().lower() == LOST for name, _ in message.get("headers", []))
            if lost and message["type"] == "http.response.start":
                headers = [h for h in message["headers"] if h[0].decode().lower() != "content-length"]
                message = {**message, "headers": headers}
            elif lost:
                message = {**message, "body": message["body"][:1], "more_body": True}
            await send(message)

        await application(scope, receive, send_or_break_off)

    return wrapped
