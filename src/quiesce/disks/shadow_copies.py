"""Shadow copies as they lie on disks: each volume is read by itself, then joined with the one that holds its storage.

The volume that was copied lists a shadow copy; only the volume that holds its storage has its ids.
``python -m quiesce.disks`` shows them to a person.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from quiesce.disks.block_list import check_store_blocks
from quiesce.disks.boot_sector import check_volume
from quiesce.disks.partitions import Partition, read_partitions
from quiesce.disks.raw import Extent, Malformed, NotBuildable, NotRead, NotSupported, RawDisk, StructureError
from quiesce.disks.volsnap import (
    Catalog,
    CopyEntry,
    StorageEntry,
    StoreHeader,
    VolumeHeader,
    read_catalog,
    read_header,
    read_store,
)

# Partitions without a volume that Windows could copy.
WITHOUT_VOLUME = {"EFI system", "Microsoft reserved"}
# Volumes in these may span partitions, which this module does not read.
ACROSS_PARTITIONS = {"dynamic disk", "Storage Spaces"}


@dataclass(frozen=True)
class Volume:
    """A volume, with what volsnap keeps on it; ``fault`` is why that could not be read.

    Attributes:
        disk: the name of its disk.
        header: None if volsnap was never used here, or if there is a fault.
    """

    disk: str
    extent: Extent
    partition: Partition
    file_system: str
    header: VolumeHeader | None
    catalog: Catalog
    fault: StructureError | None


@dataclass(frozen=True)
class Disk:
    """A disk of a recovery point; ``fault`` is why its volumes, or some of them, could not be found."""

    name: str
    scheme: str
    volumes: tuple[Volume, ...]
    fault: StructureError | None
    blocks_read: set[int]


@dataclass(frozen=True)
class Storage:
    """A store, on the volume that holds it."""

    volume: Volume
    entry: StorageEntry


@dataclass(frozen=True)
class ShadowCopy:
    """A shadow copy, joined from its two volumes; ``fault`` is what is wrong with its store, or why it was not read.

    Attributes:
        original: the volume that it is a copy of.
        storage: the volume that holds its storage; None if it is on none of the disks.
        store: None if the store's header could not be read.
    """

    original: Volume
    entry: CopyEntry
    storage: Volume | None
    store: StoreHeader | None
    fault: StructureError | None


def read_disk(name: str, read: Callable[[int, int], bytes], size_bytes: int) -> Disk:
    """Read a disk's partitions and what volsnap keeps on its volumes, but no store.

    Args:
        name: what the results call the disk: a snapshot's id, or a path.
        read: returns exactly the bytes at (offset, length); raises OSError or NotRead if it can't.
        size_bytes: of the whole disk.

    Returns:
        The disk; what could not be read is a fault of the disk or of its volume.
    """
    disk = RawDisk(read, size_bytes)
    whole = Extent(disk, 0, size_bytes)
    try:
        table = read_partitions(whole)
    except StructureError as error:
        return Disk(name, "unknown", (), error, disk.blocks)
    volumes = tuple(_read_volume(name, disk, p) for p in table.partitions if p.kind not in WITHOUT_VOLUME)
    return Disk(name, table.scheme, volumes, table.fault, disk.blocks)


def unread_disk(name: str, fault: StructureError) -> Disk:
    """Return a disk of the recovery point that could not be opened: what it holds is unknown."""
    return Disk(name, "unknown", (), fault, set())


def _read_volume(name: str, disk: RawDisk, partition: Partition) -> Volume:
    extent = Extent(disk, partition.start, partition.length)
    file_system = "unknown"
    try:
        if partition.kind in ACROSS_PARTITIONS:
            raise NotSupported(f"{partition.kind}: its volumes may lie across partitions")
        file_system = check_volume(extent)
        header = read_header(extent, file_system)
        catalog = read_catalog(extent, header) if header else Catalog()
    except StructureError as error:
        return Volume(name, extent, partition, file_system, None, Catalog(), error)
    return Volume(name, extent, partition, file_system, header, catalog, None)


class Stores:
    """The stores on all disks of a recovery point, joined with their shadow copies."""

    def __init__(self, disks: Sequence[Disk]) -> None:
        faults = [fault for disk in disks for fault in (disk.fault, *(volume.fault for volume in disk.volumes))]
        self._unread = [fault for fault in faults if fault]
        volumes = [volume for disk in disks for volume in disk.volumes]
        self.listed = [(volume, entry) for volume in volumes for entry in volume.catalog.copies]
        self._storages: dict[UUID, list[Storage]] = defaultdict(list)
        for volume in volumes:
            for entry in volume.catalog.storages:
                self._storages[entry.store_id].append(Storage(volume, entry))

    def read_copy(self, original: Volume, entry: CopyEntry) -> ShadowCopy:
        """Join a listed shadow copy with its store, and read the store's start."""
        storages = self._storages.get(entry.store_id)
        if not storages:
            return ShadowCopy(original, entry, None, None, Malformed(f"no catalog has storage {entry.store_id}"))
        store, fault = _read_store(storages[0])
        if len(storages) > 1:
            fault = Malformed(f"more than one volume has storage {entry.store_id}")
        return ShadowCopy(original, entry, storages[0].volume, store, fault)

    def chain(self, copy: ShadowCopy) -> list[Storage]:
        """Return the stores that a shadow copy is read from: its own, then those of all newer ones, oldest first.

        A store that is marked as deleted stays in the chain: it holds what older ones do not.

        Raises:
            Malformed: two have the same place in the order, or one is on several volumes.
            NotBuildable: one is on none of the disks.
            NotRead: one is missing, and may be in what could not be read.
        """
        own = copy.entry.order
        entries = [entry for volume, entry in self.listed if volume is copy.original and entry.order >= own]
        if len({entry.order for entry in entries}) < len(entries):
            raise Malformed("two shadow copies of the volume have the same place in their order")
        return [self._only_storage(entry) for entry in sorted(entries, key=lambda entry: entry.order)]

    def _only_storage(self, entry: CopyEntry) -> Storage:
        storages = self._storages.get(entry.store_id, [])
        if len(storages) == 1:
            return storages[0]
        if storages:
            raise Malformed(f"more than one volume has storage {entry.store_id}")
        where = f"storage {entry.store_id}, of the shadow copy or of a newer one"
        if self._unread:
            raise NotRead(f"{where}, may be in what could not be read: {self._unread[0]}")
        raise NotBuildable(f"{where}, is on none of these disks")

    def read_orphans(self) -> list[StoreHeader]:
        """Return the readable stores of shadow copies that no volume lists."""
        listed = {entry.store_id for _, entry in self.listed}
        orphans = [storage for store_id, found in self._storages.items() if store_id not in listed for storage in found]
        return [store for storage in orphans if (store := _read_store(storage)[0])]


def _read_store(storage: Storage) -> tuple[StoreHeader | None, StructureError | None]:
    store = None
    try:
        store = read_store(storage.volume.extent, storage.entry)
        check_store_blocks(storage.volume.extent, storage.entry)
    except StructureError as error:
        return store, error
    return store, None


def read_copies(disks: Sequence[Disk]) -> list[ShadowCopy]:
    """Return every shadow copy that the disks list, joined over all of them."""
    stores = Stores(disks)
    return [stores.read_copy(volume, entry) for volume, entry in stores.listed]
