"""Whatever keeps a command from its answer is one line with a remedy, and an exit code that scripts can rely on."""

from typing import Any

import pytest
from botocore import exceptions
from botocore.exceptions import ClientError
from quiesce_cli.troubles import NOT_GOOD, NOT_REACHABLE, USAGE, Trouble, trouble_of

from quiesce.aws.clients import repeatable
from quiesce.errors import AwsThrottled, PolicyRefused, RecoveryUsedUp


def answer(code: str, status: int = 400) -> ClientError:
    error: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(error, "DescribeStacks")


def met(error: Exception, call: str = "cloudformation:DescribeStacks") -> Trouble:
    """Return what a person is told of an error that a call of AWS met."""
    with pytest.raises(Exception, match=r".*") as raised, repeatable(call):
        raise error
    told = trouble_of(raised.value)
    assert told
    assert "\n" not in told.problem + told.remedy
    return told


@pytest.mark.parametrize(
    ("error", "words", "remedy"),
    [
        (exceptions.NoCredentialsError(), "there are no credentials", "aws configure"),
        (exceptions.PartialCredentialsError(provider="env", cred_var="x"), "there are no credentials", "AWS_PROFILE"),
        (exceptions.UnauthorizedSSOTokenError(), "your sign-in has expired", "aws sso login"),
        (exceptions.TokenRetrievalError(provider="sso", error_msg="expired"), "your sign-in has expired", "aws sso"),
        (exceptions.EndpointConnectionError(endpoint_url="https://x"), "AWS can't be reached", "--region"),
        (exceptions.ConnectTimeoutError(endpoint_url="https://x"), "AWS can't be reached", "network"),
        (exceptions.ReadTimeoutError(endpoint_url="https://x"), "AWS can't be reached", "network"),
        (exceptions.SSLError(endpoint_url="https://x", error="bad"), "AWS can't be reached", "network"),
        (answer("ExpiredToken"), "your credentials have expired", "sign in again"),
        (answer("ExpiredTokenException"), "your credentials have expired", "sign in again"),
        (answer("RequestExpired"), "your credentials have expired", "sign in again"),
        (answer("InvalidClientTokenId", 403), "AWS does not know your credentials", "--profile"),
        (answer("UnrecognizedClientException"), "AWS does not know your credentials", "--profile"),
        (answer("AuthFailure", 401), "AWS does not know your credentials", "--profile"),
        (answer("ThrottlingException"), "cloudformation:DescribeStacks", "try again"),
        (answer("InternalError", 500), "cloudformation:DescribeStacks", "try again"),
    ],
)
def test_aws_out_of_reach_is_told_with_what_to_do(error: Exception, words: str, remedy: str) -> None:
    told = met(error)
    assert words in told.problem
    assert remedy in told.remedy
    assert told.code == NOT_REACHABLE


@pytest.mark.parametrize(
    "code", ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"]
)
def test_a_missing_right_is_named_with_the_policy_that_has_it(code: str) -> None:
    told = met(answer(code, 403), "s3:ListBucket")
    assert told.problem == "you may not s3:ListBucket"
    assert "ReaderPolicyArn" in told.remedy
    assert "OperatorPolicyArn" in met(answer(code, 403), "states:StartExecution").remedy
    assert told.code == NOT_REACHABLE


def test_what_was_typed_and_names_nothing_is_a_usage_error() -> None:
    refused = trouble_of(PolicyRefused("policy", "does not exist", "correct the name"))
    assert refused
    assert (refused.problem, refused.remedy, refused.code) == ("policy: does not exist", "correct the name", USAGE)
    no_region, no_profile = trouble_of(exceptions.NoRegionError()), trouble_of(exceptions.ProfileNotFound(profile="x"))
    assert no_region
    assert no_profile
    assert no_region.code == no_profile.code == USAGE


def test_an_error_of_ours_is_told_in_its_own_words() -> None:
    told = trouble_of(RecoveryUsedUp("start another"))
    assert told
    assert (told.problem, told.code) == ("start another", NOT_GOOD)


def test_a_throttled_call_without_a_cause_is_out_of_reach() -> None:
    told = trouble_of(AwsThrottled("slow down"))
    assert told
    assert told.code == NOT_REACHABLE


def test_a_bug_of_ours_is_no_trouble_of_the_person() -> None:
    assert trouble_of(KeyError("x")) is None
