"""Clients with known retries and counted calls, and the translation of AWS's error codes into quiesce's errors."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.model import OperationModel
from botocore.parsers import ResponseParserError

from quiesce.calls import counted
from quiesce.errors import AccessDenied, AwsThrottled, AwsUnavailable, QuiesceError

# A change without a token must not be sent twice: botocore would do so after a lost answer (boto3 guide, "Retries").
ONCE = Config(retries={"total_max_attempts": 1}, connect_timeout=3, read_timeout=20)
# During the freeze a step does better to repeat a call than to wait for a slow answer.
HASTY = Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=5)
# For presigned links: the bucket's own regional host, whatever endpoint this process calls.
LINKS = Config(
    signature_version="s3v4",
    s3={"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"},
    ignore_configured_endpoint_urls=True,  # type: ignore[call-arg]  # its stub does not know it yet
)
REPEATABLE = Config(retries={"mode": "standard", "total_max_attempts": 4}, connect_timeout=3, read_timeout=20)

# For calls side by side: EBS throttles a Region's, and botocore then waits longer each time (EBS User Guide, "Retry").
SIDE_BY_SIDE = Config(
    retries={"mode": "standard", "total_max_attempts": 6},
    connect_timeout=3,
    read_timeout=20,
    max_pool_connections=32,
)

# How a call can fail: with one of quiesce's errors, or with one of AWS's that has no translation.
ANY_REFUSAL = (QuiesceError, ClientError)

# What reading an answer ends in that is not what AWS's own model says: in botocore's parser, or where we read a field.
UNREADABLE = (ResponseParserError, LookupError, TypeError, AttributeError, ValueError)

THROTTLED = {
    "RequestLimitExceeded",
    "Throttled",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ProvisionedThroughputExceededException",
    "TooManyRequestsException",
    "EC2ThrottledException",
    # DynamoDB: another transaction is at the same item, or the same one is still under way.
    "TransactionConflictException",
    "TransactionInProgressException",
}
DENIED = {
    "UnauthorizedOperation",
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "AuthorizationErrorException",
}


def client(service: str, config: Config) -> Any:
    """Return a client of a service, whose calls count for the record.

    Args:
        service: as boto3 names it.
        config: its retries and timeouts: ``ONCE``, ``HASTY``, ``REPEATABLE`` or ``LINKS``.
    """
    # boto3's types name each service by a literal of its own.
    made = counted(boto3.client(service, config=config))  # type: ignore[call-overload]
    made.meta.events.register("before-parse", _refuse_garbled)
    if config is ONCE:
        # AWS may close an idle connection just as a request is under way on it, and a function that Lambda had
        # stopped in between learns of it by sending: the answer of a call that must not be repeated would be lost.
        made.meta.events.register("before-send", lambda **_event: made.close())
    return made


def _refuse_garbled(operation_model: OperationModel, response_dict: dict[str, Any], **_event: Any) -> None:
    """Refuse a body that botocore would read as an empty answer: none at all, or a web page.

    An empty answer means that all is well, or, from DynamoDB, that there is no such item.

    Raises:
        ValueError: for ``repeatable``.
    """
    if operation_model.has_streaming_output or response_dict["status_code"] >= 300:  # noqa: PLR2004
        return
    body = response_dict["body"]
    if body[:5].lower() in (b"<html", b"<!doc"):
        raise ValueError("the body is a web page")
    in_json = operation_model.service_model.resolved_protocol in ("json", "rest-json")
    if in_json and not isinstance(json.loads(body), dict):
        raise ValueError("the body is no JSON object")


def code_of(error: ClientError) -> str:
    """Return AWS's error code, such as ``InvalidInstanceID.NotFound``."""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def repeatable(call: str) -> Iterator[None]:
    """Translate the errors of a call that is safe to repeat; inside, the caller catches those that it handles itself.

    The answer is read inside, too, so that one without its fields, or none that can be read, has a name.

    Raises:
        AwsThrottled: retried by the state machine.
        AwsUnavailable: no answer, one that can't be read, or a fault of the service; retried by the state machine.
        AccessDenied: not retried.
    """
    try:
        yield
    except ClientError as error:
        code, status = code_of(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in THROTTLED:
            raise AwsThrottled(f"{call}: {error}") from error
        if code in DENIED:
            raise AccessDenied(f"{call}: {error}") from error
        if status >= 500:  # noqa: PLR2004
            raise AwsUnavailable(f"{call}: {error}") from error
        raise
    except BotoCoreError as error:
        raise AwsUnavailable(f"{call}: {error}") from error
    except UNREADABLE as error:
        raise AwsUnavailable(f"{call}: the answer can't be read ({type(error).__name__}: {error})") from error


def tags_of(resource: Any) -> dict[str, str]:
    """Return the tags of a described resource as a plain mapping."""
    return {tag["Key"]: tag["Value"] for tag in resource.get("Tags", [])}
