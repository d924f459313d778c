"""Lambda: a function that is warmed up has started before it is needed."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from quiesce.aws.clients import repeatable

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

WARM_UP = {"warm_up": True}
"""What such a function gets; no state document has this field."""
ACCEPTED = 202


def warm_up(functions: "LambdaClient", names: Sequence[str]) -> None:
    """Have Lambda start each function, and do not wait until it has.

    Lambda keeps what it has started for some time, and AWS does not say for how long (Lambda developer guide, the page
    on the lifecycle).

    Args:
        functions: must not retry by itself, since the caller has better things to do.
        names: of the functions.

    Raises:
        AwsThrottled, AwsUnavailable, AccessDenied, ClientError: this one and those after it start when they are called.
    """
    for name in names:
        with repeatable("lambda:Invoke"):
            answer = functions.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(WARM_UP).encode())
            if answer["StatusCode"] != ACCEPTED:
                raise ValueError(f"status {answer['StatusCode']} for {name}")
