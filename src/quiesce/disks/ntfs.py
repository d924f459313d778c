"""Files of an NTFS volume: where their clusters lie, and what a folder lists. Nothing is followed without end."""

import struct
from collections.abc import Iterable, Iterator
from typing import Protocol

from quiesce.disks.boot_sector import NTFS_SECTOR_BYTES, SECTOR_BYTES
from quiesce.disks.ntfs_records import IN_USE, Attribute, Listed, Run, attributes_in, fixed_up, names_in, records_listed
from quiesce.disks.raw import Malformed, NotRead

MFT, LOG_FILE, VOLUME, ROOT, BITMAP = 0, 2, 3, 5, 6
ATTRIBUTE_LIST, VOLUME_INFORMATION, DATA, INDEX_ROOT, INDEX_ALLOCATION = 0x20, 0x70, 0x80, 0x90, 0xA0
FOLDER_INDEX = "$I30"
MAX_CLUSTER_BYTES = 2 << 20
MAX_SECTORS = 0x80
RECORD_SIZES = (512, 1024, 2048, 4096)
# The most that Windows writes.
MAX_LIST_BYTES = 256 << 10
# Far more than the root of a volume has: 100,000 files.
MAX_INDEX_BYTES = 16 << 20


class Source(Protocol):
    """Bytes of a volume: as it is, or as of a shadow copy."""

    @property
    def length(self) -> int:
        """Of the volume, in bytes."""

    def read(self, offset: int, length: int) -> bytes:
        """Read exactly ``length`` bytes; raises ``StructureError`` if it can't."""


class Ntfs:
    """An NTFS volume.

    Attributes:
        cluster_bytes: a power of two from 512 bytes to 2 MiB.
        clusters: how many the volume has.
    """

    def __init__(self, source: Source) -> None:
        """Read the boot sector and the first record.

        Raises:
            Malformed: they contradict the format.
            NotRead: they could not be read.
        """
        self._source = source
        sector = source.read(0, SECTOR_BYTES)
        sector_bytes, per_cluster = struct.unpack_from("<HB", sector, 11)
        sectors, first_mft = struct.unpack_from("<QQ", sector, 40)
        # More sectors are told as a negative power of two.
        self.cluster_bytes: int = sector_bytes * (per_cluster if per_cluster <= MAX_SECTORS else 1 << 256 - per_cluster)
        power_of_two = self.cluster_bytes & (self.cluster_bytes - 1) == 0
        if sector_bytes not in NTFS_SECTOR_BYTES or not (0 < self.cluster_bytes <= MAX_CLUSTER_BYTES and power_of_two):
            raise Malformed(f"NTFS has sectors of {sector_bytes} bytes and clusters of {self.cluster_bytes}")
        (per_record,) = struct.unpack_from("<b", sector, 64)
        self.record_bytes: int = per_record * self.cluster_bytes if per_record > 0 else 1 << -per_record
        if self.record_bytes not in RECORD_SIZES:
            raise Malformed(f"NTFS has records of {self.record_bytes} bytes")
        self.clusters: int = sectors * sector_bytes // self.cluster_bytes
        # The first records lie together, so that the first one says where the others are.
        self._mft = [Run(first_mft, -(-16 * self.record_bytes // self.cluster_bytes))]
        self._mft = self.runs(MFT)
        if not self._mft:
            raise Malformed("the first record of NTFS has no data")

    def attributes(self, number: int, sequence: int | None = None) -> list[Attribute]:
        """Return the attributes of a file's first record; none if it is not in use, or used for another file by now."""
        record = self.read_runs(self._mft, number * self.record_bytes, self.record_bytes)
        if record[:4] != b"FILE":
            raise Malformed(f"record {number} of NTFS is none")
        record = fixed_up(record)
        own_sequence, _, _, flags = struct.unpack_from("<HHHH", record, 16)
        if not flags & IN_USE or sequence not in (None, own_sequence):
            return []
        return list(attributes_in(record))

    def attribute(self, number: int, kind: int, name: str = "", sequence: int | None = None) -> Attribute | None:
        """Return an attribute of a file with all of its runs; None if the file has none.

        Raises:
            Malformed: its parts do not follow each other.
        """
        attributes = self.attributes(number, sequence)
        parts = [part for part in attributes if (part.kind, part.name) == (kind, name)]
        for listed in (part for part in attributes if part.kind == ATTRIBUTE_LIST):
            parts += [
                part
                for other in records_listed(self.value(listed, MAX_LIST_BYTES), kind, name)
                if other != number
                for part in self.attributes(other)
                if (part.kind, part.name, part.runs is None) == (kind, name, False)
            ]
        if not parts:
            return None
        first, *others = sorted(parts, key=lambda part: part.first_cluster)
        runs = list(first.runs or ())
        for part in others:
            if part.first_cluster != sum(run.clusters for run in runs):
                raise Malformed(f"the parts of attribute {kind:#x} of record {number} do not follow each other")
            runs += part.runs or ()
        return Attribute(kind, name, first.value, None if first.runs is None else tuple(runs), 0, first.size_bytes)

    def runs(self, number: int, sequence: int | None = None) -> list[Run]:
        """Return where a file's data lies; nothing if it lies in its record, or there is no such file."""
        data = self.attribute(number, DATA, sequence=sequence)
        return list(data.runs or ()) if data else []

    def value(self, attribute: Attribute, limit: int = MAX_INDEX_BYTES) -> bytes:
        """Return an attribute's value, wherever it lies.

        Raises:
            NotRead: it is longer than the limit.
        """
        if attribute.runs is None:
            return attribute.value
        if attribute.size_bytes > limit:
            raise NotRead(f"an attribute {attribute.kind:#x} has {attribute.size_bytes} bytes, more than {limit}")
        return self.read_runs(attribute.runs, 0, attribute.size_bytes) if attribute.size_bytes else b""

    def read_runs(self, runs: Iterable[Run], offset: int, length: int) -> bytes:
        """Read a part of what lies in some runs; holes are zeros.

        Raises:
            Malformed: it does not lie in the runs.
        """
        parts, at, end = [], 0, offset + length
        for first, count in runs:
            start, after = max(offset, at), min(end, at + count * self.cluster_bytes)
            if start < after:
                where = None if first is None else first * self.cluster_bytes + start - at
                parts.append(bytes(after - start) if where is None else self._source.read(where, after - start))
            at += count * self.cluster_bytes
            if at >= end:
                return b"".join(parts)
        raise Malformed(f"a file of NTFS ends before its byte {end}")

    def listed(self, folder: int, sequence: int | None = None) -> Iterator[Listed]:
        """Yield the names in a folder, also some of files that are gone: their records have another sequence.

        Raises:
            NotRead: it is too large.
            Malformed: it contradicts the format.
        """
        root = self.attribute(folder, INDEX_ROOT, FOLDER_INDEX, sequence)
        if root is None:
            return
        yield from names_in(root.value, 16)
        allocation = self.attribute(folder, INDEX_ALLOCATION, FOLDER_INDEX, sequence)
        if allocation is None:
            return
        (node_bytes,) = struct.unpack_from("<I", root.value, 8)
        if node_bytes not in RECORD_SIZES and node_bytes != self.cluster_bytes:
            raise Malformed(f"a folder's index has nodes of {node_bytes} bytes")
        nodes = self.value(allocation)
        for at in range(0, len(nodes) - node_bytes + 1, node_bytes):
            # A node that was never used has no name, and holds anything.
            if nodes.startswith(b"INDX", at):
                yield from names_in(fixed_up(nodes[at : at + node_bytes]), 24)
