"""What a backup keeps of a server beside its volumes, so that a recovery can launch another like it."""

from typing import TYPE_CHECKING

from quiesce.backup.state import Source

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import InstanceTypeDef


def source_of(instance: "InstanceTypeDef") -> Source:
    """Return what EC2 says of a server; what it does not say is empty, and a recovery then asks for it."""
    return Source(
        instance_type=instance.get("InstanceType", ""),
        architecture=instance.get("Architecture", ""),
        boot_mode=instance.get("CurrentInstanceBootMode", ""),
        image_id=instance.get("ImageId", ""),
        root_device=instance.get("RootDeviceName", ""),
        vpc_id=instance.get("VpcId", ""),
        subnet_id=instance.get("SubnetId", ""),
        availability_zone=instance.get("Placement", {}).get("AvailabilityZone", ""),
        security_group_ids=[group["GroupId"] for group in instance.get("SecurityGroups", [])],
        key_name=instance.get("KeyName"),
        instance_profile_arn=instance.get("IamInstanceProfile", {}).get("Arn"),
    )
