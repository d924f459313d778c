"""Which of the server's drives lie on which EBS volumes, and the record's notes on them."""

from collections.abc import Sequence

from quiesce.guest.inventory import Inventory
from quiesce.points.parts import Excluded, Volume

# With less free space, the scripts' output or a shadow copy may not fit.
LOW_BYTES = 512 * 1024 * 1024


def with_drives(volumes: Sequence[Volume], inventory: Inventory) -> list[Volume]:
    """Return the volumes, each with the drives that lie on it."""
    paths: dict[str | None, list[str]] = {}
    for drive in inventory.drives:
        paths.setdefault(drive.volume_id, []).append(drive.path or drive.volume_guid)
    return [volume.model_copy(update={"drives": sorted(paths.get(volume.volume_id, []))}) for volume in volumes]


def remarks(volumes: Sequence[Volume], excluded: Sequence[Excluded], inventory: Inventory) -> list[str]:
    """Return the record's notes on the server's drives."""
    known = {v.volume_id for v in volumes} | {e.volume_id for e in excluded}
    # On Xen no disk reports its volume, so no drive can be recognized as foreign.
    disks_report_volumes = any(drive.volume_id in known for drive in inventory.drives)
    elsewhere = [
        f"{drive.path or drive.volume_guid} lies on a disk that is no EBS volume of this server "
        f"(serial {drive.serial}): it is in no backup"
        for drive in inventory.drives
        if disks_report_volumes and drive.serial is not None and drive.volume_id not in known
    ]
    omitted = [f"{inventory.drives_omitted} drives did not fit into the server's answer"]
    free = inventory.program_data_free_bytes
    low = [f"the server has only {(free or 0) // 2**20} MiB free where quiesce keeps its sessions' files"]
    return [
        *elsewhere,
        *(omitted if inventory.drives_omitted else []),
        *(low if free is not None and free < LOW_BYTES else []),
    ]
