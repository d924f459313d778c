"""The disks of a simulated server: an NTFS volume each, on which Windows makes shadow copies and writes on."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import NAMESPACE_OID, UUID, uuid5

from sandbox.disks.ntfs_volume import AUTO_RECOVER, NtfsVolume, add_page_file, formatted
from sandbox.disks.shadow_structures import CLIENT_ACCESSIBLE, PERSISTENT_WITH_WRITERS
from sandbox.disks.sparse_disk import BASIC_DATA, EFI_SYSTEM, SparseDisk, write_gpt
from sandbox.windows.vss import SYSTEM_PROVIDER, ShadowCopy

# Context, attributes, and the id in such a store (published descriptions of the format).
PERSISTENT_WITHOUT_WRITERS = (0x19, 0x00420019, PERSISTENT_WITH_WRITERS[2])
MADE_AS = {
    ("persistent", True): PERSISTENT_WITH_WRITERS,
    ("persistent", False): PERSISTENT_WITHOUT_WRITERS,
    ("clientaccessible", False): CLIENT_ACCESSIBLE,
}
ELSEWHERE_GIB = 100
EFI_BYTES = 100 << 20


class Made(NamedTuple):
    """A shadow copy on the disks: the volume it is of, the volume that holds its store, and the store's id."""

    volume: NtfsVolume
    storage: NtfsVolume
    store_id: UUID


@dataclass
class ServerDisks:
    """The volumes of one server by their GUID paths, also those that are not on EBS but hold shadow storage."""

    volumes: dict[str, NtfsVolume] = field(default_factory=dict)
    made: dict[str, Made] = field(default_factory=dict)

    def add_copies(self, copies: Iterable[ShadowCopy], storage_of: Callable[[str], str], created_s: float) -> None:
        """Make shadow copies of one set.

        Args:
            copies: those of other providers, or of volumes that are not here, leave nothing on these disks.
            storage_of: the GUID path of the volume with the storage of a volume.
            created_s: by the server's clock, in seconds since 1970.
        """
        ours = [copy for copy in copies if copy.provider == SYSTEM_PROVIDER and copy.volume in self.volumes]
        homes = {copy.shadow_id: self._home(storage_of(copy.volume)) for copy in ours}
        for copy in ours:
            homes[copy.shadow_id].make_room(self.volumes[copy.volume], UUID(copy.shadow_id))
        created_at = datetime.fromtimestamp(created_s, UTC)
        for copy in ours:
            volume, home = self.volumes[copy.volume], homes[copy.shadow_id]
            made_as = MADE_AS[copy.context, copy.with_writers]
            ids = UUID(copy.shadow_id), UUID(copy.set_id)
            store_id = volume.add_shadow_copy(*ids, created_at, storage=home, made_as=made_as)
            self.made[copy.shadow_id] = Made(volume, home, store_id)

    def write_to_copy(self, copy: ShadowCopy, path: str, text: str) -> None:
        """Replace a file in a shadow copy, if Windows lets its writers do so."""
        if copy.shadow_id in self.made and MADE_AS[copy.context, copy.with_writers][1] & AUTO_RECOVER:
            made = self.made[copy.shadow_id]
            made.volume.write_to_copy(made.store_id, path, text)

    def delete_copies(self, kept: Collection[str]) -> None:
        """Delete the shadow copies that Windows no longer has, by the ids of those that it has."""
        for shadow_id in [shadow_id for shadow_id in self.made if shadow_id not in kept]:
            made = self.made.pop(shadow_id)
            made.volume.delete_shadow_copy(made.store_id, made.storage)

    def shadow_copies_on(self, storage: NtfsVolume) -> dict[str, SparseDisk]:
        """Return the disks as of the shadow copies whose storage lies on a volume, by the copies' ids."""
        made = {shadow_id: each for shadow_id, each in self.made.items() if each.storage is storage}
        return {shadow_id: each.volume.volume.held[each.store_id].copy() for shadow_id, each in made.items()}

    def _home(self, guid: str) -> NtfsVolume:
        if guid not in self.volumes:
            self.volumes[guid] = new_volume(guid, ELSEWHERE_GIB)
        return self.volumes[guid]


def new_volume(name: str, size_gib: int, *, of_windows: bool = False) -> NtfsVolume:
    """Partition and format a disk, and mount its volume; Windows' own lies behind an EFI one, and has a page file."""
    disk = SparseDisk(size_gib << 30)
    lengths, kinds = ([EFI_BYTES, 0], [EFI_SYSTEM, BASIC_DATA]) if of_windows else ([0], [BASIC_DATA])
    write_gpt(disk, lengths, kinds, disk_id_of(name))
    volume = formatted(disk)
    if of_windows:
        add_page_file(volume)
    return volume


def disk_id_of(name: str) -> UUID:
    """Return the id in the partition table of a disk, by which Windows knows it again."""
    return uuid5(NAMESPACE_OID, f"disk of {name}")
