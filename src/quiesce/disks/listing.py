"""The shadow copies on disks, as text for an administrator."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from quiesce.disks.shadow_copies import Disk, ShadowCopy, Volume

# VSS_VOLUME_SNAPSHOT_ATTRIBUTES of vss.h.
ATTRIBUTES = {
    0x1: "persistent",
    0x2: "no auto-recovery",
    0x4: "client accessible",
    0x8: "no auto-release",
    0x10: "no writers",
    0x20: "transportable",
    0x20000: "differential",
    0x400000: "auto-recover",
    0x800000: "rollback recovery",
}
UNITS = ("bytes", "KiB", "MiB", "GiB")


def is_complete(disks: Sequence[Disk], copies: Sequence[ShadowCopy]) -> bool:
    """Return whether everything on the disks was read, and none of it is damaged."""
    whole = all(disk.fault is None and all(volume.fault is None for volume in disk.volumes) for disk in disks)
    return whole and all(copy.fault is None for copy in copies)


def describe(disks: Sequence[Disk], copies: Sequence[ShadowCopy]) -> str:
    """Return what the disks hold: each disk, its volumes, and the shadow copies of each volume."""
    return "\n".join(line for disk in disks for line in _disk_lines(disk, copies)) + "\n"


def _disk_lines(disk: Disk, copies: Sequence[ShadowCopy]) -> Iterator[str]:
    yield f"{disk.name}: {disk.scheme}, {len(disk.blocks_read)} blocks of 512 KiB read"
    for volume in disk.volumes:
        yield f"  {_volume_line(volume)}"
        for copy in (c for c in copies if c.original is volume):
            yield from (f"    {line}" for line in _copy_lines(copy))
    if disk.fault:
        yield f"  NOT READ: {disk.fault}"


def _volume_line(volume: Volume) -> str:
    place = f"{volume.partition.kind} at {_size(volume.partition.start)}, {_size(volume.partition.length)}"
    if volume.fault:
        return f"{place}: NOT READ: {volume.fault}"
    if volume.header is None:
        return f"{place}, {volume.file_system}: never had shadow copies"
    listed = f"shadow copies: {len(volume.catalog.copies)}, stores on it: {len(volume.catalog.storages)}"
    return f"{place}, {volume.file_system}, volume {volume.header.volume_id}: {listed}"


def _copy_lines(copy: ShadowCopy) -> Iterator[str]:
    created = f"{copy.entry.created_at:%Y-%m-%d %H:%M:%S} UTC" if copy.entry.created_at else "at an invalid date"
    deleted = ", marked as deleted" if copy.entry.marked_deleted else ""
    name = copy.store.copy_id if copy.store else "with an unknown id"
    yield f"shadow copy {name}, created {created}{deleted}"
    if copy.store:
        writers = "writers involved" if copy.store.writers_involved else "NO writers involved"
        # A name read from a disk may hold anything, even a terminal's control characters.
        yield f"  of set {copy.store.set_id}, {writers}, made on {copy.store.machine!a}"
        names = ", ".join(name for bit, name in ATTRIBUTES.items() if copy.store.attributes & bit) or "none known"
        yield f"  context {copy.store.context:#x}, attributes {copy.store.attributes:#x}: {names}"
    yield f"  storage {_storage(copy)}"
    if copy.fault:
        yield f"  NOT WHOLE: {copy.fault}"


def _storage(copy: ShadowCopy) -> str:
    if copy.storage is copy.original:
        return "on the same volume"
    if copy.storage:
        return f"on another volume: {copy.storage.disk}, at {_size(copy.storage.partition.start)}"
    wanted = copy.original.header.storage_volume_id if copy.original.header else "unknown"
    return f"on none of these disks: on volume {wanted}"


def _size(size_bytes: int) -> str:
    """Return the size in the largest unit that makes it a whole number."""
    for power, unit in reversed(list(enumerate(UNITS))):
        if size_bytes and not size_bytes % 1024**power:
            return f"{size_bytes // 1024**power} {unit}"
    return f"{size_bytes} bytes"
