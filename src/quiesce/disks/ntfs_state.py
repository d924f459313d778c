"""What NTFS says of a volume as of its shadow copy: was it at rest, and does the store protect all that is in use?"""

import struct
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import count

from quiesce.disks.block_list import BITMAP_SPAN, SECTOR_BYTES, SECTORS, read_unprotected
from quiesce.disks.ntfs import BITMAP, LOG_FILE, ROOT, VOLUME, VOLUME_INFORMATION, Ntfs
from quiesce.disks.ntfs_records import fixed_up
from quiesce.disks.raw import Malformed
from quiesce.disks.view import View
from quiesce.disks.volsnap import BLOCK_BYTES

DIRTY = 0x1
VOLUME_FLAGS_END = 12
RESTART_PAGE_BYTES = 4096
CLEAN, NO_CLIENT = 0x2, 0xFFFF
# What Windows never copies: files of the memory's contents, and VSS's own in their folder.
NEVER_COPIED = {"pagefile.sys", "hiberfil.sys", "swapfile.sys"}
VSS_FOLDER = "system volume information"
VSS_FILES = "{3808876b-c176-4e48-b7ae-04046e6cc752}"


@dataclass(frozen=True)
class NtfsState:
    """Whether a volume is at rest.

    Attributes:
        log_clean: whether NTFS has nothing to do again or undo, as after a clean dismount.
        dirty: whether Windows wants to check the volume at its next start.
    """

    log_clean: bool
    dirty: bool


def read_state(ntfs: Ntfs) -> NtfsState:
    """Return the state of a volume, out of its log's restart pages and its flags.

    Raises:
        Malformed: they contradict the format.
        NotRead: they could not be read.
    """
    information = ntfs.attribute(VOLUME, VOLUME_INFORMATION)
    if information is None or len(information.value) < VOLUME_FLAGS_END:
        raise Malformed("NTFS has no flags of its volume")
    (flags,) = struct.unpack_from("<H", information.value, VOLUME_FLAGS_END - 2)
    return NtfsState(_log_is_clean(ntfs), bool(flags & DIRTY))


def _log_is_clean(ntfs: Ntfs) -> bool:
    """Return what the newer one of the log's two restart pages says."""
    pages = ntfs.read_runs(ntfs.runs(LOG_FILE), 0, 2 * RESTART_PAGE_BYTES)
    found = list(_restart_areas(pages))
    if not found:
        raise Malformed("the log of NTFS has no restart page")
    _, in_use, flags = max(found)
    return in_use == NO_CLIENT or bool(flags & CLEAN)


def _restart_areas(pages: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield the last number in the log that each whole restart page knows, its first client, and its flags."""
    for at in (0, RESTART_PAGE_BYTES):
        page = pages[at : at + RESTART_PAGE_BYTES]
        if not page.startswith(b"RSTR"):
            continue
        try:
            page = fixed_up(page)
        except Malformed:
            # The other one counts then, as for Windows itself.
            continue
        (area,) = struct.unpack_from("<H", page, 24)
        if area + 16 <= len(page):
            number, _, _, in_use, flags = struct.unpack_from("<QHHHH", page, area)
            yield number, in_use, flags


def find_unprotected(view: View, ntfs: Ntfs) -> int | None:
    """Return a cluster that is in use in the view, and that the shadow copy's store does not protect; None if all are.

    It may have changed since the shadow copy was made, or read as zeros in Windows. Windows makes such scoped copies
    where a program asked for some of a volume's files only.

    Raises:
        Malformed, NotSupported, NotRead: as structures of NTFS and of the store are read.
    """
    per_bitmap = BITMAP_SPAN * BLOCK_BYTES // ntfs.cluster_bytes
    exempt: list[tuple[int, int]] | None = None
    stored = read_unprotected(view.storages[0].extent, view.chain[0].entry, view.length)
    for first, bitmap in zip(count(0, per_bitmap), stored, strict=False):
        allocated = bitmap and _allocated(ntfs, first, per_bitmap)
        # What is behind the last cluster in use is most of many volumes, and cannot be doubtful.
        last_block = -(-allocated.bit_length() * ntfs.cluster_bytes // BLOCK_BYTES)
        unprotected = bitmap & ((1 << last_block) - 1)
        if not unprotected:
            continue
        if exempt is None:
            exempt = sorted(_exempt(ntfs))
        doubtful = _in_clusters(unprotected, ntfs.cluster_bytes) & allocated
        doubtful &= ~_bits(exempt, first, per_bitmap)
        while doubtful:
            lowest = doubtful & -doubtful
            cluster = first + lowest.bit_length() - 1
            if not _has_own_data(view, cluster, ntfs.cluster_bytes):
                return cluster
            doubtful ^= lowest
    return None


def _in_clusters(blocks: int, cluster_bytes: int) -> int:
    """Turn a bit for each block of 16 KiB into one for each cluster: set where it is for any block of the cluster."""
    if cluster_bytes == BLOCK_BYTES:
        return blocks
    if cluster_bytes < BLOCK_BYTES:
        of_byte = _repeated(BLOCK_BYTES // cluster_bytes)
        packed = blocks.to_bytes(-(-blocks.bit_length() // 8), "little")
        return int.from_bytes(b"".join(map(of_byte.__getitem__, packed)), "little")
    every, clusters = cluster_bytes // BLOCK_BYTES, 0
    # Strings are how Python skips bits fast.
    digits = f"{blocks:b}".zfill(every)
    for offset in range(every):
        clusters |= int(digits[offset::every], 2)
    return clusters


@cache
def _repeated(times: int) -> tuple[bytes, ...]:
    """Return what each byte becomes when every bit of it stands ``times`` times, the lowest first."""
    spread = [sum(((1 << times) - 1) << bit * times for bit in range(8) if byte >> bit & 1) for byte in range(256)]
    return tuple(bits.to_bytes(times, "little") for bits in spread)


def _allocated(ntfs: Ntfs, first: int, most: int) -> int:
    """Return which of some clusters are in use, as bits, by the bitmap of NTFS."""
    clusters = min(most, ntfs.clusters - first)
    if clusters <= 0:
        return 0
    bitmap = ntfs.read_runs(ntfs.runs(BITMAP), first // 8, -(-clusters // 8))
    return int.from_bytes(bitmap, "little") & ((1 << clusters) - 1)


def _exempt(ntfs: Ntfs) -> Iterator[tuple[int, int]]:
    """Yield the clusters of the files that Windows never copies: each run's first, and how many."""
    files = []
    for file in ntfs.listed(ROOT):
        if file.name.lower() in NEVER_COPIED:
            files.append(file)
        elif file.name.lower() == VSS_FOLDER:
            inside = ntfs.listed(file.record, file.sequence)
            files += [other for other in inside if other.name.lower().endswith(VSS_FILES)]
    for file in files:
        for first, clusters in ntfs.runs(file.record, file.sequence):
            if first is not None:
                yield first, clusters


def _bits(runs: list[tuple[int, int]], first: int, most: int) -> int:
    """Return which of some clusters are in sorted runs, as bits."""
    bits = 0
    for start, clusters in runs[max(0, bisect_right(runs, (first,)) - 1) :]:
        if start >= first + most:
            break
        begin, end = max(start, first), min(start + clusters, first + most)
        if begin < end:
            bits |= ((1 << end - begin) - 1) << begin - first
    return bits


def _has_own_data(view: View, cluster: int, cluster_bytes: int) -> bool:
    """Return whether the shadow copy's own store has data of a cluster, such as a write to the copy itself."""
    first, sectors = cluster * cluster_bytes // SECTOR_BYTES, cluster_bytes // SECTOR_BYTES
    for number in range(first // SECTORS, (first + sectors - 1) // SECTORS + 1):
        inside = max(0, first - number * SECTORS), min(SECTORS, first + sectors - number * SECTORS)
        if view.own_sectors(number) & ((1 << inside[1]) - (1 << inside[0])):
            return True
    return False
