"""The Recycle Bin of snapshots, which moto lacks: with a retention rule, a deleted snapshot goes there.

`install` changes moto for the whole process, as that of `snapshots` does.
Source: EBS user guide, Recycle Bin: DescribeSnapshots does not list what is in it, ListSnapshotsInRecycleBin does.
"""

from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models.elastic_block_store import EBSBackend
from moto.ec2.responses.elastic_block_store import ElasticBlockStore


class RecycleBin:
    """Whether a retention rule covers snapshots, and those that are in the bin."""

    def __init__(self) -> None:
        self.retains = False
        self.snapshot_ids: list[str] = []

    def reset(self) -> None:
        """Restore the defaults: no rule, and an empty bin."""
        self.__init__()  # type: ignore[misc]


BIN = RecycleBin()


def _delete_snapshot(original: Callable[..., Any]) -> Callable[..., Any]:
    def delete(self: Any, snapshot_id: str) -> Any:
        deleted = original(self, snapshot_id)
        if BIN.retains:
            BIN.snapshot_ids.append(snapshot_id)
        return deleted

    return delete


def _list(self: ElasticBlockStore) -> ActionResult:
    """ListSnapshotsInRecycleBin, one page."""
    return ActionResult({"Snapshots": [{"SnapshotId": snapshot_id} for snapshot_id in BIN.snapshot_ids]})


def install() -> None:
    """Put these rules into moto; calling it again changes nothing."""
    if hasattr(ElasticBlockStore, "list_snapshots_in_recycle_bin"):
        return
    EBSBackend.delete_snapshot = _delete_snapshot(EBSBackend.delete_snapshot)  # type: ignore[method-assign]
    ElasticBlockStore.list_snapshots_in_recycle_bin = _list  # type: ignore[attr-defined]
