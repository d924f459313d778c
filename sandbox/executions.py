"""Follow an execution of a state machine through its own history."""

import time
from collections.abc import Iterator
from typing import Any

from sandbox.gateway import Sandbox

LOOK_EVERY_S = 0.1


def follow(aws: Sandbox, execution_arn: str) -> Iterator[tuple[str, float]]:
    """Yield each state that the history shows as entered, and the seconds since the start, until the execution ends."""
    states, seen = aws.client("stepfunctions"), 0
    while True:
        running = states.describe_execution(executionArn=execution_arn)["status"] == "RUNNING"
        pages = states.get_paginator("get_execution_history").paginate(executionArn=execution_arn)
        events = [event for page in pages for event in page["events"]]
        for event in events[seen:]:
            if "stateEnteredEventDetails" in event:
                since_start = event["timestamp"] - events[0]["timestamp"]
                yield event["stateEnteredEventDetails"]["name"], since_start.total_seconds()
        seen = len(events)
        if not running:
            return
        time.sleep(LOOK_EVERY_S)


def wait_for(aws: Sandbox, execution_arn: str) -> dict[str, Any]:
    """Wait for an execution's end, and return what DescribeExecution answers then."""
    for _ in follow(aws, execution_arn):
        pass
    described: dict[str, Any] = aws.client("stepfunctions").describe_execution(executionArn=execution_arn)
    return described
