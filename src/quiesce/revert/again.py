"""A planned child, opened again on its disks: each call that builds a part of it reads the lists anew."""

from collections.abc import Sequence
from uuid import UUID

from quiesce.disks.child import Child
from quiesce.disks.raw import Malformed, NotRead
from quiesce.disks.shadow_copies import Disk, Stores, Volume
from quiesce.disks.view import View, open_view
from quiesce.revert.plan import PlannedChild, PlannedView


def reopen(disks: Sequence[Disk], planned: PlannedChild) -> Child:
    """Return a planned child.

    Args:
        disks: those that the plan names: the child's own, and those with the storage of its shadow copies.
        planned: the child.

    Raises:
        NotRead: something of it can't be read.
        Malformed: a volume or shadow copy that was planned is not there.
        NotBuildable, NotSupported: as when it was judged.
    """
    faults = [fault for disk in disks for fault in (disk.fault, *(volume.fault for volume in disk.volumes)) if fault]
    volumes = {
        volume.extent.start: volume for disk in disks if disk.name == planned.snapshot_id for volume in disk.volumes
    }
    stores = Stores(disks)
    views = []
    for view in planned.views:
        volume = volumes.get(view.start)
        if volume is None or volume.extent.length != view.length:
            if faults:
                raise NotRead(str(faults[0]))
            raise Malformed(f"the volume at {view.start:#x} is not there any more")
        views.append(_view(stores, volume, view))
    return Child(views)


def _view(stores: Stores, volume: Volume, planned: PlannedView) -> View:
    if not planned.shadow_id:
        return View(volume)
    wanted, entry_id = UUID(planned.shadow_id), planned.store_id and UUID(planned.store_id)
    for listed, entry in stores.listed:
        if listed is volume and entry.store_id == entry_id:
            copy = stores.read_copy(listed, entry)
            if copy.store and copy.store.copy_id == wanted:
                return open_view(stores, copy)
            raise copy.fault or Malformed(f"the store {entry.store_id} is of another shadow copy than {wanted}")
    raise volume.fault or Malformed(f"the volume at {planned.start:#x} does not list the shadow copy {wanted}")
