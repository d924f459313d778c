"""The HTTP layer between boto3 and moto: a log of what is sent, and faults in what comes back.

Faults belong here and not into a stubbed client, because boto3 retries by itself below the client.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError, ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError
from moto.core.botocore_stubber import BotocoreStubber, MockRawResponse

# What a test itself asks for while it listens.
BY_THE_TEST = {("sfn", "StartExecution")}


class FunctionDied(BaseException):
    """The function's process ends here: out of time, out of memory, or its machine fails."""


Effect = Callable[[], AWSResponse]
Fault = Callable[[Any, Effect], AWSResponse]
"""What happens to one request: the fault may call the effect, which returns the real answer, or not."""


def answer_lost(request: Any, effect: Effect) -> AWSResponse:
    """The call takes effect, but its answer does not arrive in time."""
    effect()
    raise ReadTimeoutError(endpoint_url=request.url)


def answer_garbled(request: Any, effect: Effect) -> AWSResponse:
    """AWS did it; the answer arrives, and is none."""
    effect()
    return AWSResponse(request.url, 200, {}, MockRawResponse(b"\x00 Bad Gateway"))


def connection_closed(request: Any, effect: Effect) -> AWSResponse:
    """The call takes effect, but the connection breaks before the answer."""
    effect()
    raise ConnectionClosedError(endpoint_url=request.url)


def unreachable(request: Any, effect: Effect) -> AWSResponse:
    """The request never arrives."""
    raise ConnectTimeoutError(endpoint_url=request.url)


def refuses_connections(request: Any, effect: Effect) -> AWSResponse:
    """Nothing listens there."""
    raise EndpointConnectionError(endpoint_url=request.url)


def dies_before(request: Any, effect: Effect) -> AWSResponse:
    """The function dies before it sends the request."""
    raise FunctionDied


def dies_after(request: Any, effect: Effect) -> AWSResponse:
    """The call takes effect, but the function dies before it gets the answer."""
    effect()
    raise FunctionDied


def refused(code: str, status: int = 400, message: str = "refused by the test") -> Fault:
    """AWS answers with this error, without an effect."""

    def fault(request: Any, effect: Effect) -> AWSResponse:
        return AWSResponse(request.url, status, {}, MockRawResponse(_error_body(request.url, code, message)))

    return fault


def _error_body(url: str, code: str, message: str) -> bytes:
    error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    if "//ec2." in url:
        return f"<Response><Errors>{error}</Errors><RequestID>test</RequestID></Response>".encode()
    if "//sns." in url or "//iam." in url:
        return f"<ErrorResponse>{error}<RequestId>test</RequestId></ErrorResponse>".encode()
    if "s3." in url:
        return error.encode()
    return f'{{"__type": "com.amazonaws#{code}", "message": "{message}"}}'.encode()


@dataclass
class Wire:
    """The requests that the functions sent, as ``service:Operation``, and the faults that they meet."""

    sent: list[str] = field(default_factory=list)
    answers: dict[str, Callable[[Any], AWSResponse]] = field(default_factory=dict)
    """What answers for a service instead of moto."""
    down: dict[str, Fault] = field(default_factory=dict)
    """What happens to every request to a service that has an outage."""
    _faults: dict[tuple[str, int], Fault] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)
    _listening: bool = False
    _lock: Any = field(default_factory=Lock)

    @contextmanager
    def listen(self, *, on: bool = True) -> Iterator[None]:
        """Log requests and apply faults meanwhile, and only then: a test's own requests are not the functions'."""
        before, self._listening = self._listening, on
        try:
            yield
        finally:
            self._listening = before

    def on(self, call: str, fault: Fault, *, nth: int = 1, times: int = 1) -> None:
        """Let a fault happen to the nth request of this call from now on, and to the following ``times - 1``.

        Args:
            call: as in ``sent``, for example ``ec2:CreateSnapshots``; boto3's own retries count, too.
        """
        first = self._counts.get(call, 0) + nth
        for number in range(first, first + times):
            self._faults[call, number] = fault

    def count(self, call: str) -> int:
        """Return how often a call was sent."""
        return self.sent.count(call)

    def forget(self) -> None:
        """Take back the faults that were ordered and have met nothing: the outage is over."""
        self._faults.clear()
        self.down.clear()

    def unused(self) -> list[str]:
        """Return the faults that no request met."""
        return [f"{call} number {number}" for call, number in self._faults]

    def pass_on(self, event_name: str, request: Any, effect: Effect) -> AWSResponse:
        """Log a function's request, and pass it on or apply its fault."""
        _, service, operation = event_name.split(".", 2)
        if service in self.answers:
            effect = partial(self.answers[service], request)
        if not self._listening or (service, operation) in BY_THE_TEST:
            return effect()
        call = f"{service}:{operation}"
        with self._lock:
            self.sent.append(call)
            self._counts[call] = number = self._counts.get(call, 0) + 1
        fault = self._faults.pop((call, number), None) or self.down.get(service)
        return fault(request, effect) if fault else effect()

    def plug_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put this between every client and moto."""
        answer, wire = BotocoreStubber.__call__, self

        def stub(stubber: BotocoreStubber, event_name: str, request: Any, **kwargs: Any) -> AWSResponse | None:
            if not stubber.enabled:
                return None
            return wire.pass_on(event_name, request, lambda: answer(stubber, event_name, request, **kwargs))

        monkeypatch.setattr(BotocoreStubber, "__call__", stub)
