"""NTFS volumes that a simulated Windows has mounted: files, and shadow copies with all that Windows writes for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import NAMESPACE_OID, UUID, uuid5

from sandbox.disks.ntfs_reader import NotMounted, NtfsReader
from sandbox.disks.ntfs_structures import PAGE, NtfsFiles, Span
from sandbox.disks.shadow_structures import (
    CATALOG_AT,
    CATALOG_BLOCKS,
    PERSISTENT_WITH_WRITERS,
    SimulatedVolume,
    store_of,
)
from sandbox.disks.sparse_disk import Place, SparseDisk, read_gpt
from sandbox.disks.stores import BLOCK, BlockRanges, StoreShape, store_bytes

CLUSTER, MFT_AT, MIB = 4096, 0x4000, 1 << 20
# What a file may grow to, and old data of a shadow copy.
FILE_BYTES, STORE_DATA_BYTES, PAGE_FILE_BYTES = MIB, 4 * MIB, 64 * MIB
PAGE_FILE = "pagefile.sys"
VOLSNAP_ID = "{3808876b-c176-4e48-b7ae-04046e6cc752}"
# VSS_VOLSNAP_ATTR_AUTORECOVER: Windows replays the log in such a copy, and its writers may write in it.
AUTO_RECOVER = 0x00400000


@dataclass
class NtfsVolume:
    """A mounted volume.

    Attributes:
        volume: its bytes, and the stores of its shadow copies.
        ntfs: what NTFS says of it.
        copies: the same in its shadow copies, by the ids of their stores.
        free_at: where the next file or store may begin.
        store_data_bytes: the room for old data in the store of a shadow copy.
    """

    volume: SimulatedVolume
    ntfs: NtfsFiles
    free_at: int
    copies: dict[UUID, NtfsFiles] = field(default_factory=dict)
    store_data_bytes: int = STORE_DATA_BYTES
    _pieces: dict[int, bytes] = field(default_factory=dict)

    def read(self, path: str) -> str:
        """Return the text of a file; empty if it was not written yet."""
        return _text(self.ntfs, path, self.volume)

    def write(self, path: str, text: str) -> None:
        """Replace a file.

        Raises:
            ValueError: it is too long for the sandbox.
        """
        data, ntfs = text.encode(), _with_file(self.ntfs, path, len(text.encode()), self.free_at)
        [(at, _)] = _spans(ntfs, path)
        self.free_at += FILE_BYTES if at == self.free_at else 0
        self.volume.write(at, data)
        self._change(ntfs)

    @property
    def disk_id(self) -> UUID:
        """The id in the partition table of its disk, by which Windows knows it again."""
        return _gpt(self.volume.disk)[0]

    @property
    def files(self) -> dict[str, str]:
        """The texts of all files by their paths, but for those of Windows itself."""
        return {path: self.read(path) for path in _paths(self.ntfs)}

    def use(self, *spans: Span) -> None:
        """Have further clusters in use, of files that are of no interest."""
        self._change(replace(self.ntfs, in_use=[*self.ntfs.in_use, *spans]))

    def dismount(self) -> None:
        """Leave the volume at rest, as a shutdown does."""
        self._change(replace(self.ntfs, log_clean=True))

    def mount(self) -> None:
        """Use the volume: its log is open from now on."""
        self._change(replace(self.ntfs, log_clean=False))

    def make_room(self, copied: "NtfsVolume", copy_id: UUID) -> None:
        """Make the file for the store of a shadow copy of a volume, as Windows does before the freeze."""
        granule = max(BLOCK, self.ntfs.cluster_bytes)
        size = -(-store_bytes(copied.ntfs.volume_bytes, StoreShape(copied.store_data_bytes)) // granule) * granule
        name = f"{{{store_of(copy_id)}}}{VOLSNAP_ID}"
        self._change(replace(self.ntfs, vss={**self.ntfs.vss, name: [(self.free_at, size)]}))
        self.free_at += size

    def add_shadow_copy(
        self,
        copy_id: UUID,
        set_id: UUID,
        created_at: datetime,
        *,
        storage: "NtfsVolume",
        made_as: tuple[int, int, UUID] = PERSISTENT_WITH_WRITERS,
    ) -> UUID:
        """Make a shadow copy in the room that was made for it; with auto-recovery, Windows replays the log in it.

        Returns:
            The id of its store.
        """
        name = f"{{{store_of(copy_id)}}}{VOLSNAP_ID}"
        [(storage.volume.next_store_at, _)] = storage.ntfs.vss[name]
        self.volume.shape = self.volume.shape._replace(
            data_bytes=self.store_data_bytes, unprotected=self._unprotected()
        )
        store_id = self.volume.add_shadow_copy(copy_id, set_id, created_at, storage=storage.volume, made_as=made_as)
        self.copies[store_id] = self.ntfs
        if made_as[1] & AUTO_RECOVER:
            self._change_copy(store_id, replace(self.ntfs, log_clean=True))
        return store_id

    def write_to_copy(self, store_id: UUID, path: str, text: str) -> None:
        """Replace a file in a shadow copy, as a writer's auto-recovery does."""
        ntfs = _with_file(self.copies[store_id], path, len(text.encode()), self.free_at)
        [(at, length)] = _spans(ntfs, path)
        self.free_at += FILE_BYTES if at == self.free_at else 0
        self.volume.write_to_copy(store_id, at, text.encode().ljust(length, b"\0"))
        self._change_copy(store_id, ntfs)

    def delete_shadow_copy(self, store_id: UUID, storage: "NtfsVolume") -> None:
        """Delete a shadow copy and the file of its store."""
        self.volume.delete_shadow_copy(store_id)
        del self.copies[store_id]
        kept = {name: spans for name, spans in storage.ntfs.vss.items() if not name.startswith(f"{{{store_id}}}")}
        storage._change(replace(storage.ntfs, vss=kept))

    def _change(self, ntfs: NtfsFiles) -> None:
        before, after = self._pieces or _pieces(self.ntfs), _pieces(ntfs)
        self.ntfs, self._pieces = ntfs, after
        for at, piece in _changed(before, after):
            self.volume.write(at, piece)

    def _change_copy(self, store_id: UUID, ntfs: NtfsFiles) -> None:
        before, self.copies[store_id] = _pieces(self.copies[store_id]), ntfs
        for at, piece in _changed(before, _pieces(ntfs)):
            self.volume.write_to_copy(store_id, at, piece)

    def _unprotected(self) -> BlockRanges:
        """Return what Windows leaves alone: blocks without a cluster in use, or in files that it never copies."""
        never = {span for spans in (self.ntfs.root.get(PAGE_FILE, ()), *self.ntfs.vss.values()) for span in spans}
        # The volume's last sector repeats the first one.
        kept = [*sorted({*self.ntfs.spans()} - never), (self.ntfs.volume_bytes - BLOCK, BLOCK)]
        ranges, at, cluster = [], 0, self.ntfs.cluster_bytes
        for start, length in kept:
            first, end = start // cluster * cluster, -(-(start + length) // cluster) * cluster
            if at < first // BLOCK:
                ranges.append(range(at, first // BLOCK))
            at = max(at, -(-end // BLOCK))
        return BlockRanges(ranges)


def formatted(disk: SparseDisk, place: Place | None = None, cluster_bytes: int = CLUSTER) -> NtfsVolume:
    """Format a partition with NTFS, and mount it.

    Args:
        disk: partitioned.
        place: of the partition; the first basic data partition of a GPT by default.
        cluster_bytes: a power of two up to 64 KiB.
    """
    place = place or _gpt(disk)[1]
    ntfs = NtfsFiles(place.length, cluster_bytes, max(MFT_AT, cluster_bytes), log_clean=False)
    volume = _at(disk, place, cluster_bytes)
    granule = max(BLOCK, cluster_bytes)
    end = -(-max(at + length for at, length in ntfs.places().values()) // granule) * granule
    volume.catalog_at = max(CATALOG_AT, end)
    catalog = (volume.catalog_at, -(-CATALOG_BLOCKS * BLOCK // granule) * granule)
    ntfs = replace(ntfs, vss={VOLSNAP_ID: [catalog]})
    for at, data in ntfs.writes():
        volume.write(at, data)
    return NtfsVolume(volume, ntfs, sum(catalog))


def add_page_file(volume: NtfsVolume) -> None:
    """Let Windows keep its page file on a volume."""
    volume._change(replace(volume.ntfs, root={**volume.ntfs.root, PAGE_FILE: [(volume.free_at, PAGE_FILE_BYTES)]}))
    volume.volume.write(volume.free_at, b"pages of memory")
    volume.free_at += PAGE_FILE_BYTES


def mounted(disk: SparseDisk, place: Place | None = None) -> NtfsVolume:
    """Mount the NTFS volume of a disk that was `formatted`, by its bytes alone; its shadow copies stay unknown.

    Raises:
        NotMounted: Windows would not mount it, or would have to repair it.
    """
    found = place or _gpt(disk)[1]
    ntfs = NtfsReader(lambda at, length: disk.read(found.start + at, length)).files()
    volume = _at(disk, found, ntfs.cluster_bytes)
    [(volume.catalog_at, _)] = ntfs.vss[VOLSNAP_ID]
    ends = [at + max(length, FILE_BYTES) for at, length in ntfs.spans()]
    granule = max(BLOCK, ntfs.cluster_bytes)
    opened = NtfsVolume(volume, ntfs, -(-max(ends) // granule) * granule)
    opened.mount()
    return opened


def _at(disk: SparseDisk, place: Place, cluster_bytes: int) -> SimulatedVolume:
    gpt = read_gpt(disk)
    volume_id = uuid5(NAMESPACE_OID, f"volume at {place.start} of {gpt and gpt[0]}")
    return SimulatedVolume(disk, place, volume_id, cluster_bytes=cluster_bytes)


def _gpt(disk: SparseDisk) -> tuple[UUID, Place]:
    found = read_gpt(disk)
    if found is None:
        raise NotMounted("the disk has no partitions")
    return found


def _text(ntfs: NtfsFiles, path: str, volume: SimulatedVolume) -> str:
    spans = _spans(ntfs, path)
    data = b"".join(volume.read(at, length) for at, length in spans)
    return data[: ntfs.sizes.get(_full(path), len(data))].decode()


def _full(path: str) -> str:
    return path if path.startswith("\\") else f"\\{path}"


def _spans(ntfs: NtfsFiles, path: str) -> list[Span]:
    folder, _, name = _full(path)[1:].rpartition("\\")
    files: Mapping[str, Sequence[Span]] = ntfs.folders.get(folder, {}) if folder else ntfs.root
    return list(files.get(name, []))


def _paths(ntfs: NtfsFiles) -> list[str]:
    root = [f"\\{name}" for name in ntfs.root if name != PAGE_FILE]
    return root + [f"\\{folder}\\{name}" for folder, files in ntfs.folders.items() for name in files]


def _with_file(ntfs: NtfsFiles, path: str, size: int, free_at: int) -> NtfsFiles:
    """Return NTFS with a file of some size: where it is, or at `free_at`."""
    if size > FILE_BYTES:
        raise ValueError(f"{path} has {size} bytes, more than {FILE_BYTES}")
    folder, _, name = _full(path)[1:].rpartition("\\")
    [(at, length)] = _spans(ntfs, path) or [(free_at, 0)]
    # A file never gets shorter than it was.
    span = (at, max(length, -(-max(size, 1) // ntfs.cluster_bytes) * ntfs.cluster_bytes))
    sizes = {**ntfs.sizes, _full(path): size}
    if not folder:
        return replace(ntfs, root={**ntfs.root, name: [span]}, sizes=sizes)
    inside = {**ntfs.folders.get(folder, {}), name: [span]}
    return replace(ntfs, folders={**ntfs.folders, folder: inside}, sizes=sizes)


def _pieces(ntfs: NtfsFiles) -> dict[int, bytes]:
    return {at + n: data[n : n + PAGE] for at, data in ntfs.writes() for n in range(0, len(data), PAGE)}


def _changed(before: Mapping[int, bytes], after: Mapping[int, bytes]) -> list[tuple[int, bytes]]:
    """Return the pages that differ; those of the bitmap that no longer have a bit become zeros."""
    changed = [(at, piece) for at, piece in after.items() if before.get(at) != piece]
    return changed + [(at, bytes(len(piece))) for at, piece in before.items() if at not in after]
