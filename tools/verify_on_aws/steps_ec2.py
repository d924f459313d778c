"""Steps on EC2 and EBS: tags, tokens, devices, images, and the codes of what it refuses."""

from typing import Any

from botocore.exceptions import ClientError

from tools.verify_on_aws.calls import ACCEPTED
from tools.verify_on_aws.session import Seen, Step, Verification, seen

DEVICE = "xvdp"
VOLUME_LIMIT_S, IMAGE_LIMIT_S, TAG_LIMIT_S = 300.0, 3600.0, 120.0


def server_of(it: Verification) -> Any:
    """Return the server as EC2 describes it."""
    return it.calls("ec2:DescribeInstances", InstanceIds=[it.instance_id])["Reservations"][0]["Instances"][0]


def snapshots_by_tag(it: Verification) -> Seen:
    """Create a set, and look for its tag until EC2 lists it."""
    specification = {"InstanceId": it.instance_id}
    created = it.calls(
        "ec2:CreateSnapshots", InstanceSpecification=specification, TagSpecifications=it.tagged("snapshot")
    )["Snapshots"]
    began_s = it.calls.now_s()
    it.calls.until(
        "ec2:DescribeSnapshots",
        lambda found: len(found["Snapshots"]) == len(created),
        limit_s=TAG_LIMIT_S,
        every_s=min(0.5, it.calls.look_every_s),
        Filters=it.ours(),
    )
    took_s = it.calls.now_s() - began_s
    it.measured["set_listed_by_tag_s"] = round(took_s, 2)
    return seen(took_s < 30, f"a set of {len(created)} was listed by its tag after {took_s:.1f} s")


def excluded_root(it: Verification) -> Seen:
    """Leave the root out as if it were a data volume; only a dry run."""
    server = server_of(it)
    volumes = {str(m["DeviceName"]): str(m["Ebs"]["VolumeId"]) for m in server["BlockDeviceMappings"]}
    root = volumes.get(str(server["RootDeviceName"]), "")
    specification = {"InstanceId": it.instance_id, "ExcludeDataVolumeIds": [root]}
    code = it.calls.code_of("ec2:CreateSnapshots", InstanceSpecification=specification, DryRun=True)
    return seen(code == "InvalidParameterValue", f"CreateSnapshots (DryRun): {code}")


def _volume(it: Verification, token: str) -> str:
    zone = server_of(it)["Placement"]["AvailabilityZone"]
    made = it.calls(
        "ec2:CreateVolume",
        AvailabilityZone=str(zone),
        Size=1,
        VolumeType="gp3",
        ClientToken=f"{it.name}-{token}",
        TagSpecifications=it.tagged("volume"),
    )
    return str(made["VolumeId"])


def _await_volume(it: Verification, volume_id: str, state: str) -> Any:
    return it.calls.until(
        "ec2:DescribeVolumes",
        lambda found: found["Volumes"][0]["State"] == state,
        limit_s=VOLUME_LIMIT_S,
        VolumeIds=[volume_id],
    )["Volumes"][0]


def volume_token(it: Verification) -> Seen:
    """Create a volume twice with one token; look at the empty parts of what EC2 and S3 answer."""
    first, second = _volume(it, "once"), _volume(it, "once")
    described = _await_volume(it, first, "available")
    listed = it.calls("s3:ListObjectsV2", Bucket=str(it.outputs["BucketName"]), Prefix="no-such-folder/")
    empty = "Attachments" in described and "KeyCount" in listed
    words = f"{'the same volume' if first == second else 'two volumes'} for one token"
    words += "; empty lists are written" if empty else "; empty lists are left out"
    return seen(first == second and empty, words)


def devices(it: Verification) -> Seen:
    """Attach two volumes at one device, then detach the first twice."""
    first, second = _volume(it, "device-1"), _volume(it, "device-2")
    for volume_id in (first, second):
        _await_volume(it, volume_id, "available")
    it.calls("ec2:AttachVolume", InstanceId=it.instance_id, VolumeId=first, Device=DEVICE)
    _await_volume(it, first, "in-use")
    taken = it.calls.code_of("ec2:AttachVolume", InstanceId=it.instance_id, VolumeId=second, Device=DEVICE)
    it.calls("ec2:DetachVolume", InstanceId=it.instance_id, VolumeId=first)
    again = it.calls.code_of("ec2:DetachVolume", InstanceId=it.instance_id, VolumeId=first)
    _await_volume(it, first, "available")
    expected = taken == "InvalidParameterValue" and again in (ACCEPTED, "IncorrectState")
    return seen(expected, f"a taken device: {taken}; a second DetachVolume: {again}")


def security_group(it: Verification) -> Seen:
    """Take the same rule out of a security group twice."""
    vpc_id = str(server_of(it)["VpcId"])
    group_id = it.calls(
        "ec2:CreateSecurityGroup",
        GroupName=it.name,
        Description="quiesce verify-on-aws",
        VpcId=vpc_id,
        TagSpecifications=it.tagged("security-group"),
    )["GroupId"]
    everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    codes = [
        it.calls.code_of("ec2:RevokeSecurityGroupEgress", GroupId=str(group_id), IpPermissions=everything)
        for _ in ("first", "second")
    ]
    expected = codes[0] == ACCEPTED and codes[1] in (ACCEPTED, "InvalidPermission.NotFound")
    return seen(expected, f"first {codes[0]}, second {codes[1]}")


def initial_image(it: Verification) -> Seen:
    """Look at the image that the first run made, once it is available, and ask for a second of its name."""
    record = it.records.get("first-run", {})
    if not it.calls.dry and not record.get("initial_image"):
        return Seen("not seen", f"the first run made none: {record.get('notes') or record.get('Cause')}")
    image = it.calls.until(
        "ec2:DescribeImages",
        lambda found: found["Images"][0]["State"] != "pending",
        limit_s=IMAGE_LIMIT_S,
        ImageIds=[str(record.get("initial_image", "<the image>"))],
    )["Images"][0]
    held = [str(mapping["DeviceName"]) for mapping in image["BlockDeviceMappings"] if "Ebs" in mapping]
    again = it.calls.code_of(
        "ec2:CreateImage",
        InstanceId=it.instance_id,
        Name=str(image["Name"]),
        NoReboot=True,
        TagSpecifications=[*it.tagged("image"), *it.tagged("snapshot")],
    )
    words = f"{image['State']}, holds {', '.join(held)}; the same name again: {again}"
    expected = image["State"] == "available" and len(held) == 1 and again == "InvalidAMIName.Duplicate"
    return seen(expected, words)


def terminated_server(it: Verification) -> Seen:
    """Terminate the server, and ask for its snapshots."""
    it.calls("ec2:TerminateInstances", InstanceIds=[it.instance_id])
    it.calls.until(
        "ec2:DescribeInstances",
        lambda found: found["Reservations"][0]["Instances"][0]["State"]["Name"] == "terminated",
        limit_s=VOLUME_LIMIT_S,
        InstanceIds=[it.instance_id],
    )
    specification = {"InstanceId": it.instance_id}
    code = it.calls.code_of(
        "ec2:CreateSnapshots", InstanceSpecification=specification, TagSpecifications=it.tagged("snapshot")
    )
    words = f"CreateSnapshots: {code}"
    launched = True
    if it.launch_request:
        launched, again = _launched_again(it)
        words += f"; RunInstances with the same token: {again}"
    return seen(code == "IncorrectInstanceState" and launched, words)


def _launched_again(it: Verification) -> tuple[bool, str]:
    """Send the launch of a terminated server once more; its token must make no second one."""
    try:
        found = str(it.calls("ec2:RunInstances", **it.launch_request)["Instances"][0]["InstanceId"])
    except ClientError as error:
        code = str(error.response["Error"]["Code"])
        return code == "IdempotentInstanceTerminated", code
    return found == it.instance_id or it.calls.dry, "the same server" if found == it.instance_id else "a second server"


STEPS = (
    Step(
        "snapshots-by-tag",
        "a set is found by its tag within 30 s after its creation",
        "less than 30 s",
        snapshots_by_tag,
    ),
    Step(
        "excluded-root",
        "EC2 answers InvalidParameterValue if the root is among the excluded data volumes",
        "InvalidParameterValue",
        excluded_root,
    ),
    Step(
        "volume-token",
        "CreateVolume with the same ClientToken answers with the volume it made; EC2 and S3 write what is empty",
        "the same volume; Attachments and KeyCount are there",
        volume_token,
    ),
    Step(
        "devices",
        "a taken device is InvalidParameterValue; a second DetachVolume is success or IncorrectState",
        "InvalidParameterValue; accepted or IncorrectState",
        devices,
        changes_server=True,
    ),
    Step(
        "security-group",
        "RevokeSecurityGroupEgress of a rule that is gone is InvalidPermission.NotFound, or no error",
        "accepted; then accepted or InvalidPermission.NotFound",
        security_group,
    ),
    Step(
        "initial-image",
        "CreateImage with NoDevice takes the root volume only; EC2 makes no second image of a name",
        "available, one device; InvalidAMIName.Duplicate",
        initial_image,
    ),
    Step(
        "terminated-server",
        "EC2 refuses snapshots of a terminated server with IncorrectInstanceState; a launch's token makes no second",
        "IncorrectInstanceState; the same server or IdempotentInstanceTerminated",
        terminated_server,
        ends_server=True,
    ),
)
