"""The steps of a recovery. Each looks at what is there, does what is missing and raises ``NotReady`` until all is done.

So each may be repeated, and a recovery that was stopped anywhere goes on under its id. A server without the tag
``quiesce:recovering`` was handed over: its recovery has ended, and no step changes it any more.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from quiesce import tags
from quiesce.aws import recovery_changes
from quiesce.aws.recovery_changes import CHANGES_PER_TRY, change, tag_of
from quiesce.errors import NotReady, RecoveryBroken, RecoveryUsedUp
from quiesce.recovery.account import OTHER_ID
from quiesce.recovery.plan import RecoveryPlan
from quiesce.recovery.requests import launch_request, volume_request

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import InstanceTypeDef, VolumeTypeDef

TERMINATED = {"terminated", "shutting-down"}


@dataclass(frozen=True)
class Recovering:
    """A recovery in progress."""

    ec2: "EC2Client"
    stack: str
    plan: RecoveryPlan

    def launch(self) -> str:
        """Launch the server into a security group without traffic, once, and return its id.

        Raises:
            RecoveryUsedUp: the server was terminated, and EC2 launches no other one under the recovery's id.
        """
        server = recovery_changes.find_server(self.ec2, self.plan.recovery_id, self.stack)
        if server is None:
            request = launch_request(self.plan, self.stack, [self._isolate()])
            server = recovery_changes.run_server(self.ec2, request)
        if server["State"]["Name"] in TERMINATED:
            raise RecoveryUsedUp(f"{server['InstanceId']}, made by this recovery, is {_end_of(server)}; {OTHER_ID}")
        return server["InstanceId"]

    def stop(self, instance_id: str) -> None:
        """Stop the server that boots from the image's own volume."""
        server, attached = self._server(instance_id), recovery_changes.attached_volumes(self.ec2, instance_id)
        if _has_ended(server) or self._is_in_place(attached):
            return
        if (state := server["State"]["Name"]) == "stopped":
            return
        if state == "running":
            with change("ec2:StopInstances"):
                self.ec2.stop_instances(InstanceIds=[instance_id])
        raise NotReady(f"{instance_id} is {state}, and has to be stopped")

    def make_volumes(self, instance_id: str) -> None:
        """Create the volumes from the snapshots, each once.

        Raises:
            RecoveryUsedUp: a volume's state is ``error``: EC2 gives no reason, such as a key that can't be used.
        """
        if _has_ended(self._server(instance_id)):
            return
        made = self._made()
        _refuse_failed(made)
        missing = [volume for volume in self.plan.volumes if volume.device not in made]
        for volume in missing[:CHANGES_PER_TRY]:
            recovery_changes.create_volume(self.ec2, volume_request(self.plan, self.stack, volume))
        if missing:
            requested, planned = len(missing[:CHANGES_PER_TRY]), len(self.plan.volumes)
            raise NotReady(
                f"EC2 does not list {len(missing)} of {planned} volumes yet, {missing[0].device} among them; "
                f"{requested} requested just now; one that never appears may have a key that the recovery can't use"
            )
        if creating := [volume["VolumeId"] for volume in made.values() if volume["State"] == "creating"]:
            raise NotReady(f"{len(creating)} of {len(made)} volumes are being created: {creating[0]} is one of them")

    def swap(self, instance_id: str) -> None:
        """Put the volumes in place of the image's own, and give the server its security groups.

        Raises:
            RecoveryBroken: a device is taken by a volume that is not this recovery's.
        """
        server = self._server(instance_id)
        if _has_ended(server):
            return
        attached = recovery_changes.attached_volumes(self.ec2, instance_id)
        if not self._is_in_place(attached):
            if server["State"]["Name"] != "stopped":
                raise NotReady(f"{instance_id} is {server['State']['Name']}, and has to be stopped")
            self._move(instance_id, attached)
            raise NotReady(self._progress(instance_id, attached))
        recovery_changes.set_delete_on_termination(self.ec2, instance_id, self.plan)
        recovery_changes.set_groups(self.ec2, instance_id, self.plan.security_group_ids)

    def start(self, instance_id: str) -> None:
        """Start the server from its own volumes."""
        server = self._server(instance_id)
        if (state := server["State"]["Name"]) == "running" or _has_ended(server):
            return
        if state == "stopped":
            with change("ec2:StartInstances"):
                self.ec2.start_instances(InstanceIds=[instance_id])
        raise NotReady(f"{instance_id} is {state}, and has to be running")

    def check_status(self, instance_id: str) -> None:
        """Wait until the server has passed EC2's two status checks."""
        with change("ec2:DescribeInstanceStatus"):
            found = self.ec2.describe_instance_status(InstanceIds=[instance_id])["InstanceStatuses"]
        checks = {name: found[0][name]["Status"] for name in ("InstanceStatus", "SystemStatus")} if found else {}
        if set(checks.values()) != {"ok"}:
            raise NotReady(f"EC2's status checks of {instance_id} are {checks or 'not there yet'}")

    def finish(self, instance_id: str) -> None:
        """Delete what only the recovery needed, and hand the server over: nothing deletes it from now on."""
        server, made = self._server(instance_id), self._made()
        if not _has_ended(server):
            if unlisted := [volume.device for volume in self.plan.volumes if volume.device not in made]:
                raise NotReady(f"EC2 does not list the volume for {unlisted[0]} at the moment")
            for volume in self._images_own():
                recovery_changes.delete_volume(self.ec2, volume["VolumeId"])
            if group := recovery_changes.find_group(self.ec2, self.plan.recovery_id, self.stack):
                recovery_changes.delete_group(self.ec2, group["GroupId"])
        # In one call: if only its volumes were handed over, the recovery could still delete the server.
        ids = {instance_id: server} | {volume["VolumeId"]: volume for volume in made.values()}
        if held := [name for name, resource in ids.items() if tag_of(resource, tags.RECOVERING) is not None]:
            recovery_changes.end_recovering(self.ec2, held)

    def _isolate(self) -> str:
        group = recovery_changes.find_group(self.ec2, self.plan.recovery_id, self.stack)
        if group is None:
            recovery_changes.make_group(self.ec2, self.plan, self.stack)
            raise NotReady("EC2 does not list the security group without traffic yet; it was requested just now")
        if group.get("IpPermissions"):
            raise RecoveryBroken(f"{group['GroupId']} lets traffic in, so it was changed; delete it")
        if group["IpPermissionsEgress"]:
            recovery_changes.silence_group(self.ec2, group)
        return group["GroupId"]

    def _server(self, instance_id: str) -> "InstanceTypeDef":
        server = recovery_changes.describe_server(self.ec2, instance_id)
        if server["State"]["Name"] in TERMINATED:
            raise RecoveryUsedUp(f"{instance_id} is {_end_of(server)}; {OTHER_ID}")
        if tag_of(server, tags.RECOVERY) != self.plan.recovery_id:
            # EC2 sets both tags at the launch: if neither is there, EC2 does not list them yet.
            raise NotReady(f"EC2 does not list {instance_id} with its tags yet")
        return server

    def _found(self) -> list["VolumeTypeDef"]:
        return recovery_changes.find_volumes(self.ec2, self.plan.recovery_id, self.stack)

    def _made(self) -> dict[str, "VolumeTypeDef"]:
        """Return the volumes that were made of snapshots, by device."""
        return {device: v for v in self._found() if (device := tag_of(v, tags.DEVICE))}

    def _images_own(self) -> list["VolumeTypeDef"]:
        return [v for v in self._found() if not tag_of(v, tags.DEVICE) and tag_of(v, tags.RECOVERING)]

    def _in_place(self, attached: list["VolumeTypeDef"]) -> set[str]:
        """Return the devices at which the plan's volumes are attached, not just attaching."""
        places = [(volume, a) for volume in attached for a in volume["Attachments"] if a["State"] == "attached"]
        return {a["Device"] for volume, a in places if _is_of(volume, self.plan.recovery_id, a["Device"])}

    def _is_in_place(self, attached: list["VolumeTypeDef"]) -> bool:
        wanted = {volume.device for volume in self.plan.volumes}
        return self._in_place(attached) == wanted and len(attached) == len(wanted)

    def _progress(self, instance_id: str, attached: list["VolumeTypeDef"]) -> str:
        moving = [
            f"{volume['VolumeId']} is {a['State']} at {a['Device']}"
            for volume in attached
            for a in volume["Attachments"]
            if a["State"] != "attached"
        ]
        in_place = f"{len(self._in_place(attached))} of {len(self.plan.volumes)} volumes are in place on {instance_id}"
        return "; ".join([in_place, *moving[:1]])

    def _move(self, instance_id: str, attached: list["VolumeTypeDef"]) -> None:
        """Detach what is not the plan's, and attach what is missing, up to the number of changes of one try.

        A device is free only once its volume is detached, not while it is detaching.
        """
        foreign = self._foreign(instance_id, attached)[:CHANGES_PER_TRY]
        for volume_id in foreign:
            recovery_changes.detach(self.ec2, instance_id, volume_id)
        for device, volume_id in self._missing(attached)[: CHANGES_PER_TRY - len(foreign)]:
            recovery_changes.attach(self.ec2, instance_id, volume_id, device)

    def _foreign(self, instance_id: str, attached: list["VolumeTypeDef"]) -> list[str]:
        found = []
        for volume in attached:
            attachment, volume_id = volume["Attachments"][0], volume["VolumeId"]
            if _is_of(volume, self.plan.recovery_id, device := attachment["Device"]):
                continue
            if tag_of(volume, tags.RECOVERY) != self.plan.recovery_id:
                raise RecoveryBroken(f"{device} of {instance_id} is taken by {volume_id}, which is not this recovery's")
            if attachment["State"] == "attached":
                found.append(volume_id)
        return found

    def _missing(self, attached: list["VolumeTypeDef"]) -> list[tuple[str, str]]:
        taken = {a["Device"] for volume in attached for a in volume["Attachments"]}
        made, free = self._made(), [v.device for v in self.plan.volumes if v.device not in taken]
        if unlisted := [device for device in free if device not in made]:
            raise NotReady(f"EC2 does not list the volume for {unlisted[0]}; if it was deleted, {OTHER_ID}")
        return [(device, made[device]["VolumeId"]) for device in free]


def _end_of(server: "InstanceTypeDef") -> str:
    """Say how a server ended, and EC2's reason: a person terminated it, or EC2 could not launch it."""
    return f"{server['State']['Name']} ({server.get('StateReason', {}).get('Message') or 'EC2 gives no reason'})"


def _has_ended(server: "InstanceTypeDef") -> bool:
    return tag_of(server, tags.RECOVERING) is None


def _is_of(volume: "VolumeTypeDef", recovery_id: str, device: str) -> bool:
    return tag_of(volume, tags.RECOVERY) == recovery_id and tag_of(volume, tags.DEVICE) == device


def _refuse_failed(made: dict[str, "VolumeTypeDef"]) -> None:
    for device, volume in made.items():
        if (state := volume["State"]) not in ("creating", "available", "in-use"):
            raise RecoveryUsedUp(
                f"{volume['VolumeId']} for {device} is {state}: EC2 could not create it; "
                f"if its snapshot is encrypted, allow the recovery to use the key, and {OTHER_ID}"
            )
