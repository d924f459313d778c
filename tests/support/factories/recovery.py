"""Parts of a recovery for tests, complete and good by default."""

from datetime import timedelta
from typing import Any

from quiesce.executions import Execution
from quiesce.points.image import FoundImage
from quiesce.points.point import RecoveryPoint
from quiesce.recovery.account import Ending
from quiesce.recovery.flaws import FoundSnapshot
from quiesce.recovery.input import RecoveryRequest, read_recovery_request
from quiesce.recovery.obstacles import Found, FoundSubnet
from quiesce.recovery.plan import RecoveryPlan, decide
from tests.support.factories.run import INSTANCE, NOW, a_volume, snapshot_id

IMAGE, SUBNET, VPC, GROUP = ("ami-0123456789abcdef0", "subnet-0123456789abcdef0", "vpc-1", "sg-0123456789abcdef0")


def a_source(**changes: Any) -> dict[str, Any]:
    fields = {
        "instance_type": "m5.large",
        "architecture": "x86_64",
        "boot_mode": "legacy-bios",
        "image_id": "ami-11111111",
        "root_device": "/dev/sda1",
        "vpc_id": VPC,
        "subnet_id": SUBNET,
        "availability_zone": "eu-west-1a",
        "security_group_ids": [GROUP],
        "key_name": "admins",
    }
    return {**fields, **changes}


def an_image(image_id: str = IMAGE, days: int = 0, **changes: Any) -> FoundImage:
    """Return an image that fits, `days` days old."""
    fields = {
        "state": "available",
        "root_device": "/dev/sda1",
        "architecture": "x86_64",
        "boot_mode": "",
        "platform": "windows",
        "billing": "RunInstances:0002",
        "by_backup": True,
    }
    return FoundImage(**{"image_id": image_id, "created_at": NOW - timedelta(days=days), **fields, **changes})


def a_point(run_id: str = "run-1", hours: int = 0, volumes: int = 2, **changes: Any) -> RecoveryPoint:
    """Return a recovery point with its snapshots `hours` hours after NOW."""
    of_volumes = changes.pop("of_volumes", [a_volume(n) for n in range(volumes)])
    fields = {
        "run_id": run_id,
        "status": "Successful",
        "consistency": {"level": "crash", "reason": "no application was frozen"},
        "instance_id": INSTANCE,
        "instance_name": "FILES01",
        "source": a_source(),
        "snapshots_at": NOW + timedelta(hours=hours),
        "snapshots": [
            {"snapshot_id": snapshot_id(n), "size_gib": 8, "volume": volume and volume.model_dump()}
            for n, volume in enumerate(of_volumes)
        ],
    }
    return RecoveryPoint.model_validate({**fields, **changes})


def a_request(**fields: Any) -> RecoveryRequest:
    which = {} if "instance_id" in fields or "recovery_point" in fields else {"recovery_point": "run-1"}
    return read_recovery_request({"image_id": IMAGE, **which, **fields}, "Europe/Berlin")


def a_recovery_plan(point: RecoveryPoint | None = None, **fields: Any) -> RecoveryPlan:
    return decide("drill-7", a_request(**fields), point or a_point(), None)


def all_found(plan: RecoveryPlan, **changes: Any) -> Found:
    """Return an answer of EC2 that has everything a plan names, except for changes."""
    fields = {
        "snapshots": {v.snapshot_id: FoundSnapshot("completed", "standard") for v in plan.volumes},
        "image": an_image(),
        "subnet": FoundSubnet(SUBNET, "eu-west-1a", VPC, "10.0.1.0/24"),
        "group_vpcs": {GROUP: VPC},
    }
    return Found(**{**fields, **changes})


def an_ending(recovery_id: str = "drill-7") -> Ending:
    """Return the end of an execution, a minute after its start."""
    execution = Execution(
        id=f"arn:aws:states:eu-west-1:123456789012:execution:recover:{recovery_id}", name=recovery_id, started_at=NOW
    )
    return Ending(recovery_id, execution, NOW + timedelta(minutes=1), f"s3://bucket/recoveries/{recovery_id}.json")
