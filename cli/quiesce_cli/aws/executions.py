"""Executions of the stack's machines: start one, follow it state by state, and know how it ended."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from quiesce.aws.clients import code_of, repeatable
from quiesce.errors import AwsUnavailable
from quiesce.executions import Failure, cause_of
from quiesce_cli.aws.stack import client, once
from quiesce_cli.troubles import NotReachable, Usage

# Most states of a run take seconds, waiting for snapshots takes hours.
LOOK_EVERY_S, LOOK_AT_MOST_EVERY_S, SLOWER_BY = 1.0, 10.0, 1.15


class Entered(NamedTuple):
    """A state that an execution entered, and the seconds since its start."""

    state: str
    after_s: float


@dataclass(frozen=True)
class Ended:
    """How an execution ended: its status, its output, and the error of one that failed."""

    status: str
    output: Any
    error: str
    cause: str
    seconds: float


class Running(NamedTuple):
    """An execution that has not ended."""

    arn: str
    name: str
    started_at: datetime


def start(machine: str, data: Mapping[str, Any], name: str) -> str:
    """Start an execution under a name, and return its ARN; it is sent once.

    Raises:
        NotReachable: the answer was lost, and it may have started; the remedy says how to find out.
    """
    try:
        with repeatable("states:StartExecution"):
            started = once("stepfunctions").start_execution(
                stateMachineArn=machine, input=json.dumps(dict(data)), name=name
            )
            return str(started["executionArn"])
    except AwsUnavailable as error:
        if isinstance(error.__cause__, ReadTimeoutError | ConnectionClosedError):
            problem = f"AWS did not answer, and '{name}' may have been started"
            raise NotReachable(problem, f"look before you start another: quiesce follow {name}") from error
        raise


def find(machines: Sequence[str], name: str) -> str:
    """Return the ARN of the execution with this name, of the first machine that has one.

    Raises:
        Usage: none has.
    """
    arns = (
        [name]
        if name.startswith("arn:")
        else [f"{m.replace(':stateMachine:', ':execution:')}:{name}" for m in machines]
    )
    for arn in arns:
        try:
            _describe(arn)
        except ClientError as error:
            if code_of(error) not in ("ExecutionDoesNotExist", "InvalidArn"):
                raise
        else:
            return arn
    raise Usage(f"no run or recovery is called '{name}'", "quiesce status shows what runs, quiesce points what has run")


def running(machine: str) -> list[Running]:
    """Return what runs now."""
    with repeatable("states:ListExecutions"):
        pages = client("stepfunctions").get_paginator("list_executions")
        found = pages.paginate(stateMachineArn=machine, statusFilter="RUNNING")
        return [
            Running(each["executionArn"], each["name"], each["startDate"])
            for page in found
            for each in page["executions"]
        ]


def follow(arn: str, sleep: Callable[[float], None]) -> Iterator[Entered | None]:
    """Yield each state as the execution enters it, and None after each look, until it has ended."""
    seen, pause = 0, LOOK_EVERY_S
    while True:
        over = _describe(arn)["status"] != "RUNNING"
        events = _events(arn)
        for event in events[seen:]:
            if "stateEnteredEventDetails" in event:
                since = (event["timestamp"] - events[0]["timestamp"]).total_seconds()
                yield Entered(event["stateEnteredEventDetails"]["name"], since)
        seen = len(events)
        if over:
            return
        yield None
        sleep(pause)
        pause = min(pause * SLOWER_BY, LOOK_AT_MOST_EVERY_S)


def ended(arn: str) -> Ended:
    """Return how an execution ended; one that has not has the status RUNNING."""
    described = _describe(arn)
    stopped = described.get("stopDate", described["startDate"])
    seconds = (stopped - described["startDate"]).total_seconds()
    output = json.loads(described["output"]) if described.get("output") else None
    if not described.get("error"):
        return Ended(described["status"], output, "", str(described.get("cause") or ""), seconds)
    cause = cause_of(Failure(Error=described["error"], Cause=described.get("cause") or ""))
    return Ended(described["status"], output, cause.error, cause.words, seconds)


def _describe(arn: str) -> Any:
    with repeatable("states:DescribeExecution"):
        return client("stepfunctions").describe_execution(executionArn=arn)


def _events(arn: str) -> list[Any]:
    with repeatable("states:GetExecutionHistory"):
        pages = client("stepfunctions").get_paginator("get_execution_history")
        # Without the documents: they are up to 256 KiB an event.
        found = pages.paginate(executionArn=arn, includeExecutionData=False)
        return [event for page in found for event in page["events"]]
