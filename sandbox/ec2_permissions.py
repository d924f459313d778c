"""Which permissions an EC2 call needs: an action, a resource and the condition keys of that resource, for each of them.

Source: AWS, service authorization reference for Amazon EC2; EC2 user guide, tagging resources during creation.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from ministack.core.responses import get_account_id, get_region
from moto.ec2.exceptions import EC2ClientError

from .snapshots import included_volumes

Context = dict[str, Any]
Permission = tuple[str, str, Context]
"""Action, ARN, and the condition keys that hold for that resource."""

KIND_BY_PREFIX = {"i": "instance", "vol": "volume", "snap": "snapshot", "ami": "image"}
WITHOUT_ACCOUNT = {"snapshot", "image"}
TAG_KEY = re.compile(r"(TagSpecification\.\d+\.)?Tag\.\d+\.Key")


def needed(backend: Any, action: str, parameters: dict[str, str]) -> list[Permission]:
    """The permissions that a call needs; all must be granted."""
    return list(RULES.get(action, _everything(action))(backend, parameters))


def _arn(kind: str, identifier: str) -> str:
    return f"arn:aws:ec2:{get_region()}:{'' if kind in WITHOUT_ACCOUNT else get_account_id()}:{kind}/{identifier}"


def _existing(backend: Any, identifier: str) -> tuple[str, Context]:
    tags = {tag["key"]: tag["value"] for tag in backend.describe_tags({"resource-id": [identifier]})}
    context = {f"{prefix}:ResourceTag/{key}": value for key, value in tags.items() for prefix in ("aws", "ec2")}
    return _arn(KIND_BY_PREFIX[identifier.split("-", maxsplit=1)[0]], identifier), context


def _request_tags(parameters: dict[str, str]) -> Context:
    keys = {name: key for name, key in parameters.items() if TAG_KEY.fullmatch(name)}
    values = {f"aws:RequestTag/{key}": parameters.get(f"{name[:-3]}Value", "") for name, key in keys.items()}
    return {**values, "aws:TagKeys": list(keys.values())} if keys else {}


def _create_snapshots(backend: Any, parameters: dict[str, str]) -> Iterator[Permission]:
    """On the instance, each volume and the snapshots to be; CreateTags too if the call brings tags."""
    action, prefix = "ec2:CreateSnapshots", "InstanceSpecification."
    specification: dict[str, Any] = {
        "InstanceId": parameters[f"{prefix}InstanceId"],
        "ExcludeBootVolume": parameters.get(f"{prefix}ExcludeBootVolume", False),
        "ExcludeDataVolumeIds": [
            v for name, v in parameters.items() if name.startswith(f"{prefix}ExcludeDataVolumeId")
        ],
    }
    try:
        volumes = included_volumes(backend, specification)
    except EC2ClientError:
        return  # EC2 refuses such parameters itself, whoever asks
    for identifier in (specification["InstanceId"], *volumes):
        yield action, *_existing(backend, identifier)
    tags = _request_tags(parameters)
    yield action, _arn("snapshot", "*"), tags
    if tags:
        yield "ec2:CreateTags", _arn("snapshot", "*"), {**tags, "ec2:CreateAction": "CreateSnapshots"}


def _named(action: str, parameter: str) -> Callable[[Any, dict[str, str]], Iterator[Permission]]:
    """For actions on the resources that one parameter names, once or as a list."""

    def permissions(backend: Any, parameters: dict[str, str]) -> Iterator[Permission]:
        for name, identifier in parameters.items():
            if name.split(".")[0] == parameter:
                arn, context = _existing(backend, identifier)
                yield f"ec2:{action}", arn, {**context, **_request_tags(parameters)}

    return permissions


def _everything(action: str) -> Callable[[Any, dict[str, str]], Iterator[Permission]]:
    """For Describe actions, which have no resources: only `*` grants them."""
    return lambda _backend, _parameters: iter([(f"ec2:{action}", "*", {})])


RULES: dict[str, Callable[[Any, dict[str, str]], Iterator[Permission]]] = {
    "CreateSnapshots": _create_snapshots,
    "CreateTags": _named("CreateTags", "ResourceId"),
    "DeleteTags": _named("DeleteTags", "ResourceId"),
    "DeleteSnapshot": _named("DeleteSnapshot", "SnapshotId"),
    **{f"Describe{what}": _everything(f"Describe{what}") for what in ("Instances", "Volumes", "Snapshots", "Tags")},
}
