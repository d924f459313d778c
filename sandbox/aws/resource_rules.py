"""What AWS refuses of a stack's resources, and MiniStack's CloudFormation takes: each rule with its source."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from botocore.session import Session
from ministack.services import iam, s3
from ministack.services.cloudformation import provisioners


def function_problem(properties: Mapping[str, Any]) -> str:
    """Say why Lambda refuses a function, or nothing.

    Source: botocore's model of Lambda (the levels); Lambda developer guide, "Log-level filtering": "To use log-level
    filtering, your function must be configured to use the JSON log format".
    """
    logging = properties.get("LoggingConfig", {})
    for name in ("ApplicationLogLevel", "SystemLogLevel"):
        level = logging.get(name)
        if level is not None and level not in _values("lambda", name):
            return f"Value '{level}' at 'loggingConfig.{name}' must be one of {list(_values('lambda', name))}"
        if level is not None and logging.get("LogFormat") != "JSON":
            return f"{name} is only supported when LogFormat is set to JSON"
    network = properties.get("VpcConfig", {})
    if bool(network.get("SubnetIds")) != bool(network.get("SecurityGroupIds")):
        return "SubnetIds and SecurityIds must coexist or be both empty list."
    return ""


def queue_problem(properties: Mapping[str, Any]) -> str:
    """Say why SQS refuses a queue, or nothing.

    Source: SQS API reference, SqsManagedSseEnabled: "Only one server-side encryption option is supported per queue".
    """
    both = properties.get("KmsMasterKeyId") and str(properties.get("SqsManagedSseEnabled")).lower() == "true"
    return "You can use one type of server-side encryption (SSE) at one time." if both else ""


RULES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "AWS::Lambda::Function": function_problem,
    "AWS::SQS::Queue": queue_problem,
}


def install() -> None:
    """Let CloudFormation fail a resource that AWS would refuse, when it creates and when it updates it."""
    for kind, rule in RULES.items():
        handlers = provisioners._RESOURCE_HANDLERS[kind]
        handlers["create"] = _guarded(handlers["create"], rule, 1)
        handlers["update"] = _guarded(handlers["update"], rule, 2)
    buckets = provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"]
    buckets["delete"] = _if_empty(buckets["delete"])
    roles = provisioners._RESOURCE_HANDLERS["AWS::IAM::Role"]
    roles["create"] = _bounded(roles["create"])


def _if_empty(original: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse to delete a bucket with objects. Source: CloudFormation's reference of AWS::S3::Bucket."""

    def delete(name: str, *rest: Any) -> Any:
        if s3._buckets[name]["objects"]:
            raise ValueError("The bucket you tried to delete is not empty")
        return original(name, *rest)

    return delete


def _bounded(original: Callable[..., Any]) -> Callable[..., Any]:
    """Give a new role its boundary, which MiniStack's CloudFormation drops."""

    def create(logical_id: str, properties: Mapping[str, Any], stack_name: str) -> Any:
        created = original(logical_id, properties, stack_name)
        if boundary := properties.get("PermissionsBoundary"):
            iam._roles[created[0]]["PermissionsBoundary"] = boundary
        return created

    return create


def _guarded(original: Callable[..., Any], rule: Callable[[Mapping[str, Any]], str], place: int) -> Callable[..., Any]:
    """Return a handler that asks the rule first; ``place`` is that of the properties among its arguments."""

    def handler(*arguments: Any, **named: Any) -> Any:
        if problem := rule(arguments[place]):
            raise ValueError(problem)
        return original(*arguments, **named)

    return handler


@cache
def _values(service: str, shape: str) -> tuple[str, ...]:
    return tuple(Session().get_service_model(service).shape_for(shape).enum)
