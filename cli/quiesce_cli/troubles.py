"""What keeps a command from its answer, in one line with a remedy: never a traceback."""

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's, the base of all that kept a request from an answer
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)

from quiesce.aws.clients import DENIED, code_of
from quiesce.errors import AccessDenied, AwsThrottled, AwsUnavailable, QuiesceError, Refused

GOOD, NOT_GOOD, USAGE, NOT_REACHABLE, INTERRUPTED = 0, 1, 2, 3, 130

EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
UNKNOWN_KEYS = {
    "AuthFailure",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
# Calls that change something: the reader's policy does not have them.
CHANGING = {"states:StartExecution", "s3:PutObject", "s3:DeleteObject", "ec2:CreateTags", "ec2:DeleteTags"}
# Neither of the stack's two policies has these: who gets mails is the choice of whoever deploys it.
OF_DEPLOYERS = {"sns:Subscribe"}


class Trouble(Exception):
    """Base: the problem in one line, what to do about it, and the exit code."""

    code = NOT_GOOD

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}: {remedy}")
        self.problem, self.remedy = problem, remedy


class Usage(Trouble):
    """What was typed can't be used, or names something that is not there."""

    code = USAGE


class NotReachable(Trouble):
    """AWS, the stack or a right that is needed is out of reach."""

    code = NOT_REACHABLE


class NotGood(Trouble):
    """The command did what it could, and that did not go well."""


def trouble_of(error: Exception) -> Trouble | None:
    """Return an error in words for a person; None for one that is a bug of ours."""
    match error:
        case Trouble():
            return error
        case QuiesceError():
            return _of_ours(error)
        case ClientError():
            return _of_answer(error)
        case BotoCoreError():
            return _of_library(error) or NotReachable(_one_line(error), "check options, profile and network")
        case _:
            return None


def _of_ours(error: QuiesceError) -> Trouble:
    match error:
        case AccessDenied():
            return missing_right(str(error).partition(": ")[0])
        case Refused():
            return Usage(f"{error.field}: {error.problem}", error.remedy)
        case AwsThrottled() | AwsUnavailable():
            cause = error.__cause__
            known = _of_library(cause) if isinstance(cause, BotoCoreError) else None
            return known or NotReachable(_one_line(error), "try again; look at the AWS Health Dashboard if it stays so")
        case _:
            return NotGood(_one_line(error), "look it up in docs/reference/reference.md, Errors")


def missing_right(action: str) -> NotReachable:
    """Return the trouble of a person who may not do something, with the policy of the stack that allows it."""
    if action in OF_DEPLOYERS:
        return NotReachable(f"you may not {action}", "have it done by whoever deploys the stack")
    policy = "OperatorPolicyArn" if action in CHANGING else "ReaderPolicyArn"
    remedy = f"have the managed policy of the stack's output {policy} attached to your user or role"
    return NotReachable(f"you may not {action}", remedy)


def _of_answer(error: ClientError) -> Trouble:
    code = code_of(error)
    if code in EXPIRED:
        return NotReachable("your credentials have expired", "sign in again (aws sso login, or new keys), then repeat")
    if code in UNKNOWN_KEYS:
        return NotReachable("AWS does not know your credentials", "check --profile and AWS_ACCESS_KEY_ID")
    if code in DENIED:
        return missing_right(error.operation_name)
    return NotGood(_one_line(error), "the words are AWS's own; check what was typed")


def _of_library(error: BotoCoreError) -> Trouble | None:
    match error:
        case NoCredentialsError() | PartialCredentialsError() | CredentialRetrievalError():
            remedy = "sign in: aws configure, aws sso login, or set AWS_PROFILE; --profile names another one"
            return NotReachable("there are no credentials for AWS", remedy)
        case SSOError() | TokenRetrievalError():
            return NotReachable("your sign-in has expired", "run aws sso login, then repeat")
        case ProfileNotFound():
            return Usage(_one_line(error), "aws configure list-profiles shows those that exist")
        case NoRegionError():
            return Usage("no Region is chosen", "add --region, or set AWS_REGION")
        case ConnectionError() | HTTPClientError():
            remedy = "check the network, --region and AWS_ENDPOINT_URL"
            return NotReachable(f"AWS can't be reached: {_one_line(error)}", remedy)
        case _:
            return None


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".")
