"""Can a volume be built as of its shadow copy, out of the disks alone, and what would that read and write at most?

Decided from lists, bitmaps and a few blocks of NTFS: no other old data is read for it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from quiesce.disks.child import Child, sources
from quiesce.disks.ntfs import Ntfs
from quiesce.disks.ntfs_state import find_unprotected, read_state
from quiesce.disks.raw import NotBuildable, NotRead, StructureError
from quiesce.disks.shadow_copies import Disk, ShadowCopy, Stores
from quiesce.disks.verdicts import BuildVerdict
from quiesce.disks.view import View, open_view


class Work(NamedTuple):
    """How many blocks of 512 KiB a child takes at most: those read, and those written."""

    read: int
    written: int


@dataclass(frozen=True)
class Buildable:
    """Whether a volume can be built as of its shadow copy, and why not.

    Attributes:
        view: None if the volume can't be read as of its shadow copy.
        work: None if it is not ``buildable``. What several volumes take together is at most the sum.
    """

    verdict: BuildVerdict
    reason: str
    view: View | None = None
    work: Work | None = None


def _without_limit() -> None:
    """Let it take the time that it takes."""


def judge(stores: Stores, copy: ShadowCopy, check_time: Callable[[], None] = _without_limit) -> Buildable:
    """Say whether a volume can be built as of its shadow copy.

    Args:
        stores: of all disks of the recovery point.
        copy: found on them, and ``present`` by its evidence.
        check_time: called now and then while blocks are counted; raises ``NotRead`` if there is no time left.

    Returns:
        ``not known`` where something could not be read, also for want of time; never an exception for what is on the
        disks.
    """
    view = None
    try:
        if copy.original.file_system != "NTFS":
            raise NotBuildable(f"{copy.original.file_system}: only NTFS can be looked into")
        view = open_view(stores, copy)
        if copy.fault:
            raise copy.fault
        _check_at_rest(view)
        work = work_of(Child([view]), check_time)
        return Buildable("buildable", "its lists are whole, and NTFS is at rest in it", view, work)
    except StructureError as error:
        return Buildable("not known" if isinstance(error, NotRead) else "not buildable", str(error), view)


def _check_at_rest(view: View) -> None:
    ntfs = Ntfs(view)
    state = read_state(ntfs)
    if not state.log_clean:
        raise NotBuildable("the log of NTFS is not clean in it: nothing replayed it when the shadow copy was made")
    if state.dirty:
        raise NotBuildable("NTFS is marked as dirty in it: Windows would check it first")
    cluster = find_unprotected(view, ntfs)
    if cluster is not None:
        raise NotBuildable(f"its store does not protect cluster {cluster}, which is in use: it is of some files only")


def children(disks: Sequence[Disk], copied: Sequence[View]) -> list[Child]:
    """Return a child for each disk that has a volume as of its shadow copy, or another volume with a catalog.

    If one volume is built, no other one may keep its catalog: it would name stores that no longer fit.

    Args:
        disks: all of the recovery point.
        copied: the views of all volumes that are to be as of their shadow copies.
    """
    origins = [view.origin for view in copied]
    others = [volume for disk in disks for volume in disk.volumes if not any(volume is origin for origin in origins)]
    views = [*copied, *(View(volume) for volume in others if volume.header and volume.header.catalog_offset)]
    by_disk = [[view for view in views if view.volume.disk == disk.name] for disk in disks]
    return [Child(found) for found in by_disk if found]


def looked(views: Iterable[View]) -> set[tuple[str, int]]:
    """Return which blocks of 512 KiB were read for the views until now: names of disks, and indexes there."""
    volumes = [volume for view in views for volume in (view.volume, *view.storages)]
    return {(volume.disk, index) for volume in volumes for index in volume.extent.disk.blocks}


def work_of(child: Child, check_time: Callable[[], None] = _without_limit) -> Work:
    """Return how many blocks a child takes at most: lists and bitmaps, the parent's, old data, and its own.

    Raises:
        NotRead: ``check_time`` says that there is no time left.
    """
    written = old = 0
    for batch in child.batches():
        check_time()
        written += len(batch)
        old += len(sources(batch))
    return Work(len(looked(child.views)) + written + old, written)
