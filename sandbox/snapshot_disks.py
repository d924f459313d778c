"""The disks of a simulated server as its snapshots capture them: an NTFS volume each, with volsnap's structures."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import NAMESPACE_OID, UUID, uuid5

from sandbox.disks.shadow_structures import CLIENT_ACCESSIBLE, PERSISTENT_WITH_WRITERS, SimulatedVolume
from sandbox.disks.sparse_disk import SparseDisk, write_gpt
from sandbox.windows.vss import SYSTEM_PROVIDER, Server, ShadowCopy

# Context, attributes, and the id in such a store (published descriptions of the format).
PERSISTENT_WITHOUT_WRITERS = (0x19, 0x00420019, PERSISTENT_WITH_WRITERS[2])
MADE_AS = {
    ("persistent", True): PERSISTENT_WITH_WRITERS,
    ("persistent", False): PERSISTENT_WITHOUT_WRITERS,
    ("clientaccessible", False): CLIENT_ACCESSIBLE,
}


class DiskShape(NamedTuple):
    """A Windows volume, alone on its disk: its GUID path and size."""

    volume_guid: str
    size_gib: int


@dataclass(frozen=True)
class DiskWriter:
    """Writes the disks of one server; ``disks`` are those on EBS, by volume id."""

    disks: Mapping[str, DiskShape]

    def write(self, vss: Server, created_s: Mapping[str, float], lost: Collection[str] = ()) -> dict[str, SparseDisk]:
        """Return all disks as they are at this instant.

        Args:
            vss: the server's VSS, with the shadow copies to write.
            created_s: when each was made, by the server's clock, in seconds since 1970.
            lost: shadow copies that Windows lists, but whose structures never reached a disk.
        """
        volumes = {shape.volume_guid: _formatted(shape) for shape in self.disks.values()}
        for copy in vss.shadow_copies:
            if copy.provider == SYSTEM_PROVIDER and copy.shadow_id not in lost and copy.volume in volumes:
                home = vss.storage_of(copy.volume)
                storage = volumes.setdefault(home, _formatted(DiskShape(home, 100)))
                _add(volumes[copy.volume], storage, copy, created_s[copy.shadow_id])
        return {volume_id: volumes[shape.volume_guid].disk for volume_id, shape in self.disks.items()}


def _formatted(shape: DiskShape) -> SimulatedVolume:
    disk = SparseDisk(shape.size_gib << 30)
    [place] = write_gpt(disk, [0])
    return SimulatedVolume(disk, place, uuid5(NAMESPACE_OID, shape.volume_guid))


def _add(volume: SimulatedVolume, storage: SimulatedVolume, copy: ShadowCopy, created_s: float) -> None:
    volume.add_shadow_copy(
        UUID(copy.shadow_id),
        UUID(copy.set_id),
        datetime.fromtimestamp(created_s, UTC),
        storage=storage,
        made_as=MADE_AS[copy.context, copy.with_writers],
    )
