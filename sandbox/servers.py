"""Simulated Windows servers: EC2 instances with volumes, the content of their disks, and the programs on them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from threading import RLock
from typing import TYPE_CHECKING, Any, NamedTuple

from sandbox.aws.direct_apis import DirectApis
from sandbox.aws.instances import INSTANCES
from sandbox.aws.snapshots import RULES, EbsSnapshot
from sandbox.disks.content import VolumeContent
from sandbox.disks.sparse_disk import SparseDisk
from sandbox.snapshot_disks import DiskShape, DiskWriter
from sandbox.windows.application import LEDGER_DRIVE, ORDERS_DRIVE, BusyApplication, Examination, examine
from sandbox.windows.collection import Put
from sandbox.windows.guest import put_nowhere
from sandbox.windows.inventory import nvme_drives
from sandbox.windows.system import Windows
from sandbox.windows.vss import ShadowCopy, VssWriter

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

ROOT_DEVICE = "/dev/sda1"


class Disk(NamedTuple):
    """One volume that a server is to have: its device name in EC2, its size, and its drive in Windows."""

    device: str
    size_gib: int
    drive: str


SHOP_WRITER, SHOP_WRITER_ID = "Shop Writer", "{5409a3f0-0c5e-4c6c-9d0e-7a6b1f1f5409}"
DISKS = (Disk(ROOT_DEVICE, 50, "C:"), Disk("xvdf", 100, "D:"), Disk("xvdg", 20, "E:"))


@dataclass
class Server:
    """A simulated server; `volumes` maps its drives to volume ids.

    `created_s` holds each shadow copy's time of creation, `lost` those that never reach a disk.
    """

    instance_id: str
    name: str
    volumes: dict[str, str]
    windows: Windows
    application: BusyApplication | None = None
    disks: DiskWriter = field(default_factory=lambda: DiskWriter({}))
    created_s: dict[str, float] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)


def nothing_to_get(_link: str) -> None:
    """Follow no link: there is no bucket."""


@dataclass
class Servers:
    """All simulated servers, and the contents of their volumes and snapshots."""

    ec2: "EC2Client"
    backend: Callable[[], Any]
    """moto's EC2; called each time, because a reset replaces it."""
    seed: int
    get: Callable[[str], bytes | None] = nothing_to_get
    """Downloads from a link into the bucket, as a server does."""
    put: Put = put_nowhere
    """Uploads to such a link."""
    managed: dict[str, Windows] = field(default_factory=dict)
    """The servers whose agent has registered with SSM: all, unless a test removes one."""
    lock: Any = field(default_factory=RLock)
    servers: dict[str, Server] = field(default_factory=dict)
    contents: dict[str, VolumeContent] = field(default_factory=dict)
    disks: dict[str, SparseDisk] = field(default_factory=dict)
    """The disk in each snapshot."""

    def __post_init__(self) -> None:
        self.forget()

    def add(
        self,
        name: str,
        volumes: Sequence[Disk] = DISKS,
        *,
        application: bool = True,
        tags: dict[str, str] | None = None,
        seed: int | None = None,
    ) -> Server:
        """Start a Windows server.

        Args:
            name: its Name tag.
            volumes: the first is the root volume; the application needs a D: and an E: among them.
            application: whether the busy application runs on it.
            tags: further tags of the instance.
            seed: decides the instants at which the application is observed; the sandbox's own by default.
        """
        instance_id = self._run_instance(name, volumes, tags or {})
        volume_ids = self._volumes_of(instance_id, volumes)
        for volume_id in volume_ids.values():
            self.contents[volume_id] = VolumeContent()
        busy = None
        if application:
            drives = {drive: self.contents[volume_ids[drive]] for drive in (ORDERS_DRIVE, LEDGER_DRIVE)}
            busy = BusyApplication(self.seed if seed is None else seed, drives)
        drives = nvme_drives(volume_ids)
        windows = Windows(instance_id, busy, self.get, RULES.now_s(), put=self.put, drives=drives)
        shapes = {
            volume_ids[drive.path]: DiskShape(drive.volume_guid, disk.size_gib)
            for drive, disk in zip(drives, volumes, strict=True)
        }
        server = Server(instance_id, name, volume_ids, windows, busy, DiskWriter(shapes))
        self._wire_vss(server, {drive.path: drive.volume_guid for drive in drives})
        with self.lock:
            self.servers[instance_id], self.managed[instance_id] = server, windows
        return server

    def add_image(self, name: str) -> str:
        """Register a Windows image, with the platform and architecture that moto leaves out."""
        image_id = self.ec2.register_image(Name=name, RootDeviceName=ROOT_DEVICE)["ImageId"]
        image = self.backend().amis[image_id]
        image.platform, image.architecture, image.root_device_name = "windows", "x86_64", ROOT_DEVICE
        return image_id

    def state_of(self, instance_id: str) -> str | None:
        """Return the state of an instance, as EC2 names it; None if there is no such instance."""
        found = self.backend().describe_instances(filters={"instance-id": [instance_id]})
        return found[0].instances[0].state if found else None

    def advance(self) -> None:
        """Do everything on all servers that is due by now."""
        with self.lock:
            for server in self.servers.values():
                server.windows.advance(RULES.now_s())

    def stop(self, server: Server) -> None:
        """Shut a server down; its application finishes the order at hand."""
        if server.application:
            server.application.shut_down()
        server.windows.switch_off()
        self.ec2.stop_instances(InstanceIds=[server.instance_id])

    def terminate(self, server: Server) -> None:
        """Terminate a server."""
        self.ec2.terminate_instances(InstanceIds=[server.instance_id])

    def content(self, snapshot_id: str) -> VolumeContent:
        """Return the content of a snapshot."""
        return self.contents[snapshot_id]

    def direct_apis(self, now_s: Callable[[], float]) -> DirectApis:
        """Return the EBS direct APIs over the snapshots of these servers."""

        def snapshot_of(snapshot_id: str) -> Any:
            return self.backend().snapshots.get(snapshot_id)

        return DirectApis(snapshot_of, self.disks.__getitem__, now_s)

    def examine(self, snapshots: dict[str, str]) -> Examination:
        """Examine the application's data in a recovery point, given as snapshot ids by volume id."""
        drives: dict[str, VolumeContent] = {}
        for server in self.servers.values():
            drives |= {d: self.content(snapshots[v]) for d, v in server.volumes.items() if v in snapshots}
        return examine(drives)

    def examine_shadow_copies(self, record: dict[str, Any]) -> Examination:
        """Examine the application's data in the shadow copies inside a recovery point, given as its record.

        Raises:
            KeyError: the recovery point lacks a shadow copy or the volume with its shadow storage.
        """
        snapshots = {each["volume_id"]: each["snapshot_id"] for each in record["snapshots"]}
        copies = record["shadow"]["copies"]
        volume_id_by_guid = {copy["volume_guid"]: copy["volume_id"] for copy in copies}
        drives: dict[str, VolumeContent] = {}
        for copy in copies:
            storage = self.content(snapshots[volume_id_by_guid[copy["storage_guid"]]])
            drives[copy["path"]] = storage.shadow_copies[copy["shadow_id"]]
        return examine(drives)

    def forget(self) -> None:
        """Forget all servers and contents, and listen in place of all other listeners."""
        with self.lock:
            self.servers.clear()
            self.managed.clear()
            self.contents.clear()
            self.disks.clear()
        RULES.captured[:] = [self._capture]
        INSTANCES.started[:] = [self._boot]

    def _wire_vss(self, server: Server, guids: dict[str, str]) -> None:
        """Let shadow copies capture the volumes, while the application is frozen if VSS asks its writer."""
        vss, busy = server.windows.guest.vss, server.application
        volume_of = {guid: server.volumes[drive] for drive, guid in guids.items()}
        vss.writers = [replace(writer, notified=[]) for writer in vss.writers]
        if busy:
            needs = frozenset(guids[drive] for drive in (ORDERS_DRIVE, LEDGER_DRIVE))
            vss.writers.append(VssWriter(SHOP_WRITER, SHOP_WRITER_ID, (r"\Shop",), needs))

        def created(copies: list[ShadowCopy]) -> None:
            if busy:
                busy.work()
            if busy and SHOP_WRITER in vss.asked:
                busy.freeze()
            for copy in copies:
                server.created_s[copy.shadow_id] = server.windows.now_s
                captured = VolumeContent(dict(self.contents[volume_of[copy.volume]].files))
                home = volume_of.get(vss.storage_of(copy.volume))
                if home is not None:  # otherwise the storage is not on an EBS volume
                    self.contents[home].shadow_copies[copy.shadow_id] = captured

        vss.created = created

    def _capture(self, instance_id: str, snapshots: Sequence[EbsSnapshot]) -> None:
        """Copy the volumes' content at the instant when CreateSnapshots takes effect."""
        server = self.servers.get(instance_id)
        if server is None:
            return
        with self.lock:
            self.advance()
            if server.application and self.state_of(instance_id) == "running":
                server.application.work()
            written = server.disks.write(server.windows.guest.vss, server.created_s, server.lost)
            for snapshot in snapshots:
                self.disks[snapshot.id] = written.get(snapshot.volume_id, SparseDisk(snapshot.volume.size << 30))
                content = self.contents.setdefault(snapshot.volume_id, VolumeContent())
                existing = {copy.shadow_id for copy in server.windows.guest.vss.shadow_copies}
                kept = {shadow_id: copy for shadow_id, copy in content.shadow_copies.items() if shadow_id in existing}
                content.shadow_copies = kept
                self.contents[snapshot.id] = content.capture()

    def _boot(self, instance: Any) -> None:
        """Start Windows, with the volumes' content, on an instance whose root volume comes from a server's snapshot.

        Any other instance stays unknown here: its agent never registers.
        """
        snapshots = {
            device: self.backend().get_volume(mapping.volume_id).snapshot_id
            for device, mapping in instance.get_block_device_mapping
        }
        if instance.id in self.servers or snapshots.get(instance.root_device_name) not in self.contents:
            return
        volumes = {}
        for device, mapping in instance.get_block_device_mapping:
            if drive := self._drive_of(snapshots[device]):
                volumes[drive] = mapping.volume_id
                self.contents[mapping.volume_id] = self.contents[snapshots[device]].capture()
        windows = Windows(instance.id, None, self.get, RULES.now_s(), put=self.put, drives=nvme_drives(volumes))
        with self.lock:
            self.servers[instance.id] = Server(instance.id, "", volumes, windows)
            self.managed[instance.id] = windows

    def _drive_of(self, snapshot_id: str | None) -> str | None:
        """Return the drive of a snapshot's volume; Windows finds it again by the disk's signature."""
        snapshot = self.backend().snapshots.get(snapshot_id)
        drives = {volume: drive for server in self.servers.values() for drive, volume in server.volumes.items()}
        return drives.get(snapshot.volume_id) if snapshot else None

    def _run_instance(self, name: str, volumes: Sequence[Disk], tags: dict[str, str]) -> str:
        image = self.ec2.register_image(Name=f"windows-for-{name}", RootDeviceName=volumes[0].device)["ImageId"]
        # EC2 gives a server the VPC's default group if the call names none; moto gives it none.
        default = self.ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["default"]}])
        answer = self.ec2.run_instances(
            SecurityGroupIds=[default["SecurityGroups"][0]["GroupId"]],
            ImageId=image,
            MinCount=1,
            MaxCount=1,
            InstanceType="m5.large",
            BlockDeviceMappings=[
                {"DeviceName": d.device, "Ebs": {"VolumeSize": d.size_gib, "VolumeType": "gp3"}} for d in volumes
            ],
            TagSpecifications=[
                {
                    "ResourceType": "instance",
                    "Tags": [{"Key": key, "Value": value} for key, value in {"Name": name, **tags}.items()],
                }
            ],
        )
        instance_id = answer["Instances"][0]["InstanceId"]
        instance = self.backend().get_instance(instance_id)
        instance.platform, instance.platform_details = "windows", "Windows"  # moto knows them from its AMI file only
        return instance_id

    def _volumes_of(self, instance_id: str, volumes: Sequence[Disk]) -> dict[str, str]:
        mappings = dict(self.backend().get_instance(instance_id).get_block_device_mapping)
        return {disk.drive: mappings[disk.device].volume_id for disk in volumes}
