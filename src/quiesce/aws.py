"""Clients whose retries we know, a count of what they sent, and AWS's error codes in our words."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from quiesce.errors import AccessDenied, AwsThrottled, AwsUnavailable

# A change without a token must not be sent twice: botocore would, after a lost answer (boto3 guide, "Retries").
ONCE = Config(retries={"total_max_attempts": 1}, connect_timeout=3, read_timeout=20)
REPEATABLE = Config(retries={"mode": "standard", "total_max_attempts": 4}, connect_timeout=3, read_timeout=20)

THROTTLED = {
    "RequestLimitExceeded",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "SlowDown",
    "ProvisionedThroughputExceededException",
    "TooManyRequestsException",
    "EC2ThrottledException",
}
DENIED = {
    "UnauthorizedOperation",
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "AuthorizationErrorException",
}

_sent: Counter[str] = Counter()


def counted(client: Any) -> Any:
    """Count every request that this client sends, retries too, and return the client."""
    client.meta.events.register("before-send", _count)
    return client


def _count(event_name: str, **_kwargs: Any) -> None:
    _, service, operation = event_name.split(".", 2)
    _sent[f"{service}:{operation}"] += 1


def take_calls() -> dict[str, int]:
    """Return the calls counted since the last time, as ``service:Operation`` to number."""
    calls = dict(_sent)
    _sent.clear()
    return calls


def add_calls(*counts: dict[str, int]) -> dict[str, int]:
    """Return the sum of several counts of calls."""
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(sorted(total.items()))


def code_of(error: ClientError) -> str:
    """Return AWS's error code, such as ``InvalidInstanceID.NotFound``."""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def repeatable(call: str) -> Iterator[None]:
    """Translate the errors of a call that is safe to repeat; what the caller understands itself, it catches inside.

    Raises:
        AwsThrottled: retried by the state machine.
        AwsUnavailable: no answer, or a server's fault; retried by the state machine.
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
