"""Steps that take on the functions' managed policies in a role of their own: what conditions and keys really allow."""

import json
from dataclasses import replace
from functools import cache
from typing import Any

import boto3
from botocore.exceptions import ClientError

from tools.verify_on_aws.calls import ACCEPTED, Calls, Whatever
from tools.verify_on_aws.session import TAG, Seen, Step, Verification, seen
from tools.verify_on_aws.steps_ec2 import server_of

POLICIES = ("MayReadBlocks", "MayEndRuns", "MayTakeSnapshots", "MayRecover", "MayWorkInRecovery")
ROLE_LIMIT_S, SNAPSHOT_LIMIT_S, VOLUME_LIMIT_S, STATE_LIMIT_S = 120.0, 1800.0, 300.0, 900.0
DENIED = ("UnauthorizedOperation", "AccessDeniedException", "AccessDenied")
KEY_DEVICE = "xvdq"


def role_name(name: str) -> str:
    """Return the name of the role with the functions' policies."""
    return f"{name}-rights"


def key_alias(name: str) -> str:
    """Return the alias of a verification's own key."""
    return f"alias/{name}"


def _as_functions(it: Verification) -> Calls:
    """Return calls with the rights that the functions' managed policies give, once IAM knows the role."""
    if it.as_functions is not None:
        return it.as_functions
    identity = it.calls("sts:GetCallerIdentity")
    partition, account = str(identity["Arn"]).split(":")[1] if not it.calls.dry else "aws", str(identity["Account"])
    root = {"AWS": f"arn:{partition}:iam::{account}:root"}
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": root, "Action": "sts:AssumeRole"}]}
    tags = [{"Key": TAG, "Value": it.name}]
    name = role_name(it.name)
    role = it.calls("iam:CreateRole", RoleName=name, AssumeRolePolicyDocument=json.dumps(trust), Tags=tags)["Role"]
    for policy in POLICIES:
        it.calls("iam:AttachRolePolicy", RoleName=name, PolicyArn=str(it.resources[policy]))
    end_s = it.calls.now_s() + ROLE_LIMIT_S
    while True:
        try:
            session = it.calls("sts:AssumeRole", RoleArn=str(role["Arn"]), RoleSessionName="verify")
            break
        except ClientError:
            if it.calls.now_s() > end_s:
                raise
            it.calls.pause(it.calls.look_every_s)
    it.as_functions = replace(it.calls, client=_client_with(session["Credentials"], it.region))
    return it.as_functions


def _client_with(credentials: Any, region: str) -> Any:
    session = boto3.session.Session(
        aws_access_key_id=str(credentials["AccessKeyId"]),
        aws_secret_access_key=str(credentials["SecretAccessKey"]),
        aws_session_token=str(credentials["SessionToken"]),
        region_name=region,
    )
    return cache(session.client)


def _snapshots_of(it: Verification, label: str) -> list[str]:
    record = it.records.get(label) or {}
    found = record.get("snapshots") or [] if not isinstance(record, Whatever) else record["snapshots"]
    return [str(each["snapshot_id"]) for each in found] or (["<snapshot>"] if it.calls.dry else [])


def function_rights(it: Verification) -> Seen:
    """Try what the functions' policies must allow on this stack's snapshots, and deny on others."""
    own = _snapshots_of(it, "first-run")
    if not own:
        return Seen("not seen", "the first run left no snapshots")
    made = it.calls("ec2:CreateSnapshots", **_set_of(it))["Snapshots"]
    other = str(made[0]["SnapshotId"])
    _await_snapshot(it, other)
    calls, codes = _as_functions(it), {}
    codes["read own"] = calls.code_of("ebs:ListSnapshotBlocks", SnapshotId=own[0], MaxResults=100)
    codes["read other"] = calls.code_of("ebs:ListSnapshotBlocks", SnapshotId=other, MaxResults=100)
    for what, snapshot_id, tag in (
        ("tag own", own[0], "quiesce:state"),
        ("tag own by another tag", own[0], "quiesce:held"),
        ("tag other", other, "quiesce:state"),
    ):
        tags = [{"Key": tag, "Value": "verify"}]
        codes[what] = calls.code_of("ec2:CreateTags", Resources=[snapshot_id], Tags=tags, DryRun=True)
    for what, tag in (("snapshot with our tag", "quiesce:stack"), ("snapshot without it", TAG)):
        tags = [{"Key": tag, "Value": it.name}]
        specification = [{"ResourceType": "snapshot", "Tags": tags}]
        codes[what] = calls.code_of("ec2:CreateSnapshots", **_set_of(it, specification), DryRun=True)
    expected = {
        "read own": ACCEPTED,
        "tag own": "DryRunOperation",
        "snapshot with our tag": "DryRunOperation",
    }
    good = all(code == expected[what] if what in expected else code in DENIED for what, code in codes.items())
    return seen(good, "; ".join(f"{what}: {code}" for what, code in codes.items()))


def _set_of(it: Verification, tags: Any = None) -> dict[str, Any]:
    specification = {"InstanceId": it.instance_id}
    return {"InstanceSpecification": specification, "TagSpecifications": tags or it.tagged("snapshot")}


def _await_snapshot(it: Verification, snapshot_id: str) -> None:
    it.calls.until(
        "ec2:DescribeSnapshots",
        lambda found: found["Snapshots"][0]["State"] == "completed",
        limit_s=SNAPSHOT_LIMIT_S,
        SnapshotIds=[snapshot_id],
    )


def _volume_under(it: Verification, calls: Calls, snapshot_id: str, key: str, **more: str) -> str:
    """Make a volume of a snapshot under a key; return how it ended: a state, ``gone``, or the code of a refusal."""
    request: dict[str, Any] = {"Encrypted": True, "KmsKeyId": key} if key else {}
    zone = str(server_of(it)["Placement"]["AvailabilityZone"])
    tags = it.tagged("volume", **more)
    try:
        made = calls(
            "ec2:CreateVolume",
            AvailabilityZone=zone,
            SnapshotId=snapshot_id,
            VolumeType="gp3",
            TagSpecifications=tags,
            **request,
        )
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    it.volumes.append(str(made["VolumeId"]))
    try:
        volumes = it.calls.until(
            "ec2:DescribeVolumes",
            lambda found: not found["Volumes"] or found["Volumes"][0]["State"] != "creating",
            limit_s=VOLUME_LIMIT_S,
            VolumeIds=[str(made["VolumeId"])],
        )["Volumes"]
    except ClientError as error:
        return "gone" if "NotFound" in str(error) else str(error)
    return str(volumes[0]["State"]) if volumes else "gone"


def customer_key(it: Verification) -> Seen:
    """Build and read volumes and snapshots under a key of the account, with the functions' rights alone."""
    own = _snapshots_of(it, "first-run")
    if not own:
        return Seen("not seen", "the first run left no snapshots")
    tags = [{"TagKey": TAG, "TagValue": it.name}]
    key = str(it.calls("kms:CreateKey", Description="quiesce verify-on-aws", Tags=tags)["KeyMetadata"]["Arn"])
    it.calls("kms:CreateAlias", AliasName=key_alias(it.name), TargetKeyId=key)
    calls, stack = _as_functions(it), {"quiesce:stack": it.name}
    ends = {"a volume under the key": _volume_under(it, calls, own[0], key, **stack)}
    if ends["a volume under the key"] not in ("available", "<State>"):
        return Seen("otherwise", f"a volume under the key: {ends['a volume under the key']}")
    volume_id = it.volumes[-1]
    made = it.calls("ec2:CreateSnapshot", VolumeId=volume_id, TagSpecifications=it.tagged("snapshot", **stack))
    snapshot_id = str(made["SnapshotId"])
    _await_snapshot(it, snapshot_id)
    ends["a volume of its snapshot"] = _volume_under(it, calls, snapshot_id, "", **stack)
    listed = calls("ebs:ListSnapshotBlocks", SnapshotId=snapshot_id, MaxResults=100)
    block = listed["Blocks"][0] if len(listed["Blocks"]) else {"BlockIndex": 0, "BlockToken": ""}
    ends["a block of it"] = calls.code_of(
        "ebs:GetSnapshotBlock",
        SnapshotId=snapshot_id,
        BlockIndex=block["BlockIndex"],
        BlockToken=str(block["BlockToken"]),
    )
    it.key, it.key_snapshot = key, snapshot_id
    return seen(
        list(ends.values()) == ["available", "available", ACCEPTED],
        "; ".join(f"{what}: {end}" for what, end in ends.items()),
    )


def disabled_key(it: Verification) -> Seen:
    """Disable that key: make a volume of a snapshot under it, and start the server with a volume under it."""
    if not it.key and not it.calls.dry:
        return Seen("not seen", "the step customer-key made no snapshot under a key")
    volume_id = it.volumes[-1] if it.volumes else "<volume>"
    it.calls("ec2:StopInstances", InstanceIds=[it.instance_id])
    _await_server(it, ("stopped",))
    it.calls("ec2:AttachVolume", InstanceId=it.instance_id, VolumeId=volume_id, Device=KEY_DEVICE)
    it.calls("kms:DisableKey", KeyId=it.key or "<key>")
    try:
        made = _volume_under(it, it.calls, it.key_snapshot or "<snapshot>", "")
        code = it.calls.code_of("ec2:StartInstances", InstanceIds=[it.instance_id])
        server = _await_server(it, ("stopped", "running"))
    finally:
        it.calls("kms:EnableKey", KeyId=it.key or "<key>")
    state, reason = str(server["State"]["Name"]), str((server.get("StateReason") or {}).get("Code", ""))
    if state == "running":
        it.calls("ec2:StopInstances", InstanceIds=[it.instance_id])
        _await_server(it, ("stopped",))
    it.calls("ec2:DetachVolume", InstanceId=it.instance_id, VolumeId=volume_id)
    it.calls("ec2:StartInstances", InstanceIds=[it.instance_id])
    _await_server(it, ("running",))
    words = f"a volume: {made}; StartInstances: {code}, then {state} with {reason or 'no reason'}"
    gave_up = state == "stopped" and reason == "Client.InternalError"
    return seen(made in ("error", "gone") and code == ACCEPTED and gave_up, words)


def _await_server(it: Verification, states: tuple[str, ...]) -> Any:
    return it.calls.until(
        "ec2:DescribeInstances",
        lambda found: found["Reservations"][0]["Instances"][0]["State"]["Name"] in states,
        limit_s=STATE_LIMIT_S,
        InstanceIds=[it.instance_id],
    )["Reservations"][0]["Instances"][0]


STEPS = (
    Step(
        "function-rights",
        "tag conditions hold for reading blocks, tagging and CreateSnapshots, whose DryRun checks them",
        "own snapshots and our tags allowed, all others denied",
        function_rights,
    ),
    Step(
        "customer-key",
        "the functions' rights on a key of the account are enough to make volumes and to read blocks",
        "both volumes available, the block accepted",
        customer_key,
    ),
    Step(
        "disabled-key",
        "a key that may not be used shows late: a volume in error or gone, a server stopped with Client.InternalError",
        "error or gone; stopped with Client.InternalError",
        disabled_key,
        changes_server=True,
    ),
)
