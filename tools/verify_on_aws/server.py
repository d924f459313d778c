"""The server of a verification: one that a person gives, or one of AWS's public image, launched for it."""

import json

from tools.verify_on_aws.session import THROW_AWAY, Verification

PUBLIC_IMAGE = "/aws/service/ami-windows-latest/Windows_Server-2022-English-Full-Base"
MANAGED_POLICY = "arn:{partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"
AGENT_LIMIT_S, PROFILE_LIMIT_S = 1800.0, 120.0
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
# EC2Launch runs it as SYSTEM at the first start: the data volume becomes a drive.
USER_DATA = (
    "<powershell>Get-Disk | Where-Object PartitionStyle -eq RAW | Initialize-Disk -PassThru | "
    "New-Partition -AssignDriveLetter -UseMaximumSize | Format-Volume -FileSystem NTFS</powershell>"
)


class NotThrowAway(Exception):
    """The server that was named is not marked as one that may be changed."""


def take(it: Verification, instance_id: str) -> None:
    """Take a server that a person gives; it must carry the tag that marks it.

    Raises:
        NotThrowAway: it does not; nothing was changed.
    """
    key, value = THROW_AWAY
    found = it.calls("ec2:DescribeInstances", InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
    tags = {str(tag["Key"]): str(tag["Value"]) for tag in found.get("Tags", [])}
    if not it.calls.dry and tags.get(key) != value:
        raise NotThrowAway(
            f"{instance_id} does not carry the tag {key} = {value}. A verification stops the server and attaches "
            "volumes to it: mark one that may be lost, by "
            f"aws ec2 create-tags --resources {instance_id} --tags Key={key},Value={value}"
        )
    it.instance_id = instance_id


def launch(it: Verification, partition: str, instance_type: str) -> None:
    """Launch a Windows server of AWS's public image, with a data volume and a role for Systems Manager."""
    image = it.calls("ssm:GetParameter", Name=PUBLIC_IMAGE)["Parameter"]["Value"]
    tags = [{"Key": "quiesce:verify", "Value": it.name}]
    it.calls("iam:CreateRole", RoleName=it.name, AssumeRolePolicyDocument=json.dumps(TRUST), Tags=tags)
    it.calls("iam:AttachRolePolicy", RoleName=it.name, PolicyArn=MANAGED_POLICY.format(partition=partition))
    it.calls("iam:CreateInstanceProfile", InstanceProfileName=it.name, Tags=tags)
    it.calls("iam:AddRoleToInstanceProfile", InstanceProfileName=it.name, RoleName=it.name)
    request = {
        "ImageId": str(image),
        "InstanceType": instance_type,
        "MinCount": 1,
        "MaxCount": 1,
        "ClientToken": it.name,
        "IamInstanceProfile": {"Name": it.name},
        "MetadataOptions": {"HttpTokens": "required"},
        "BlockDeviceMappings": [{"DeviceName": "xvdf", "Ebs": {"VolumeSize": 8, "VolumeType": "gp3"}}],
        "UserData": USER_DATA,
        "TagSpecifications": [*it.tagged("instance"), *it.tagged("volume")],
    }
    it.launch_request = request
    it.instance_id, it.launched = _launch(it, request), True


def role_of(it: Verification) -> str:
    """Return the role of the server's instance profile, with its path, empty if it has none.

    A recovery gives the server its old role, and may do so only with roles that the stack was given.
    """
    found = it.calls("ec2:DescribeInstances", InstanceIds=[it.instance_id])["Reservations"][0]["Instances"][0]
    arn = str((found.get("IamInstanceProfile") or {}).get("Arn", ""))
    if not arn:
        return ""
    named = it.calls("iam:GetInstanceProfile", InstanceProfileName=arn.rpartition("/")[2])["InstanceProfile"]
    return next((str(role["Arn"]).partition(":role/")[2] for role in named["Roles"]), "")


def _launch(it: Verification, request: dict[str, object]) -> str:
    """Launch once EC2 knows the new instance profile: IAM is eventually consistent."""
    end_s = it.calls.now_s() + PROFILE_LIMIT_S
    while it.calls.code_of("ec2:RunInstances", **request, DryRun=True) == "InvalidParameterValue":
        if it.calls.now_s() > end_s:
            break
        it.calls.pause(it.calls.look_every_s)
    return str(it.calls("ec2:RunInstances", **request)["Instances"][0]["InstanceId"])


def await_agent(it: Verification) -> None:
    """Wait until Systems Manager hears from the server."""
    began_s = it.calls.now_s()
    it.calls.until(
        "ssm:DescribeInstanceInformation",
        lambda found: any(info["PingStatus"] == "Online" for info in found["InstanceInformationList"]),
        limit_s=AGENT_LIMIT_S,
        Filters=[{"Key": "InstanceIds", "Values": [it.instance_id]}],
    )
    it.measured["agent_online_s"] = round(it.calls.now_s() - began_s, 1)
