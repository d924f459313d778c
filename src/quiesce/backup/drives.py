"""Which of the server's drives lie on which EBS volumes, and what a person should know of them."""

from collections.abc import Sequence

from quiesce.guest.inventory import Inventory
from quiesce.points.parts import Excluded, Volume

# Less, and the scripts' output or a shadow copy may not fit.
LOW_BYTES = 512 * 1024 * 1024


def with_drives(volumes: Sequence[Volume], inventory: Inventory) -> list[Volume]:
    """Return the volumes with the drives that lie on each."""
    paths: dict[str | None, list[str]] = {}
    for drive in inventory.drives:
        paths.setdefault(drive.volume_id, []).append(drive.path or drive.volume_guid)
    return [volume.model_copy(update={"drives": sorted(paths.get(volume.volume_id, []))}) for volume in volumes]


def remarks(volumes: Sequence[Volume], excluded: Sequence[Excluded], inventory: Inventory) -> list[str]:
    """Return what a person should know of the server's drives."""
    known = {v.volume_id for v in volumes} | {e.volume_id for e in excluded}
    # On Xen no disk says which volume it is, and none can be called foreign.
    tells = any(drive.volume_id in known for drive in inventory.drives)
    elsewhere = [
        f"{drive.path or drive.volume_guid} lies on a disk that is no EBS volume of this server "
        f"(serial {drive.serial}): it is in no backup"
        for drive in inventory.drives
        if tells and drive.serial is not None and drive.volume_id not in known
    ]
    omitted = [f"{inventory.drives_omitted} drives did not fit into the server's answer"]
    free = inventory.program_data_free_bytes
    low = [f"the server has only {(free or 0) // 2**20} MiB free where quiesce keeps its sessions' files"]
    return [
        *elsewhere,
        *(omitted if inventory.drives_omitted else []),
        *(low if free is not None and free < LOW_BYTES else []),
    ]
