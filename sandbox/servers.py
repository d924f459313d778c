"""Simulated Windows servers: EC2 instances with volumes, the content of their disks, and the programs on them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import RLock
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from moto.ec2.exceptions import EC2ClientError

from sandbox.aws.direct_apis import DirectApis
from sandbox.aws.direct_writes import Ec2Snapshots, Writes
from sandbox.aws.instances import INSTANCES
from sandbox.aws.keys import KEYS
from sandbox.aws.snapshot_copies import COPIES, encrypts_by_default
from sandbox.aws.snapshots import RULES, EbsSnapshot, WrittenSnapshot, create_in_servers_name, start_snapshot
from sandbox.disks.ntfs_volume import NtfsVolume, mounted
from sandbox.disks.sparse_disk import SparseDisk, read_gpt
from sandbox.snapshot_disks import ServerDisks, new_volume
from sandbox.windows.application import LEDGER_DRIVE, ORDERS_DRIVE, BusyApplication, Examination, examine
from sandbox.windows.aws_vss import Ec2Refused
from sandbox.windows.collection import Put
from sandbox.windows.guest import put_nowhere
from sandbox.windows.inventory import nvme_drives
from sandbox.windows.system import OnDisk, Windows
from sandbox.windows.vss import ShadowCopy, VssWriter

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

ROOT_DEVICE = "/dev/sda1"
# Of a Windows server whose licence EC2 bills (EC2 user guide, AMI billing information).
WITH_LICENCE = "RunInstances:0002"


class Disk(NamedTuple):
    """One volume that a server is to have: its device name in EC2, its size, and its drive in Windows."""

    device: str
    size_gib: int
    drive: str


SHOP_WRITER, SHOP_WRITER_ID = "Shop Writer", "{5409a3f0-0c5e-4c6c-9d0e-7a6b1f1f5409}"
# What the shop's writer writes in a shadow copy of its orders: its id.
RECOVERED_PATH = r"\Shop\recovered.txt"
DISKS = (Disk(ROOT_DEVICE, 50, "C:"), Disk("xvdf", 100, "D:"), Disk("xvdg", 20, "E:"))


@dataclass
class Server:
    """A simulated server; `volumes` maps its drives to volume ids, `lost` are shadow copies that reach no disk."""

    instance_id: str
    name: str
    volumes: dict[str, str]
    windows: Windows
    application: BusyApplication | None = None
    disks: ServerDisks = field(default_factory=ServerDisks)
    lost: set[str] = field(default_factory=set)
    at_shadow: OnDisk | None = None
    """What lay on the system drive when the last shadow copies were made."""


def _open_default_vpc(backend: Any) -> Any:
    """Return the default VPC, with the internet gateway that AWS gives it (VPC user guide); moto's has none."""
    vpc = backend.get_default_vpc()
    if not backend.describe_internet_gateways():
        [table] = backend.describe_route_tables(filters={"vpc-id": [vpc.id], "association.main": ["true"]})
        gateway = backend.create_internet_gateway()
        backend.attach_internet_gateway(gateway.id, vpc.id)
        backend.create_route(table.id, "0.0.0.0/0", gateway_id=gateway.id)
    return vpc


def nothing_to_get(_link: str) -> None:
    """Follow no link: there is no bucket."""


@dataclass(frozen=True)
class InServersName:
    """EC2 as AWS's VSS components on a server call it, by the role of its instance profile."""

    servers: "Servers"
    server: Server

    def create(self, description: str, tags: Mapping[str, str], *, without_root: bool, consistent: bool) -> list[str]:
        """Create the snapshots; VSS has its writers finish what is at hand if they are to be consistent.

        Raises:
            Ec2Refused: none was created.
        """
        instance_id, backend = self.server.instance_id, self.servers.backend()
        with self.servers.lock:
            self.servers.frozen_by_aws = consistent
            try:
                made = create_in_servers_name(backend, instance_id, description, dict(tags), without_root=without_root)
            except EC2ClientError as error:
                raise Ec2Refused(str(error)) from error
            finally:
                self.servers.frozen_by_aws = False
        devices = {m.volume_id: device for device, m in backend.get_instance(instance_id).get_block_device_mapping}
        for snapshot in made:
            snapshot.add_tags({"Device": devices[snapshot.volume_id]})
        return [snapshot.id for snapshot in made]

    def tag(self, snapshot_ids: list[str], tags: Mapping[str, str]) -> None:
        """Tag snapshots."""
        for snapshot_id in snapshot_ids:
            self.servers.backend().snapshots[snapshot_id].add_tags(dict(tags))


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
    volumes: dict[str, NtfsVolume] = field(default_factory=dict)
    """The volumes that a simulated Windows has mounted, by their ids."""
    disks: dict[str, SparseDisk] = field(default_factory=dict)
    """The disk in each snapshot."""
    shadow_disks: dict[str, dict[str, SparseDisk]] = field(default_factory=dict)
    """By snapshot, the disks as of the shadow copies whose storage it holds, by the copies' ids."""
    drives: dict[UUID, str] = field(default_factory=dict)
    """The drive of each disk, by the id that Windows gave it."""
    public_images: set[str] = field(default_factory=set)
    """AWS's own images: Windows is on them, with an agent, so that a server of one comes up."""
    by_profile: set[str] = field(default_factory=set)
    """The servers whose agents have registered by an instance profile that was given to them later."""
    found: dict[str, tuple[OnDisk, OnDisk]] = field(default_factory=dict)
    """By snapshot of a system drive, what of quiesce lies on it, and in a snapshot that is built from it."""

    frozen_by_aws: bool = False
    """Whether AWS's VSS components hold the applications at this moment."""

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
        drives = nvme_drives(volume_ids)
        for drive, disk in zip(drives, volumes, strict=True):
            volume = new_volume(drive.volume_guid, disk.size_gib, of_windows=disk is volumes[0])
            self.volumes[volume_ids[drive.path]], self.drives[volume.disk_id] = volume, drive.path
        busy = None
        if application:
            on = {drive: self.volumes[volume_ids[drive]] for drive in (ORDERS_DRIVE, LEDGER_DRIVE)}
            busy = BusyApplication(self.seed if seed is None else seed, on)
        windows = Windows(instance_id, busy, self.get, RULES.now_s(), put=self.put, drives=drives)
        return self._switched_on(Server(instance_id, name, volume_ids, windows, busy))

    def encrypt(self, server: Server, key: str) -> None:
        """Let a server's volumes be encrypted under a customer's key."""
        KEYS.customers.add(key)
        for volume_id in server.volumes.values():
            volume = self.backend().volumes[volume_id]
            volume.encrypted, volume.kms_key_id = True, key

    def add_image(self, name: str) -> str:
        """Register a Windows image, with the platform and architecture that moto leaves out."""
        image = self.backend().register_image(name, "")
        image.platform, image.architecture, image.root_device_name = "windows", "x86_64", ROOT_DEVICE
        image.usage_operation = WITH_LICENCE
        return str(image.id)

    def add_public_image(self, name: str) -> str:
        """Register an image as AWS has in public."""
        image_id = self.add_image(name)
        self.public_images.add(image_id)
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
        for volume in server.disks.volumes.values():
            volume.dismount()
        self.ec2.stop_instances(InstanceIds=[server.instance_id])

    def terminate(self, server: Server) -> None:
        """Terminate a server."""
        self.ec2.terminate_instances(InstanceIds=[server.instance_id])

    def content(self, volume_or_snapshot_id: str) -> NtfsVolume:
        """Return a volume that Windows has mounted, or what is in a snapshot as Windows would mount it.

        Raises:
            KeyError: there is no such snapshot.
            NotMounted: Windows would not mount it, or would have to repair it.
        """
        volume = self.volumes.get(volume_or_snapshot_id)
        return volume or mounted(self.disks[volume_or_snapshot_id].copy())

    def direct_apis(self, now_s: Callable[[], float]) -> DirectApis:
        """Return the EBS direct APIs over the snapshots of these servers."""

        def snapshot_of(snapshot_id: str) -> Any:
            return self.backend().snapshots.get(snapshot_id)

        def pending() -> int:
            return sum(snapshot.status == "pending" for snapshot in list(self.backend().snapshots.values()))

        def make(size_gib: int, description: str, parent: Any) -> WrittenSnapshot:
            snapshot = start_snapshot(self.backend(), size_gib, description, parent)
            if parent.id in self.found:
                self.found[snapshot.id] = (self.found[parent.id][1],) * 2
            return snapshot

        apis = DirectApis(snapshot_of, self.disks.__getitem__, now_s)
        ec2 = Ec2Snapshots(snapshot_of, make, self._keep_disk, pending, lambda: encrypts_by_default(self.backend()))
        apis.writes = Writes(ec2, self.disks.__getitem__, now_s, apis.keyless)
        return apis

    def examine(self, snapshots: dict[str, str]) -> Examination:
        """Examine the application's data in a recovery point, given as snapshot ids by volume id."""
        drives: dict[str, NtfsVolume] = {}
        for server in self.servers.values():
            drives |= {d: self.content(snapshots[v]) for d, v in server.volumes.items() if v in snapshots}
        return examine(drives)

    def examine_server(self, instance_id: str) -> Examination:
        """Examine the application's data on a server that runs."""
        volumes = self.servers[instance_id].volumes
        return examine({drive: self.content(volumes[drive]) for drive in (ORDERS_DRIVE, LEDGER_DRIVE)})

    def examine_shadow_copies(self, record: dict[str, Any]) -> Examination:
        """Examine the application's data in the shadow copies inside a recovery point, given as its record.

        Raises:
            KeyError: the recovery point lacks a shadow copy or the volume with its shadow storage.
        """
        # By what the snapshots hold: a server that could not be asked for its storage has it all the same.
        held: dict[str, SparseDisk] = {}
        for each in record["snapshots"]:
            held |= self.shadow_disks.get(each["snapshot_id"], {})
        return examine({copy["path"]: mounted(held[copy["shadow_id"]].copy()) for copy in record["shadow"]["copies"]})

    def forget(self) -> None:
        """Forget all servers and contents, and listen in place of all other listeners."""
        with self.lock:
            of_snapshots = (self.disks, self.shadow_disks, self.found)
            for known in (self.servers, self.managed, self.volumes, self.drives, *of_snapshots):
                known.clear()
            self.public_images.clear()
            self.by_profile.clear()
        RULES.captured[:] = [self._capture]
        INSTANCES.started[:], INSTANCES.launched[:] = [self._boot], [self._first_boot]
        INSTANCES.associated[:] = [self._profile_changed]
        COPIES.copied[:] = [self._keep_copy]

    def _switched_on(self, server: Server) -> Server:
        """Let the server's VSS work on its volumes, and know the server from now on."""
        windows, busy = server.windows, server.application
        server.disks.volumes = {drive.volume_guid: self._volume(server, drive.path) for drive in windows.guest.drives}
        guids = {drive.path: drive.volume_guid for drive in windows.guest.drives}
        vss = windows.guest.vss
        vss.writers = [replace(writer, notified=[]) for writer in vss.writers]
        if busy:
            needs = frozenset(guids[drive] for drive in (ORDERS_DRIVE, LEDGER_DRIVE))
            vss.writers.append(VssWriter(SHOP_WRITER, SHOP_WRITER_ID, (r"\Shop",), needs))

        def created(copies: list[ShadowCopy]) -> None:
            server.disks.delete_copies({copy.shadow_id for copy in vss.shadow_copies})
            server.at_shadow = windows.on_disk()
            if busy:
                busy.work()
            if busy and SHOP_WRITER in vss.asked:
                busy.freeze()
            server.disks.add_copies(copies, vss.storage_of, windows.now_s)
            for copy in copies:
                # What a writer does in its shadow copies after they were made: auto-recovery.
                if busy and SHOP_WRITER in vss.asked and copy.volume == guids[ORDERS_DRIVE]:
                    server.disks.write_to_copy(copy, RECOVERED_PATH, copy.shadow_id)

        vss.created = created
        windows.aws_vss.snapshots = InServersName(self, server)
        with self.lock:
            self.servers[server.instance_id], self.managed[server.instance_id] = server, windows
        return server

    def _volume(self, server: Server, drive: str) -> NtfsVolume:
        return self.volumes[server.volumes[drive]]

    def _capture(self, instance_id: str, snapshots: Sequence[EbsSnapshot]) -> None:
        """Copy the volumes' content at the instant when CreateSnapshots takes effect."""
        server = self.servers.get(instance_id)
        if server is None:
            for snapshot in snapshots:
                self._capture_alone(snapshot)
            return
        with self.lock:
            self.advance()
            if server.application and self.state_of(instance_id) == "running":
                server.application.work()
                if self.frozen_by_aws:
                    server.application.freeze()
            existing = {copy.shadow_id for copy in server.windows.guest.vss.shadow_copies}
            server.disks.delete_copies(existing - server.lost)
            for snapshot in snapshots:
                volume = self.volumes.get(snapshot.volume_id)
                self.disks[snapshot.id] = (
                    volume.volume.disk.copy() if volume else SparseDisk(snapshot.volume.size << 30)
                )
                self.shadow_disks[snapshot.id] = server.disks.shadow_copies_on(volume) if volume else {}
                if snapshot.volume_id == server.volumes.get("C:"):
                    now = server.windows.on_disk()
                    self.found[snapshot.id] = now, server.at_shadow or now

    def _keep_copy(self, source_id: str, copy: Any) -> None:
        """Keep the disk in a copied snapshot."""
        self._keep_disk(copy.id, self.disks[source_id].copy())
        if source_id in self.found:
            self.found[copy.id] = self.found[source_id]

    def _capture_alone(self, snapshot: EbsSnapshot) -> None:
        """Copy the content of a volume that no Windows has mounted: what was in the snapshot that it was made of."""
        if disk := self.disks.get(snapshot.volume.snapshot_id or ""):
            self._keep_disk(snapshot.id, disk.copy())

    def _keep_disk(self, snapshot_id: str, disk: SparseDisk) -> None:
        """Keep the disk in a snapshot that was written or copied."""
        with self.lock:
            self.disks[snapshot_id] = disk

    def _boot(self, instance: Any) -> None:
        """Start Windows, with the volumes' content, on an instance whose root volume comes from a server's snapshot.

        Any other instance stays unknown here: its agent never registers.
        """
        if instance.id in self.servers:
            for volume in self.servers[instance.id].disks.volumes.values():
                volume.mount()
            return
        mappings = dict(instance.get_block_device_mapping)
        snapshots = {
            device: self.backend().get_volume(mapping.volume_id).snapshot_id for device, mapping in mappings.items()
        }
        if self._drive_of(snapshots.get(instance.root_device_name)) is None:
            return
        volumes = {}
        for device, mapping in mappings.items():
            if drive := self._drive_of(snapshots[device]):
                volumes[drive] = mapping.volume_id
                self.volumes[mapping.volume_id] = mounted(self.disks[snapshots[device]].copy())
        windows = Windows(instance.id, None, self.get, RULES.now_s(), put=self.put, drives=nvme_drives(volumes))
        self._switched_on(Server(instance.id, "", volumes, windows))
        if found := self.found.get(snapshots[instance.root_device_name]):
            windows.boot_from(found[0])

    def _first_boot(self, instance: Any) -> None:
        """Start Windows on a server of a public image: EC2Launch and user data make drives of its volumes.

        Its agent registers if the server's role lets it. A server of any other image stays unknown here, because what
        is on such an image is in its snapshots.
        """
        if instance.image_id not in self.public_images:
            return
        backend = self.backend()
        if not instance.security_groups:
            group = backend.get_default_security_group(instance.vpc_id)
            backend.modify_instance_security_groups(instance.id, [group.id])
        attached = dict(instance.get_block_device_mapping)
        root = instance.root_device_name
        devices = [root, *sorted(attached.keys() - {root})]
        volume_ids = {f"{letter}:": attached[d].volume_id for letter, d in zip("CDEFGHIJ", devices, strict=False)}
        drives = nvme_drives(volume_ids)
        for drive, device in zip(drives, devices, strict=True):
            size_gib = backend.get_volume(volume_ids[drive.path]).size
            volume = new_volume(drive.volume_guid, size_gib, of_windows=device == root)
            self.volumes[volume_ids[drive.path]], self.drives[volume.disk_id] = volume, drive.path
        windows = Windows(instance.id, None, self.get, RULES.now_s(), put=self.put, drives=drives)
        self._switched_on(Server(instance.id, "", volume_ids, windows))
        if not self._lets_agents_in(instance):
            del self.managed[instance.id]

    def bare(self, server: Server, agent: str = "3.3.3572.0") -> None:
        """Let a server be without an instance profile, so that its agent, of this version, has never registered."""
        server.windows.agent.version = agent
        del self.managed[server.instance_id]

    def _profile_changed(self, instance_id: str) -> None:
        """Let the agent of a server that had no profile register, or lose its right; others have theirs otherwise."""
        server = self.servers.get(instance_id)
        if server is None or (instance_id in self.managed and instance_id not in self.by_profile):
            return
        server.windows.agent.connected = self._lets_agents_in(self.backend().get_instance(instance_id))
        if server.windows.agent.connected:
            self.managed[instance_id] = server.windows
            self.by_profile.add(instance_id)

    def _lets_agents_in(self, instance: Any) -> bool:
        association = self.backend().iam_instance_profile_associations.get(instance.id)
        named = association.iam_instance_profile.name if association else ""
        found = INSTANCES.profile_of(named) if named and INSTANCES.profile_of else None
        return found is not None and found.for_agents

    def _drive_of(self, snapshot_id: str | None) -> str | None:
        """Return the drive of a snapshot's volume; Windows finds it again by the disk's id."""
        disk = self.disks.get(snapshot_id or "")
        found = read_gpt(disk) if disk else None
        return self.drives.get(found[0]) if found else None

    def _run_instance(self, name: str, volumes: Sequence[Disk], tags: dict[str, str]) -> str:
        # By moto's own objects: each request would cost as much as all of this.
        backend = self.backend()
        # EC2 gives a server the VPC's default group if the call names none; moto gives it none.
        group = backend.get_default_security_group(_open_default_vpc(backend).id)
        answer = self.ec2.run_instances(
            SecurityGroupIds=[group.id],
            ImageId=backend.register_image(f"windows-for-{name}", "").id,
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
        instance = backend.get_instance(instance_id)
        instance.platform, instance.platform_details = "windows", "Windows"  # moto knows them from its AMI file only
        instance.usage_operation = WITH_LICENCE
        return instance_id

    def _volumes_of(self, instance_id: str, volumes: Sequence[Disk]) -> dict[str, str]:
        mappings = dict(self.backend().get_instance(instance_id).get_block_device_mapping)
        return {disk.drive: mappings[disk.device].volume_id for disk in volumes}
