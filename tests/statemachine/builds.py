"""What the tests of builds share: a backed-up shop, the input of a build, and the checks of what was built."""

import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from quiesce.disks.shadow_copies import read_disk
from sandbox.disks.ntfs_structures import NtfsFiles
from sandbox.servers import Server
from sandbox.windows.application import LEDGER_DRIVE, ORDERS_DRIVE, Examination, examine
from tests.support.cloud import Cloud
from tests.support.machine import Machine, Run
from tests.support.reverting import request_of

# Where nothing else is; the boot sector says where.
NTFS_AT, MFT_CLUSTER = 10 << 30, 48


def give_other_ntfs(cloud: Cloud, snapshot_id: str, **of_it: Any) -> None:
    """Give the volume in a snapshot another NTFS, in blocks of its own, so that its shadow copy has it, too."""
    disk = cloud.servers.disks[snapshot_id]
    (volume,) = read_disk(snapshot_id, disk.read, disk.size_bytes).volumes
    files = NtfsFiles(volume.extent.length, mft_at=NTFS_AT, **of_it)
    disk.write(volume.extent.start + MFT_CLUSTER, struct.pack("<Q", NTFS_AT // files.cluster_bytes))
    for offset, data in files.writes():
        disk.write(volume.extent.start + offset, data)


@dataclass
class BackedShop:
    """A shop with a recovery point; its application has worked on since."""

    cloud: Cloud
    machine: Machine
    server: Server
    record: dict[str, Any]

    def raw(self) -> Examination:
        """Return the application's data in the snapshots as EC2 made them."""
        return self.cloud.servers.examine({s["volume_id"]: s["snapshot_id"] for s in self.record["snapshots"]})

    def request(self, **changes: Any) -> dict[str, Any]:
        """Return what to build: every volume as of its shadow copy."""
        return request_of(self.record, **changes)

    def build(self, **changes: Any) -> Run:
        """Run a build; each execution has a name of its own, and the same id."""
        return self.machine.build({"request": self.request(**changes)})

    def children(self, built_for: str = "drill-7") -> list[dict[str, Any]]:
        """Return the snapshots that exist of a build, by its tag."""
        return [each for each in self.cloud.snapshots() if each["tags"].get("quiesce:built-for") == built_for]


def recovering(shop: BackedShop) -> Callable[..., Run]:
    """Return what recovers the shop: each execution has a name of its own, and the same recovery_id."""
    image_id = shop.cloud.servers.add_image("windows")

    def recover(**fields: Any) -> Run:
        request = {"recovery_point": shop.record["run_id"], "image_id": image_id, "recovery_id": "drill-7"}
        return shop.machine.recover({**request, "beside_the_old_one": True, **fields})

    return recover


def examined(shop: BackedShop, run: Run) -> Examination:
    """Return the application's data on a recovered server."""
    servers = shop.cloud.servers
    volumes = servers.servers[run.output["instance_id"]].volumes
    return examine({drive: servers.content(volumes[drive]) for drive in (ORDERS_DRIVE, LEDGER_DRIVE)})


def assert_built(shop: BackedShop, run: Run) -> dict[str, Any]:
    """Check that every volume was built once, is as of its shadow copy, and the raw snapshots are as they were."""
    assert run.status == "SUCCEEDED", (run.error, run.cause)
    built: dict[str, Any] = run.output
    children = {child["snapshot_id"]: child["child_id"] for child in built["children"]}
    raw = {each["volume_id"]: each["snapshot_id"] for each in shop.record["snapshots"]}
    assert set(children) == set(raw.values())
    # Nothing is doubled, nothing is left over.
    assert Counter(child["id"] for child in shop.children()) == Counter(children.values())
    for child in shop.children():
        assert child["tags"]["quiesce:consistency"] == "application"
        assert "quiesce:run" not in child["tags"]
    servers = shop.cloud.servers
    as_built = servers.examine({volume: children[snapshot] for volume, snapshot in raw.items()})
    as_frozen = servers.examine_shadow_copies(shop.record)
    assert as_built == as_frozen
    assert not as_built.torn
    return built
