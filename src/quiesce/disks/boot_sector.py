"""The first sector of a volume: which file system it names, and whether it can be trusted."""

import struct

from quiesce.disks.raw import Extent, Malformed, NotSupported

SECTOR_BYTES = 512
BOOT_SIGNATURE = b"\x55\xaa"
NTFS_SECTOR_BYTES = (512, 1024, 2048, 4096)
# The OEM name at offset 3.
FILE_SYSTEMS = {b"NTFS    ": "NTFS", b"ReFS\0\0\0\0": "ReFS", b"-FVE-FS-": "BitLocker"}


def file_system(sector: bytes) -> str | None:
    """Return the file system that a first sector names; None if it is unknown or can't hold shadow copies."""
    return FILE_SYSTEMS.get(sector[3:11])


def check_volume(volume: Extent) -> str:
    """Return the file system of a volume that can be read further: NTFS or ReFS.

    Raises:
        NotSupported: the file system is another one, or the volume is encrypted by BitLocker.
        Malformed: the boot sector of NTFS contradicts itself or the partition.
        NotRead: the sector could not be read.
    """
    sector = volume.read(0, SECTOR_BYTES)
    name = file_system(sector)
    if name is None:
        raise NotSupported("neither NTFS nor ReFS: another file system, or a boot sector that was overwritten")
    if name == "BitLocker":
        raise NotSupported("BitLocker: the volume is encrypted by the server itself")
    if name == "NTFS":
        _check_ntfs(sector, volume.length)
    return name


def _check_ntfs(sector: bytes, length: int) -> None:
    (sector_bytes,) = struct.unpack_from("<H", sector, 11)
    (sectors,) = struct.unpack_from("<Q", sector, 40)
    if sector[510:] != BOOT_SIGNATURE or sector_bytes not in NTFS_SECTOR_BYTES:
        raise Malformed(f"the boot sector of NTFS has sectors of {sector_bytes} bytes or no signature")
    if not 0 < sectors * sector_bytes <= length:
        raise Malformed(f"NTFS has {sectors} sectors of {sector_bytes} bytes, its partition {length} bytes")
