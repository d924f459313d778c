"""The steps of a recovery. Each looks at what is there, does what is missing and raises ``NotReady`` until all is done.

So each may be repeated, and a recovery that was stopped anywhere goes on under its id. A server without the tag
``quiesce:recovering`` was handed over: its recovery has ended, and no step changes it any more.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from quiesce import tags
from quiesce.aws import recovery_changes
from quiesce.aws.recovered import RecoveredServer, RecoveredVolume
from quiesce.aws.recovery_changes import CHANGES_PER_TRY, tag_of
from quiesce.aws.recovery_looks import status_checks
from quiesce.errors import ChangeRefused, NotReady, RecoveryBroken, RecoveryUsedUp
from quiesce.recovery.account import OTHER_ID
from quiesce.recovery.plan import RecoveryPlan
from quiesce.recovery.requests import launch_request, volume_request
from quiesce.recovery.state import is_healthy
from quiesce.steps.recovery.children import delete_children

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

TERMINATED = {"terminated", "shutting-down"}
START_REMEDY = (
    "if volumes are encrypted, let the function's role use their keys by the keys' policies (docs/use/recover.md, "
    "Rights), and start it again under the same recovery_id"
)


@dataclass(frozen=True)
class Recovering:
    """A recovery in progress; ``began_at`` is when the execution that goes on with it began, in UTC."""

    ec2: "EC2Client"
    stack: str
    plan: RecoveryPlan
    began_at: datetime

    def launch(self) -> str:
        """Launch the server into a security group without traffic, once, and return its id.

        Raises:
            RecoveryUsedUp: the server was terminated, and EC2 launches no other one under the recovery's id.
        """
        server = recovery_changes.find_server(self.ec2, self.plan.recovery_id, self.stack)
        if server is None:
            request = launch_request(self.plan, self.stack, [self._isolate()])
            server = recovery_changes.run_server(self.ec2, request)
        if server.state in TERMINATED:
            raise RecoveryUsedUp(f"{server.server_id}, made by this recovery, is {_end_of(server)}; {OTHER_ID}")
        return server.server_id

    def stop(self, instance_id: str) -> None:
        """Stop the server that boots from the image's own volume."""
        server, attached = self._server(instance_id), recovery_changes.attached_volumes(self.ec2, instance_id)
        if _has_ended(server) or self._is_in_place(attached):
            return
        if server.state == "stopped":
            return
        if server.state == "running":
            recovery_changes.stop_server(self.ec2, instance_id)
        raise NotReady(f"{instance_id} is {server.state}, and has to be stopped")

    def make_volumes(self, instance_id: str) -> None:
        """Create the volumes from the snapshots, each once.

        Raises:
            RecoveryUsedUp: a volume is in ``error``, for which EC2 gives no reason, or gone with what it was made of.
        """
        if _has_ended(self._server(instance_id)):
            return
        made = self._made()
        _refuse_failed(made)
        missing = [volume for volume in self.plan.volumes if volume.device not in made]
        if gone := [volume.device for volume in missing if not volume.snapshot_id]:
            raise RecoveryUsedUp(f"the snapshot that was built for {gone[0]} is gone, and so is its volume; {OTHER_ID}")
        for volume in missing[:CHANGES_PER_TRY]:
            recovery_changes.create_volume(self.ec2, volume_request(self.plan, self.stack, volume))
        if missing:
            requested, planned = len(missing[:CHANGES_PER_TRY]), len(self.plan.volumes)
            raise NotReady(
                f"EC2 does not list {len(missing)} of {planned} volumes yet, {missing[0].device} among them; "
                f"{requested} requested just now; one that never appears may have a key that the recovery can't use"
            )
        if creating := [volume.volume_id for volume in made.values() if volume.state == "creating"]:
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
            if server.state != "stopped":
                raise NotReady(f"{instance_id} is {server.state}, and has to be stopped")
            self._move(instance_id, attached)
            raise NotReady(self._progress(instance_id, attached))
        recovery_changes.set_delete_on_termination(self.ec2, instance_id, self.plan)
        recovery_changes.set_groups(self.ec2, instance_id, self.plan.security_group_ids)

    def start(self, instance_id: str) -> None:
        """Start the server from its own volumes.

        Raises:
            ChangeRefused: EC2 gave up a start of this execution, as where a volume's key can't be used. An earlier
                execution's counts for nothing: the key may be mended by now.
        """
        server = self._server(instance_id)
        if server.state == "running" or _has_ended(server):
            return
        if server.state == "stopped":
            if server.given_up and server.launched_at >= self.began_at:
                raise ChangeRefused("ec2:StartInstances", f"EC2 took it, and {server.standing}", START_REMEDY)
            recovery_changes.start_server(self.ec2, instance_id)
        raise NotReady(f"{server.standing}, and has to be running")

    def check_status(self, instance_id: str) -> None:
        """Wait until the server has passed EC2's two status checks."""
        checks = status_checks(self.ec2, instance_id)
        if not is_healthy(checks):
            raise NotReady(f"EC2's status checks of {instance_id} are {checks or 'not there yet'}")

    def finish(self, instance_id: str) -> None:
        """Delete what only the recovery needed, also what was built, and hand the server over for good."""
        server, made = self._server(instance_id), self._made()
        if not _has_ended(server):
            if unlisted := [volume.device for volume in self.plan.volumes if volume.device not in made]:
                raise NotReady(f"EC2 does not list the volume for {unlisted[0]} at the moment")
            for volume in self._images_own():
                recovery_changes.delete_volume(self.ec2, volume.volume_id)
            if group := recovery_changes.find_group(self.ec2, self.plan.recovery_id, self.stack):
                recovery_changes.delete_group(self.ec2, group.group_id)
        # In one call: if only its volumes were handed over, the recovery could still delete the server.
        ids: dict[str, RecoveredServer | RecoveredVolume] = {volume.volume_id: volume for volume in made.values()}
        ids |= {instance_id: server}
        delete_children(self.ec2, self.plan.recovery_id, self.stack, CHANGES_PER_TRY)
        if held := [name for name, resource in ids.items() if tag_of(resource, tags.RECOVERING) is not None]:
            recovery_changes.end_recovering(self.ec2, held)

    def _isolate(self) -> str:
        group = recovery_changes.find_group(self.ec2, self.plan.recovery_id, self.stack)
        if group is None:
            recovery_changes.make_group(self.ec2, self.plan, self.stack)
            raise NotReady("EC2 does not list the security group without traffic yet; it was requested just now")
        if group.lets_in:
            raise RecoveryBroken(f"{group.group_id} lets traffic in, so it was changed; delete it")
        if group.egress:
            recovery_changes.silence_group(self.ec2, group)
        return group.group_id

    def _server(self, instance_id: str) -> RecoveredServer:
        server = recovery_changes.describe_server(self.ec2, instance_id)
        if server.state in TERMINATED:
            raise RecoveryUsedUp(f"{instance_id} is {_end_of(server)}; {OTHER_ID}")
        if tag_of(server, tags.RECOVERY) != self.plan.recovery_id:
            # EC2 sets both tags at the launch: if neither is there, EC2 does not list them yet.
            raise NotReady(f"EC2 does not list {instance_id} with its tags yet")
        return server

    def _found(self) -> list[RecoveredVolume]:
        return recovery_changes.find_volumes(self.ec2, self.plan.recovery_id, self.stack)

    def _made(self) -> dict[str, RecoveredVolume]:
        """Return the volumes that were made of snapshots, by device."""
        return {device: v for v in self._found() if (device := tag_of(v, tags.DEVICE))}

    def _images_own(self) -> list[RecoveredVolume]:
        return [v for v in self._found() if not tag_of(v, tags.DEVICE) and tag_of(v, tags.RECOVERING)]

    def _in_place(self, attached: list[RecoveredVolume]) -> set[str]:
        """Return the devices at which the plan's volumes are attached, not just attaching."""
        mine = self.plan.recovery_id
        places = [(volume, a) for volume in attached for a in volume.attachments]
        return {a.device for volume, a in places if _is_of(volume, mine, a.device) and a.state == "attached"}

    def _is_in_place(self, attached: list[RecoveredVolume]) -> bool:
        wanted = {volume.device for volume in self.plan.volumes}
        return self._in_place(attached) == wanted and len(attached) == len(wanted)

    def _progress(self, instance_id: str, attached: list[RecoveredVolume]) -> str:
        moving = [
            f"{volume.volume_id} is {a.state} at {a.device}"
            for volume in attached
            for a in volume.attachments
            if a.state != "attached"
        ]
        in_place = f"{len(self._in_place(attached))} of {len(self.plan.volumes)} volumes are in place on {instance_id}"
        return "; ".join([in_place, *moving[:1]])

    def _move(self, instance_id: str, attached: list[RecoveredVolume]) -> None:
        """Detach what is not the plan's, and attach what is missing, up to the number of changes of one try.

        A device is free only once its volume is detached, not while it is detaching.
        """
        foreign = self._foreign(instance_id, attached)[:CHANGES_PER_TRY]
        for volume_id in foreign:
            recovery_changes.detach(self.ec2, instance_id, volume_id)
        for device, volume_id in self._missing(attached)[: CHANGES_PER_TRY - len(foreign)]:
            recovery_changes.attach(self.ec2, instance_id, volume_id, device)

    def _foreign(self, instance_id: str, attached: list[RecoveredVolume]) -> list[str]:
        found = []
        for volume in attached:
            attachment, volume_id = volume.attachments[0], volume.volume_id
            if _is_of(volume, self.plan.recovery_id, device := attachment.device):
                continue
            if tag_of(volume, tags.RECOVERY) != self.plan.recovery_id:
                raise RecoveryBroken(f"{device} of {instance_id} is taken by {volume_id}, which is not this recovery's")
            if attachment.state == "attached":
                found.append(volume_id)
        return found

    def _missing(self, attached: list[RecoveredVolume]) -> list[tuple[str, str]]:
        taken = {a.device for volume in attached for a in volume.attachments}
        made, free = self._made(), [v.device for v in self.plan.volumes if v.device not in taken]
        if unlisted := [device for device in free if device not in made]:
            raise NotReady(f"EC2 does not list the volume for {unlisted[0]}; if it was deleted, {OTHER_ID}")
        return [(device, made[device].volume_id) for device in free]


def _end_of(server: RecoveredServer) -> str:
    """Say how a server ended, and EC2's reason: a person terminated it, or EC2 could not launch it."""
    return f"{server.state} ({server.reason or 'EC2 gives no reason'})"


def _has_ended(server: RecoveredServer) -> bool:
    return tag_of(server, tags.RECOVERING) is None


def _is_of(volume: RecoveredVolume, recovery_id: str, device: str) -> bool:
    return tag_of(volume, tags.RECOVERY) == recovery_id and tag_of(volume, tags.DEVICE) == device


def _refuse_failed(made: dict[str, RecoveredVolume]) -> None:
    for device, volume in made.items():
        if volume.state not in ("creating", "available", "in-use"):
            raise RecoveryUsedUp(
                f"{volume.volume_id} for {device} is {volume.state}: EC2 could not create it; "
                f"if its snapshot is encrypted, allow the recovery to use the key, and {OTHER_ID}"
            )
