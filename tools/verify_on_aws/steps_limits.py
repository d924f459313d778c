"""Steps on what EC2 refuses or has: limits of snapshots, hibernation, dry runs of launches, AWS's public images."""

from typing import Any

from botocore.exceptions import ClientError

from quiesce.recovery.substitutes import FORMS, PARAMETERS
from tools.verify_on_aws.calls import ACCEPTED
from tools.verify_on_aws.session import Seen, Step, Verification, seen
from tools.verify_on_aws.spending import SERVER_GIB
from tools.verify_on_aws.steps_ec2 import server_of

YEARS = ("2016", "2019", "2022", "2025")
# Cold HDD: EBS makes one snapshot of a volume at a time. The smallest that there is, for minutes.
SLOW_TYPE, SLOW_GIB, SLOW_DEVICE = "sc1", 125, "xvdr"
# EC2's error codes: "Wait at least 15 seconds between concurrent volume snapshots".
INTERVAL_S = 16.0
RATE, CONCURRENT = "SnapshotCreationPerVolumeRateExceeded", "ConcurrentSnapshotLimitExceeded"
VOLUME_LIMIT_S, STATE_LIMIT_S = 300.0, 900.0


def public_images(it: Verification) -> Seen:
    """Look for the name of each of AWS's public images by which a recovery would go on without an initial AMI."""
    missing = []
    for year in YEARS:
        for form in FORMS:
            name = PARAMETERS + form.format(year=year)
            if it.calls.code_of("ssm:GetParameter", Name=name) != ACCEPTED:
                missing.append(name.removeprefix(PARAMETERS))
    words = f"not there: {', '.join(missing)}" if missing else f"all {len(YEARS) * len(FORMS)} are there"
    return seen(not missing, words)


def launch_dry_run(it: Verification) -> Seen:
    """Ask for a launch with nothing wrong, and with each of three things that do not exist; only dry runs."""
    request = {
        "ImageId": str(server_of(it)["ImageId"]),
        "InstanceType": str(server_of(it)["InstanceType"]),
        "MinCount": 1,
        "MaxCount": 1,
        "DryRun": True,
    }
    wrong: dict[str, dict[str, Any]] = {
        "nothing": {},
        "a key pair": {"KeyName": f"{it.name}-no-such-key"},
        "a group": {"SecurityGroupIds": ["sg-00000000000000000"]},
        "a profile": {"IamInstanceProfile": {"Name": f"{it.name}-no-such-profile"}},
    }
    codes = {what: it.calls.code_of("ec2:RunInstances", **request, **more) for what, more in wrong.items()}
    expected = {
        "nothing": "DryRunOperation",
        "a key pair": "InvalidKeyPair.NotFound",
        "a group": "InvalidGroup.NotFound",
        "a profile": "InvalidParameterValue",
    }
    return seen(codes == expected, "; ".join(f"{what} missing: {code}" for what, code in codes.items()))


def snapshot_limits(it: Verification) -> Seen:
    """Ask for snapshots of one slow volume three times, the last after EC2's interval; look what the refused made."""
    volume_id = _slow_volume(it)
    server = server_of(it)
    root = str(server["RootDeviceName"])
    mapped = {str(m["DeviceName"]): str(m["Ebs"]["VolumeId"]) for m in server["BlockDeviceMappings"]}
    others = [other for device, other in mapped.items() if device != root and other != volume_id]
    tags = it.tagged("snapshot", **{"quiesce:limits": it.name})
    specification = {"InstanceId": it.instance_id, "ExcludeBootVolume": True, "ExcludeDataVolumeIds": others}

    def ask() -> str:
        return it.calls.code_of("ec2:CreateSnapshots", InstanceSpecification=specification, TagSpecifications=tags)

    codes = [ask(), ask()]
    it.calls.pause(INTERVAL_S)
    filters = [{"Name": "volume-id", "Values": [volume_id]}]
    made = it.calls("ec2:DescribeSnapshots", OwnerIds=["self"], Filters=filters)["Snapshots"]
    pending = [snapshot for snapshot in made if snapshot["State"] == "pending"]
    codes.append(ask())
    words = f"first {codes[0]}, at once {codes[1]}, which left {len(made)} in all; after {INTERVAL_S:.0f} s {codes[2]}"
    words += "" if pending else " (the first had completed)"
    last = codes[2] == CONCURRENT if pending else codes[2] == ACCEPTED
    return seen(codes[0] == ACCEPTED and codes[1] in (RATE, CONCURRENT) and len(made) == 1 and last, words)


def image_at_once(it: Verification) -> Seen:
    """Create a set, and at once an image of the server, within EC2's interval."""
    it.calls(
        "ec2:CreateSnapshots",
        InstanceSpecification={"InstanceId": it.instance_id},
        TagSpecifications=it.tagged("snapshot"),
    )
    code = it.calls.code_of(
        "ec2:CreateImage",
        InstanceId=it.instance_id,
        Name=f"{it.name}-at-once",
        NoReboot=True,
        TagSpecifications=[*it.tagged("image"), *it.tagged("snapshot")],
    )
    return seen(code in (ACCEPTED, RATE), f"CreateImage right after CreateSnapshots: {code}")


def _slow_volume(it: Verification) -> str:
    zone = str(server_of(it)["Placement"]["AvailabilityZone"])
    made = it.calls(
        "ec2:CreateVolume",
        AvailabilityZone=zone,
        Size=SLOW_GIB,
        VolumeType=SLOW_TYPE,
        ClientToken=f"{it.name}-slow",
        TagSpecifications=it.tagged("volume"),
    )
    volume_id = str(made["VolumeId"])
    for state in ("available", "in-use"):
        it.calls.until(
            "ec2:DescribeVolumes",
            lambda found, state=state: found["Volumes"][0]["State"] == state,  # type: ignore[misc]
            limit_s=VOLUME_LIMIT_S,
            VolumeIds=[volume_id],
        )
        if state == "available":
            it.calls("ec2:AttachVolume", InstanceId=it.instance_id, VolumeId=volume_id, Device=SLOW_DEVICE)
    return volume_id


def hibernation(it: Verification) -> Seen:
    """Launch a server that may hibernate, ask for its snapshots, and terminate it."""
    server = server_of(it)
    # EC2 asks for an encrypted root that has room for the memory.
    of_root = {"Encrypted": True, "VolumeType": "gp3", "VolumeSize": SERVER_GIB}
    root = {"DeviceName": str(server["RootDeviceName"]), "Ebs": of_root}
    try:
        launched = it.calls(
            "ec2:RunInstances",
            ImageId=str(server["ImageId"]),
            InstanceType=str(server["InstanceType"]),
            MinCount=1,
            MaxCount=1,
            ClientToken=f"{it.name}-hibernates",
            HibernationOptions={"Configured": True},
            BlockDeviceMappings=[root],
            TagSpecifications=[*it.tagged("instance"), *it.tagged("volume")],
        )
    except ClientError as error:
        return Seen("not seen", f"EC2 launches none: {error}")
    instance_id = str(launched["Instances"][0]["InstanceId"])
    try:
        it.calls.until(
            "ec2:DescribeInstances",
            lambda found: found["Reservations"][0]["Instances"][0]["State"]["Name"] == "running",
            limit_s=STATE_LIMIT_S,
            InstanceIds=[instance_id],
        )
        request = {"InstanceSpecification": {"InstanceId": instance_id}, "TagSpecifications": it.tagged("snapshot")}
        tried = it.calls.code_of("ec2:CreateSnapshots", **request, DryRun=True)
        done = it.calls.code_of("ec2:CreateSnapshots", **request)
    finally:
        it.calls("ec2:TerminateInstances", InstanceIds=[instance_id])
    refused = tried != "DryRunOperation" and done != ACCEPTED
    return seen(refused, f"CreateSnapshots (DryRun): {tried}; CreateSnapshots: {done}")


STEPS = (
    Step(
        "public-images",
        "the names of AWS's public Windows images, which may stand in for an initial AMI",
        "all are there",
        public_images,
    ),
    Step(
        "launch-dry-run",
        "RunInstances by DryRun tells a missing key pair, group and profile",
        "DryRunOperation; InvalidKeyPair.NotFound, InvalidGroup.NotFound, InvalidParameterValue",
        launch_dry_run,
    ),
    Step(
        "snapshot-limits",
        "CreateSnapshots has the codes of EC2's limits, and made nothing then",
        f"{RATE} or {CONCURRENT} at once, one snapshot; later {CONCURRENT} while the first is pending",
        snapshot_limits,
        changes_server=True,
    ),
    Step(
        "image-at-once",
        "CreateImage within 15 s after a snapshot of the root is refused as CreateSnapshots is, or not at all",
        f"accepted or {RATE}",
        image_at_once,
    ),
    Step(
        "hibernation",
        "EC2 refuses snapshots of a server with hibernation enabled, in DryRun already",
        "refused in both",
        hibernation,
        servers=1,
    ),
)
