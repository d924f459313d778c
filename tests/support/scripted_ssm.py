"""Systems Manager by script: it gives only the answers that a test orders, checked against botocore's own model."""

import json
from collections import deque
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import boto3
import botocore.session
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.model import Shape
from botocore.validate import ParamValidator

from quiesce.aws.ssm import Guest
from quiesce.clock import Clock
from quiesce.guest.documents import VERBS, Documents
from tests.support.factories.run import INSTANCE

# All verbs, in the version that a plan took.
THE_DOCUMENT = Documents(dict.fromkeys(VERBS, "the-document"), {"the-document": "3"})
COMMAND_ID = "11111111-2222-3333-4444-555555555555"


@dataclass(frozen=True)
class Refusal:
    """An error that SSM answers with."""

    code: str
    status: int = 400


Answer = dict[str, Any] | Refusal | Exception


@cache
def _shape(operation: str) -> Shape:
    shape = botocore.session.get_session().get_service_model("ssm").operation_model(operation).output_shape
    assert shape is not None
    return shape


def check(operation: str, answer: Answer) -> None:
    """Refuse an answer that SSM could not give."""
    if isinstance(answer, dict):
        report = ParamValidator().validate(answer, _shape(operation))
        assert not report.has_errors(), report.generate_report()


@dataclass
class ScriptedSsm:
    """One server behind SSM, and the clock of the code under test; each call takes ``call_s``."""

    now_s: float = 1000.0
    call_s: float = 0.0
    sent: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    pauses_s: list[float] = field(default_factory=list)
    _orders: dict[str, deque[Answer]] = field(default_factory=dict)
    _for_ever: dict[str, Answer] = field(default_factory=dict)

    def says(self, operation: str, *answers: Answer) -> None:
        """Order the next answers to an operation."""
        for answer in answers:
            check(operation, answer)
            self._orders.setdefault(operation, deque()).append(answer)

    def always_says(self, operation: str, answer: Answer) -> None:
        """Order the answer to an operation once no other answer is left."""
        check(operation, answer)
        self._for_ever[operation] = answer

    def takes_the_command(self) -> None:
        """Let the next SendCommand succeed."""
        self.says("SendCommand", {"Command": {"CommandId": COMMAND_ID}})

    def unused(self) -> list[str]:
        """Return the operations with unused answers."""
        return [operation for operation, answers in self._orders.items() if answers]

    def guest(self) -> Guest:
        """Return the product's client of the server, on this clock."""
        once = Config(retries={"total_max_attempts": 1})
        client = boto3.client(
            "ssm", region_name="eu-central-1", aws_access_key_id="test", aws_secret_access_key="test", config=once
        )
        client.meta.events.register_first("before-send.ssm", self._answer)
        return Guest(client, THE_DOCUMENT, INSTANCE, Clock(monotonic=lambda: self.now_s, sleep=self._sleep))

    def _sleep(self, seconds: float) -> None:
        assert seconds > 0, "a pause of no length makes a busy loop"
        self.pauses_s.append(seconds)
        self.now_s += seconds

    def _answer(self, request: AWSPreparedRequest, event_name: str, **_: Any) -> AWSResponse:
        operation = event_name.rpartition(".")[2]
        self.sent.append((operation, json.loads(request.body or b"{}")))
        self.now_s += self.call_s
        orders = self._orders.get(operation)
        answer = orders.popleft() if orders else self._for_ever.get(operation)
        assert answer is not None, f"the test ordered no answer to {operation}"
        if isinstance(answer, Exception):
            raise answer
        status, body = 200, answer
        if isinstance(answer, Refusal):
            status, body = answer.status, {"__type": answer.code, "message": "ordered by the test"}
        response = AWSResponse(request.url, status, {"Content-Type": "application/x-amz-json-1.1"}, None)
        response._content = json.dumps(body).encode()
        return response
