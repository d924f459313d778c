"""The faults of AWS, and the error of ours that each becomes."""

import pytest

from quiesce.aws.clients import REPEATABLE
from tests.support.wire import Fault, refused, unreachable

# How often boto3 sends a call that is safe to repeat.
ATTEMPTS = REPEATABLE.retries["total_max_attempts"]
THROTTLED = {
    "ec2": refused("RequestLimitExceeded", 503),
    "s3": refused("SlowDown", 503),
    "dynamodb": refused("ProvisionedThroughputExceededException"),
    "sns": refused("Throttling"),
}
DENIED = {
    "ec2": refused("UnauthorizedOperation", 403),
    "s3": refused("AccessDenied", 403),
    "dynamodb": refused("AccessDeniedException"),
    "sns": refused("AuthorizationError", 403),
}
FAULT = {
    "ec2": refused("InternalError", 500),
    "s3": refused("InternalError", 500),
    "dynamodb": refused("InternalServerError", 500),
    "sns": refused("InternalFailure", 500),
}


def each_fault(calls: list[tuple[str, int]]) -> list[pytest.ParameterSet]:
    """Return for the nth request of each call each fault, with the number of requests sent and the error's name."""
    cases: list[pytest.ParameterSet] = []
    for call, nth in calls:
        service = call.partition(":")[0]
        kinds: list[tuple[str, Fault, int, str]] = [
            ("throttled", THROTTLED[service], ATTEMPTS, "AwsThrottled"),
            ("a fault of AWS", FAULT[service], ATTEMPTS, "AwsUnavailable"),
            ("unreachable", unreachable, ATTEMPTS, "AwsUnavailable"),
            ("denied", DENIED[service], 1, "AccessDenied"),
        ]
        cases += [
            pytest.param(call, nth, fault, times, name, id=f"{call} {nth} {kind}") for kind, fault, times, name in kinds
        ]
    return cases
