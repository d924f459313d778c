"""Follow an execution of a state machine through its own history."""

import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from sandbox.gateway import Sandbox

LOOK_EVERY_S = 0.1
# For what a function does by itself after an event, on a machine with other work.
PATIENCE_S = 60
Found = TypeVar("Found")


def follow(aws: Sandbox, execution_arn: str) -> Iterator[tuple[str, float]]:
    """Yield each state that the history shows as entered, and the seconds since the start, until the execution ends."""
    states, seen = aws.client("stepfunctions"), 0
    for _ in aws.changes_of(execution_arn):
        pages = states.get_paginator("get_execution_history").paginate(executionArn=execution_arn)
        events = [event for page in pages for event in page["events"]]
        for event in events[seen:]:
            if "stateEnteredEventDetails" in event:
                since_start = event["timestamp"] - events[0]["timestamp"]
                yield event["stateEnteredEventDetails"]["name"], since_start.total_seconds()
        seen = len(events)


def until(found: Callable[[], Found]) -> Found:
    """Look until something is found, and return it.

    Raises:
        TimeoutError: nothing came in time.
    """
    ends = time.monotonic() + PATIENCE_S
    while not (there := found()):
        if time.monotonic() > ends:
            raise TimeoutError(f"nothing came within {PATIENCE_S} s")
        time.sleep(LOOK_EVERY_S)
    return there


def wait_for(aws: Sandbox, execution_arn: str) -> dict[str, Any]:
    """Wait for an execution's end, and return what DescribeExecution answers then."""
    for _ in aws.changes_of(execution_arn):
        pass
    described: dict[str, Any] = aws.client("stepfunctions").describe_execution(executionArn=execution_arn)
    return described
