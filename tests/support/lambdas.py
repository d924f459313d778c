"""Lambda, as a function asks it to start another one: the real handler runs at once, and nobody hears its answer."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from moto.core.botocore_stubber import MockRawResponse

from tests.support.environment import STACK
from tests.support.project import step_of

INVOKE = re.compile(r"https://lambda\.[a-z0-9-]+\.amazonaws\.com/2015-03-31/functions/([\w-]+)/invocations")


@dataclass
class Lambda:
    """What answers for Lambda; ``started`` are the steps that were, with what each was given."""

    apps: Mapping[str, ModuleType]
    started: list[tuple[str, Any]] = field(default_factory=list)

    def respond(self, request: AWSPreparedRequest) -> AWSResponse:
        """Start a function of the stack as an event; raise AssertionError on anything else."""
        asked = INVOKE.fullmatch(request.url)
        assert asked is not None, request.url
        assert request.headers["X-Amz-Invocation-Type"] in ("Event", b"Event"), "only an event is not waited for"
        step, payload = step_of(asked[1].removeprefix(f"{STACK}-")), json.loads(request.body)
        self.started.append((step, payload))
        self.apps[step].handler(payload, SimpleNamespace(aws_request_id="started", function_name=step))
        return AWSResponse(request.url, 202, {}, MockRawResponse(b""))
