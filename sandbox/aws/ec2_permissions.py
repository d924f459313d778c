"""The permissions that an EC2 call needs: for each an action, a resource and that resource's condition keys.

Source: AWS, service authorization reference for Amazon EC2; EC2 user guide, tagging resources during creation.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from ministack.core.responses import get_account_id, get_region
from moto.ec2.exceptions import EC2ClientError

from sandbox.aws import instance_profiles
from sandbox.aws.snapshots import included_volumes

Context = dict[str, Any]
Permission = tuple[str, str, Context]
"""Action, ARN, and the condition keys that hold for that resource."""

KIND_BY_PREFIX = {
    "i": "instance",
    "vol": "volume",
    "snap": "snapshot",
    "ami": "image",
    "sg": "security-group",
    "subnet": "subnet",
    "vpc": "vpc",
}
WITHOUT_ACCOUNT = {"snapshot", "image"}
TAG_KEY = re.compile(r"(TagSpecification\.\d+\.)?Tag\.\d+\.Key")


def needed(backend: Any, action: str, parameters: dict[str, str]) -> list[Permission]:
    """The permissions that a call needs; the role must have all of them."""
    return list(RULES.get(action, _everything(action))(backend, parameters))


def _arn(kind: str, identifier: str) -> str:
    return f"arn:aws:ec2:{get_region()}:{'' if kind in WITHOUT_ACCOUNT else get_account_id()}:{kind}/{identifier}"


def existing(backend: Any, identifier: str) -> tuple[str, Context]:
    """The ARN of an existing EC2 resource, and the condition keys that its tags make."""
    tags = {tag["key"]: tag["value"] for tag in backend.describe_tags({"resource-id": [identifier]})}
    context = {f"{prefix}:ResourceTag/{key}": value for key, value in tags.items() for prefix in ("aws", "ec2")}
    return _arn(KIND_BY_PREFIX[identifier.split("-", maxsplit=1)[0]], identifier), context


def _request_tags(parameters: dict[str, str]) -> Context:
    keys = {name: key for name, key in parameters.items() if TAG_KEY.fullmatch(name)}
    values = {f"aws:RequestTag/{key}": parameters.get(f"{name[:-3]}Value", "") for name, key in keys.items()}
    return {**values, "aws:TagKeys": list(keys.values())} if keys else {}


def _create_snapshots(backend: Any, parameters: dict[str, str]) -> Iterator[Permission]:
    """On the instance, each volume and the new snapshots; CreateTags too if the call has tags."""
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
        return  # EC2 refuses such parameters itself, whatever the role may do
    for identifier in (specification["InstanceId"], *volumes):
        yield action, *existing(backend, identifier)
    tags = _request_tags(parameters)
    yield action, _arn("snapshot", "*"), tags
    if tags:
        yield "ec2:CreateTags", _arn("snapshot", "*"), {**tags, "ec2:CreateAction": "CreateSnapshots"}


def _values(parameters: dict[str, str], *names: str) -> list[str]:
    """The values of the parameters with these names, single or in a list."""
    return [value for name, value in parameters.items() if name.split(".")[0] in names]


def _creating(
    action: str, kinds: tuple[str, ...], uses: tuple[str, ...]
) -> Callable[[Any, dict[str, str]], Iterator[Permission]]:
    """For actions that create tagged resources of these kinds out of the resources that the parameters `uses` name."""

    def permissions(backend: Any, parameters: dict[str, str]) -> Iterator[Permission]:
        for identifier in _values(parameters, *uses):
            yield f"ec2:{action}", *existing(backend, identifier)
        tags = _request_tags(parameters)
        for kind in kinds:
            yield f"ec2:{action}", _arn(kind, "*"), tags
            if tags:
                yield "ec2:CreateTags", _arn(kind, "*"), {**tags, "ec2:CreateAction": action}

    return permissions


def _run_instances(backend: Any, parameters: dict[str, str]) -> Iterator[Permission]:
    """As above, on the network interface and the key pair, and to pass the role of an instance profile."""
    uses = ("ImageId", "SubnetId", "SecurityGroupId")
    yield from _creating("RunInstances", ("instance", "volume"), uses)(backend, parameters)
    yield "ec2:RunInstances", _arn("network-interface", "*"), {}
    for name in _values(parameters, "KeyName"):
        yield "ec2:RunInstances", _arn("key-pair", name), {}
    for named in _values(parameters, "IamInstanceProfile"):
        if found := instance_profiles.find(named):
            yield "iam:PassRole", found.role_arn, {"iam:PassedToService": "ec2.amazonaws.com"}


def _associate(backend: Any, parameters: dict[str, str]) -> Iterator[Permission]:
    """On the instance, and to pass the role of the instance profile (EC2 user guide, "Grant permissions to attach")."""
    yield from _named("AssociateIamInstanceProfile", "InstanceId")(backend, parameters)
    for named in _values(parameters, "IamInstanceProfile"):
        if found := instance_profiles.find(named):
            yield "iam:PassRole", found.role_arn, {"iam:PassedToService": "ec2.amazonaws.com"}


def _disassociate(backend: Any, parameters: dict[str, str]) -> Iterator[Permission]:
    """On the instance of the association."""
    for association in backend.iam_instance_profile_associations.values():
        if association.association_id == parameters["AssociationId"]:
            yield "ec2:DisassociateIamInstanceProfile", *existing(backend, association.instance_id)


def _deregister_image(backend: Any, parameters: dict[str, str]) -> Iterator[Permission]:
    """On the image, and on its snapshots if the call deletes them."""
    image_id = parameters["ImageId"]
    yield "ec2:DeregisterImage", *existing(backend, image_id)
    if parameters.get("DeleteAssociatedSnapshots") == "true" and image_id in backend.amis:
        for mapping in backend.amis[image_id].block_device_mappings:
            yield "ec2:DeleteSnapshot", *existing(backend, mapping["Ebs"]["SnapshotId"])


def _modify_instance_attribute(backend: Any, parameters: dict[str, str]) -> Iterator[Permission]:
    """On the instance, the groups it gets, and the volumes whose mapping changes."""
    yield from _named("ModifyInstanceAttribute", "InstanceId", "GroupId")(backend, parameters)
    attached = dict(backend.get_instance(parameters["InstanceId"]).get_block_device_mapping)
    devices = {v for n, v in parameters.items() if n.startswith("BlockDeviceMapping.") and n.endswith(".DeviceName")}
    for device in devices & attached.keys():
        yield "ec2:ModifyInstanceAttribute", *existing(backend, attached[device].volume_id)


def _named(action: str, *names: str) -> Callable[[Any, dict[str, str]], Iterator[Permission]]:
    """For actions on the resources that the parameters with these names hold."""

    def permissions(backend: Any, parameters: dict[str, str]) -> Iterator[Permission]:
        for identifier in _values(parameters, *names):
            arn, context = existing(backend, identifier)
            yield f"ec2:{action}", arn, {**context, **_request_tags(parameters)}

    return permissions


def _everything(action: str) -> Callable[[Any, dict[str, str]], Iterator[Permission]]:
    """For Describe actions, which have no resources: only `*` grants them."""
    return lambda _backend, _parameters: iter([(f"ec2:{action}", "*", {})])


DESCRIBING = (
    "DescribeImages",
    "DescribeIamInstanceProfileAssociations",
    "DescribeInstances",
    "DescribeInstanceStatus",
    "DescribeInstanceTypes",
    "DescribeLockedSnapshots",
    "DescribeNetworkInterfaces",
    "DescribeRouteTables",
    "DescribeSecurityGroups",
    "DescribeSnapshots",
    "DescribeSnapshotTierStatus",
    "DescribeSubnets",
    "DescribeTags",
    "DescribeVolumes",
    "DescribeVpcEndpoints",
    "GetEbsEncryptionByDefault",
    "ListSnapshotsInRecycleBin",
)
RULES: dict[str, Callable[[Any, dict[str, str]], Iterator[Permission]]] = {
    "CreateSnapshots": _create_snapshots,
    "AssociateIamInstanceProfile": _associate,
    "DisassociateIamInstanceProfile": _disassociate,
    "CreateTags": _named("CreateTags", "ResourceId"),
    "DeleteTags": _named("DeleteTags", "ResourceId"),
    "DeleteSnapshot": _named("DeleteSnapshot", "SnapshotId"),
    **{name: _named(name, "SnapshotId") for name in ("LockSnapshot", "ModifySnapshotTier", "RestoreSnapshotTier")},
    "DescribeSnapshotAttribute": _named("DescribeSnapshotAttribute", "SnapshotId"),
    "RunInstances": _run_instances,
    "CreateVolume": _creating("CreateVolume", ("volume",), ("SnapshotId",)),
    "CopySnapshot": _creating("CopySnapshot", ("snapshot",), ("SourceSnapshotId",)),
    "CreateImage": _creating("CreateImage", ("image", "snapshot"), ("InstanceId",)),
    "DeregisterImage": _deregister_image,
    "CreateSecurityGroup": _creating("CreateSecurityGroup", ("security-group",), ("VpcId",)),
    "ModifyInstanceAttribute": _modify_instance_attribute,
    **{name: _named(name, "InstanceId") for name in ("StartInstances", "StopInstances", "TerminateInstances")},
    **{name: _named(name, "InstanceId", "VolumeId") for name in ("AttachVolume", "DetachVolume")},
    **{name: _named(name, "GroupId") for name in ("RevokeSecurityGroupEgress", "DeleteSecurityGroup")},
    "DeleteVolume": _named("DeleteVolume", "VolumeId"),
    **{name: _everything(name) for name in DESCRIBING},
}
