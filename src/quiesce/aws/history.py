"""What Step Functions knows of an execution: whether it has ended, and what its states had left."""

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from quiesce.aws.clients import repeatable

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

# An event can hold a whole state document, 256 KiB.
EVENTS_OF_A_PAGE = 10


def ended_at(client: "SFNClient", execution: str) -> datetime | None:
    """Return when an execution ended, None while it runs.

    Raises:
        AwsThrottled, AwsUnavailable: retried by the state machine.
        AccessDenied: not retried.
    """
    with repeatable("states:DescribeExecution"):
        described = client.describe_execution(executionArn=execution)
        return None if described["status"] == "RUNNING" else described["stopDate"]


def last_document(client: "SFNClient", execution: str) -> Any:
    """Return the newest input or output of a state in an execution's history; None if it entered none.

    Raises:
        AwsThrottled, AwsUnavailable: retried by the caller's machinery.
        AccessDenied: not retried.
    """
    with repeatable("states:GetExecutionHistory"):
        pages = client.get_paginator("get_execution_history").paginate(
            executionArn=execution, reverseOrder=True, PaginationConfig={"PageSize": EVENTS_OF_A_PAGE}
        )
        for page in pages:
            for event in page["events"]:
                if event["type"].endswith("StateEntered"):
                    return json.loads(event["stateEnteredEventDetails"]["input"])
                if event["type"].endswith("StateExited"):
                    return json.loads(event["stateExitedEventDetails"]["output"])
    return None
