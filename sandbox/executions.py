"""Follow an execution of a state machine through its own history."""

import time
from collections.abc import Iterator
from typing import Any

from .gateway import Sandbox

LOOK_EVERY_S = 0.02


def follow(aws: Sandbox, execution_arn: str) -> Iterator[str]:
    """The names of the states in the order in which the history says they were entered, as it grows; ends with it."""
    states, seen = aws.client("stepfunctions"), 0
    while True:
        running = states.describe_execution(executionArn=execution_arn)["status"] == "RUNNING"
        pages = states.get_paginator("get_execution_history").paginate(executionArn=execution_arn)
        events = [event for page in pages for event in page["events"]]
        yield from (e["stateEnteredEventDetails"]["name"] for e in events[seen:] if "stateEnteredEventDetails" in e)
        seen = len(events)
        if not running:
            return
        time.sleep(LOOK_EVERY_S)


def wait_for(aws: Sandbox, execution_arn: str) -> dict[str, Any]:
    """What DescribeExecution says once the execution has ended."""
    for _ in follow(aws, execution_arn):
        pass
    described: dict[str, Any] = aws.client("stepfunctions").describe_execution(executionArn=execution_arn)
    return described
