"""Which volumes get a shadow copy, or why none does: Plan knows it before anything is frozen."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from quiesce.backup.drives import target_of
from quiesce.backup.shadow_plan import plan_shadow_copies
from quiesce.backup.state import Plan
from quiesce.guest.answers import Answer
from quiesce.guest.inventory import Inventory, inventory_of
from quiesce.policy.target import TargetSettings
from sandbox.windows.inventory import (
    ISCSI,
    POOL,
    SCSI,
    VIRTUAL_FILE,
    Disk,
    Drive,
    disks_of,
    inventory,
    nvme_drives,
    volume_guid,
)
from tests.support.factories.run import a_plan, an_exclusion, volume_id

ROOT, DATA, OUT = volume_id(0), volume_id(1), volume_id(2)
VSS_FIELDS = {"programData": "C:\\ProgramData", "shadowStorage": []}


def an_inventory(change: dict[str, Any] | None = None, **drives: str) -> Inventory:
    letters = {f"{letter}:": volume for letter, volume in (drives or {"C": ROOT, "D": DATA}).items()}
    sent = inventory(nvme_drives(letters)) | VSS_FIELDS | (change or {})
    return inventory_of(Answer(quiesce=1, verb="inventory", run="r", attempt="1", ok=True, inventory=sent))


def with_drive(letter: str, **changes: Any) -> dict[str, Any]:
    """The change of an inventory that changes one drive."""
    drives = an_inventory(C=ROOT, D=DATA, E=OUT).model_dump(by_alias=True)["drives"]
    return {"drives": [{**d, **changes} if d["path"] == f"{letter}:" else d for d in drives]}


def a_whole_plan(volumes: int = 2, **changes: Any) -> Plan:
    return a_plan(volumes, **changes)


@pytest.mark.chapter("6.3.2 all")
def test_every_ntfs_volume_on_a_chosen_ebs_volume_gets_a_shadow_copy() -> None:
    decided = plan_shadow_copies(a_whole_plan(excluded=[an_exclusion(2)]), an_inventory(C=ROOT, D=DATA, E=OUT))
    assert decided.plan
    assert decided.obstacle == ""
    assert [(v.path, v.volume_id) for v in decided.plan.volumes] == [("C:", ROOT), ("D:", DATA)]
    assert decided.plan.homes == sorted(v.volume_guid.lower() for v in decided.plan.volumes)


OBSTACLES: dict[str, tuple[dict[str, Any], str]] = {
    "a client": (
        {"windows": {"version": "10.0.19045", "name": "Windows 10", "installation": "Client", "productType": 1}},
        "VSS does not work on Windows 10",
    ),
    "a folder with blanks": ({"programData": "D:\\Program Data"}, "DiskShadow might not read the folder's name"),
    "no folder known": ({"programData": None}, "DiskShadow might not read the folder's name"),
    "ReFS": (with_drive("D", fileSystem="ReFS"), "no shadow copy can be made of D: (ReFS)"),
    "a file system that nobody knows": (with_drive("D", fileSystem=None), "no shadow copy can be made of D:"),
    "no drive": ({"drives": []}, "0 NTFS volumes"),
}


@pytest.mark.parametrize(("change", "words"), OBSTACLES.values(), ids=OBSTACLES)
def test_what_keeps_vss_from_working_is_named(change: dict[str, Any], words: str) -> None:
    decided = plan_shadow_copies(a_whole_plan(3), an_inventory(change))
    assert decided.plan is None
    assert words in decided.obstacle


def test_a_partition_without_a_letter_that_is_not_ntfs_is_none_of_ours() -> None:
    change = with_drive("E", path="", fileSystem="FAT32", serial=f"{ROOT.replace('-', '')}_00000001.", diskNumber=0)
    decided = plan_shadow_copies(a_whole_plan(2), an_inventory(change))
    assert decided.plan
    assert [v.path for v in decided.plan.volumes] == ["C:", "D:"]


def test_where_no_disk_says_which_volume_it_is_all_drives_are_taken_if_nothing_is_left_out() -> None:
    drives = [{**d, "serial": "0001"} for d in an_inventory().model_dump(by_alias=True)["drives"]]
    decided = plan_shadow_copies(a_whole_plan(), an_inventory({"drives": drives}))
    assert decided.plan
    assert [(v.path, v.volume_id) for v in decided.plan.volumes] == [("C:", ""), ("D:", "")]


def test_where_no_disk_says_which_volume_it_is_nothing_is_guessed_about_those_left_out() -> None:
    drives = [{**d, "serial": None} for d in an_inventory().model_dump(by_alias=True)["drives"]]
    decided = plan_shadow_copies(a_whole_plan(excluded=[an_exclusion(2)]), an_inventory({"drives": drives}))
    assert decided.obstacle.startswith("the server can't tell which of its drives")


# ---- Every chosen EBS volume: copied, empty, or named ----------------------------------------------------------------

C, D = nvme_drives({"C:": ROOT, "D:": DATA})
SERIAL = f"{OUT.replace('-', '')}_00000001."
E_DISK = Disk(2, SERIAL)


def windows(drives: Sequence[Drive], disks: Sequence[Disk] | None = None, **changes: Any) -> Inventory:
    """What a server says that has these drives and disks; the disks of the drives if none are given."""
    told = inventory(drives, disks) | VSS_FIELDS | changes
    return inventory_of(Answer(quiesce=1, verb="inventory", run="r", attempt="1", ok=True, inventory=told))


def hidden(file_system: str | None, number: int = 2, serial: str = SERIAL, **changes: Any) -> Drive:
    return Drive("", volume_guid("hidden"), number, serial, file_system=file_system, **changes)


CD_DISKS = disks_of([C, D])
POOLED = Drive("E:", volume_guid("pooled"), 7, "{5f3a}")
DYNAMIC = Drive("E:", volume_guid("dynamic"), None, None, scsi_target=None)
# What the third EBS volume may be, and how it is named.
NAMED: dict[str, tuple[Inventory, str]] = {
    "offline": (windows([C, D], [*CD_DISKS, Disk(2, SERIAL, offline=True)]), "its disk is offline"),
    "offline and empty": (windows([C, D], [*CD_DISKS, Disk(2, SERIAL, offline=True, partitions=0)]), "is offline"),
    "dynamic": (
        windows([C, D, DYNAMIC], [*CD_DISKS, Disk(2, SERIAL, partitions=2)]),
        "Windows shows no volume on its partitions (2)); E: may be there, on a dynamic disk or in a storage pool",
    ),
    "in a storage pool": (
        windows([C, D, POOLED], [*CD_DISKS, Disk(7, "{5f3a}", POOL)]),
        "Windows shows no disk for it); E: may be there, on a dynamic disk or in a storage pool",
    ),
    "raw": (windows([C, D, hidden(None)]), "a volume without letter or folder (no file system known, 102400 MiB)"),
    "ReFS without a letter": (windows([C, D, hidden("ReFS")]), "without letter or folder (ReFS, 102400 MiB)"),
    "CSVFS without a letter": (windows([C, D, hidden("CSVFS")]), "(CSVFS, 102400 MiB)"),
    "of another system": (windows([C, D], [*CD_DISKS, E_DISK]), "Windows shows no volume on its partitions (1)"),
    "two small partitions of another system": (
        windows([C, D], [*CD_DISKS, Disk(2, SERIAL, partitions=2, allocated_bytes=100 * 2**20)]),
        "Windows shows no volume on its partitions (2)",
    ),
    "a server that does not list its disks": (windows([C, D], []), "shows no volume on it"),
}


@pytest.mark.parametrize(("found", "words"), NAMED.values(), ids=NAMED)
def test_a_chosen_ebs_volume_that_would_have_no_shadow_copy_is_named(found: Inventory, words: str) -> None:
    decided = plan_shadow_copies(a_whole_plan(3), found)
    assert decided.plan is None
    assert decided.obstacle.startswith(f"no shadow copy can be made of xvdc {OUT} (")
    assert words in decided.obstacle


@pytest.mark.parametrize("found", [found for found, _ in NAMED.values()], ids=NAMED)
def test_one_that_the_policy_leaves_out_may_be_anything(found: Inventory) -> None:
    decided = plan_shadow_copies(a_whole_plan(2, excluded=[an_exclusion(2)]), found)
    assert decided.plan
    assert [v.path for v in decided.plan.volumes] == ["C:", "D:"]


@pytest.mark.parametrize(
    "disk",
    [Disk(2, SERIAL, partitions=0, allocated_bytes=0), Disk(2, SERIAL, partitions=1, allocated_bytes=129 * 2**20)],
    ids=["never initialized", "the reserved partition alone"],
)
def test_an_ebs_volume_without_any_file_system_keeps_nothing_from_being_consistent(disk: Disk) -> None:
    decided = plan_shadow_copies(a_whole_plan(3), windows([C, D], [*CD_DISKS, disk]))
    assert decided.plan
    assert decided.notes == (f"no shadow copy of xvdc {OUT}: no file system is on it",)


@pytest.mark.parametrize("file_system", ["NTFS", "FAT32", "ReFS", None])
def test_a_partition_without_letter_beside_a_copied_volume_is_left_out_and_noted(file_system: str | None) -> None:
    recovery = hidden(file_system, 0, C.serial or "", size_bytes=500 * 2**20)
    decided = plan_shadow_copies(a_whole_plan(), windows([C, D, recovery]))
    assert decided.plan
    assert [v.path for v in decided.plan.volumes] == ["C:", "D:"]
    what = f"a volume without letter or folder ({file_system or 'no file system known'}, 500 MiB)"
    assert decided.notes == (
        f"no shadow copy of {what} on /dev/sda1 {ROOT}: without one it is as after a power failure",
    )
    assert recovery.volume_guid.lower() in decided.plan.homes, "its EBS volume is in the backup"


def test_a_volume_of_ntfs_without_letter_that_has_an_ebs_volume_to_itself_is_copied() -> None:
    decided = plan_shadow_copies(a_whole_plan(3), windows([C, D, hidden("NTFS")]))
    assert decided.plan
    assert [v.volume_guid for v in decided.plan.volumes][2:] == [volume_guid("hidden")]
    assert decided.notes == ()


# ---- Xen: disks are told by their SCSI targets -----------------------------------------------------------------------


def on_xen(drive: Drive, target: int | None) -> Drive:
    return replace(drive, serial=None, scsi_target=target)


XEN = [on_xen(C, 0), on_xen(D, 1)]  # of /dev/sda1 and xvdb
XEN_DISKS = disks_of(XEN, SCSI)
Z = Drive("Z:", volume_guid("foreign"), 5, None)
FOREIGN = {
    "instance store": (on_xen(Z, 78), Disk(5, None, SCSI)),
    "iSCSI at the root's target": (on_xen(Z, 0), Disk(5, "0F00", ISCSI)),
    "a virtual disk's file at the root's target": (on_xen(Z, 0), Disk(5, None, VIRTUAL_FILE)),
    "iSCSI, as the Storage module calls it": (on_xen(Z, 1), Disk(5, None, "iSCSI")),  # type: ignore[arg-type]
}


@pytest.mark.parametrize(("drive", "disk"), FOREIGN.values(), ids=FOREIGN)
def test_a_drive_on_xen_that_cannot_be_an_ebs_volume_has_no_place_in_the_set(drive: Drive, disk: Disk) -> None:
    storage = {"volumeGuid": D.volume_guid, "storageGuid": Z.volume_guid}
    sizes = {"usedBytes": 0, "allocatedBytes": 0, "maxBytes": None}
    found = windows([*XEN, drive], [*XEN_DISKS, disk], shadowStorage=[storage | sizes])
    decided = plan_shadow_copies(a_whole_plan(), found)
    assert decided.plan
    assert [(v.path, v.volume_id) for v in decided.plan.volumes] == [("C:", ""), ("D:", "")]
    assert Z.volume_guid.lower() not in decided.plan.homes
    assert decided.plan.elsewhere == {Z.volume_guid.lower(): "Z:"}
    assert decided.notes == ("the shadow storage of D: is on Z:, which is not in the backup",)


@pytest.mark.parametrize("targets", [(3, 4), (None, None), (0, 0)], ids=["of no table", "none", "all alike"])
def test_where_the_root_is_at_no_target_of_its_own_no_drive_is_ruled_out(targets: tuple[int | None, ...]) -> None:
    drives = [on_xen(drive, target) for drive, target in zip(XEN, targets, strict=True)]
    decided = plan_shadow_copies(a_whole_plan(), windows(drives, XEN_DISKS))
    assert decided.plan
    assert [v.path for v in decided.plan.volumes] == ["C:", "D:"]


def test_of_two_disks_at_one_target_neither_is_taken_for_the_ebs_volume() -> None:
    drives = [*XEN, on_xen(Z, 1)]
    decided = plan_shadow_copies(a_whole_plan(), windows(drives, disks_of(drives, SCSI)))
    assert decided.obstacle.startswith(f"no shadow copy can be made of xvdb {DATA} (Windows shows no disk for it")


XEN_VOLUMES = {
    "no disk": ([], "(Windows shows no disk for it)"),
    "a disk with partitions": ([Disk(2, None, SCSI)], "(Windows shows no disk for it)"),
    "two disks": ([Disk(2, None, SCSI, partitions=0), Disk(3, None, SCSI, partitions=0)], "shows no disk for it"),
    "an iSCSI disk": ([Disk(2, None, ISCSI, partitions=0)], "(Windows shows no disk for it)"),
    "an offline disk": ([Disk(2, None, SCSI, offline=True, partitions=0)], "(Windows shows no disk for it)"),
    "an empty disk": ([Disk(2, None, SCSI, partitions=0)], ""),
}


@pytest.mark.parametrize(("more", "words"), XEN_VOLUMES.values(), ids=XEN_VOLUMES)
def test_an_ebs_volume_on_xen_that_no_drive_lies_on_is_named_unless_it_is_empty(more: list[Disk], words: str) -> None:
    decided = plan_shadow_copies(a_whole_plan(3), windows(XEN, [*XEN_DISKS, *more]))
    assert (decided.plan is None) is bool(words)
    assert words in decided.obstacle
    assert words or decided.notes == (f"no shadow copy of xvdc {OUT}: no file system is on it",)


def test_an_iscsi_drive_at_the_target_of_an_empty_ebs_volume_does_not_hide_it() -> None:
    disks = [*XEN_DISKS, Disk(2, None, SCSI, partitions=0), Disk(5, "0F00", ISCSI)]
    decided = plan_shadow_copies(a_whole_plan(3), windows([*XEN, on_xen(Z, 2)], disks))
    assert decided.notes == (f"no shadow copy of xvdc {OUT}: no file system is on it",)


def test_a_drive_of_a_storage_pool_at_the_roots_target_leaves_the_root_certain() -> None:
    drives = [*XEN, on_xen(replace(POOLED, disk_number=7), 0)]
    decided = plan_shadow_copies(a_whole_plan(), windows(drives, [*XEN_DISKS, Disk(7, "{5f3a}", POOL)]))
    assert decided.plan
    assert [v.path for v in decided.plan.volumes] == ["C:", "D:"]


@pytest.mark.parametrize(("number", "copied"), [(2, True), (0, False)])
def test_where_no_disk_says_which_volume_it_is_a_partition_without_letter_is_left_out_beside_another(
    number: int, *, copied: bool
) -> None:
    drives = [on_xen(drive, None) for drive in (C, D, hidden("NTFS", number))]
    decided = plan_shadow_copies(a_whole_plan(2), windows(drives))
    assert decided.plan
    assert (volume_guid("hidden") in [v.volume_guid for v in decided.plan.volumes]) is copied


def test_a_server_that_cannot_say_where_its_drives_lie_has_at_least_as_many_as_ebs_volumes() -> None:
    drives = [replace(drive, disk_number=None, serial=None, scsi_target=None) for drive in (C, D)]
    assert plan_shadow_copies(a_whole_plan(2), windows(drives, [])).plan
    decided = plan_shadow_copies(a_whole_plan(3), windows(drives, []))
    assert decided.obstacle == ("3 EBS volumes are to be backed up, and Windows shows NTFS volumes on 2 disks only")
    alike = [on_xen(drive, 0) for drive in (C, D, replace(D, path="E:", volume_guid=volume_guid("e")))]
    assert "on 2 disks only" in plan_shadow_copies(a_whole_plan(3), windows(alike, XEN_DISKS)).obstacle
    empty = [*XEN_DISKS, Disk(2, None, SCSI, partitions=0)]
    assert plan_shadow_copies(a_whole_plan(3), windows(alike, empty)).plan


@pytest.mark.parametrize(
    ("device", "target"),
    [
        ("/dev/sda1", 0), ("xvdb", 1), ("/dev/xvdf", 5), ("/dev/sdf", 5), ("xvdz", 25),
        ("xvdba", 52), ("xvdca", 78), ("xvdcl", 89), ("nvme0n1", None),
    ],
)  # fmt: skip
def test_a_device_name_has_the_target_of_the_table_in_ec2s_guide(device: str, target: int | None) -> None:
    assert target_of(device) == target


# ---- Shadow storage elsewhere ----------------------------------------------------------------------------------------

E = Drive("E:", volume_guid("e"), 2, SERIAL)


def stored_on(volume: Drive, home: str) -> dict[str, Any]:
    """What Windows says of the shadow storage of a volume."""
    sizes = {"usedBytes": 0, "allocatedBytes": 0, "maxBytes": None}
    return {"volumeGuid": volume.volume_guid, "storageGuid": home, **sizes}


def test_an_ebs_volume_that_is_left_out_is_in_the_backup_if_it_has_the_shadow_storage_of_another() -> None:
    storage = [stored_on(D, E.volume_guid.upper()), stored_on(E, D.volume_guid)]
    found = windows([C, D, E], shadowStorage=storage)
    decided = plan_shadow_copies(a_whole_plan(excluded=[an_exclusion(2)]), found)
    assert decided.plan
    assert decided.joining == (OUT,)
    assert [v.path for v in decided.plan.volumes] == ["C:", "D:"], "it gets no shadow copy of its own"
    assert E.volume_guid.lower() in decided.plan.homes
    assert (decided.plan.elsewhere, decided.plan.left_out) == ({}, ["E:"])
    assert decided.notes == (
        f"xvdc {OUT} is in the backup, though the policy leaves it out: it has the shadow storage of D: (on E:), and a "
        "shadow copy without its storage is lost. What else is on it is as after a power failure",
    )


def test_one_with_the_storage_of_a_volume_that_gets_no_shadow_copy_stays_out() -> None:
    found = windows([C, D, E], shadowStorage=[stored_on(D, E.volume_guid)])
    plan = a_whole_plan(settings=naming("C:"), excluded=[an_exclusion(2)])
    decided = plan_shadow_copies(plan, found)
    assert decided.plan
    assert (decided.joining, decided.plan.left_out) == ((), ["D:"])
    assert decided.plan.elsewhere == {E.volume_guid.lower(): "E:"}


# ---- The volumes that the policy names -------------------------------------------------------------------------------


def naming(*names: str) -> TargetSettings:
    return TargetSettings.model_validate({"vss": {"volumes": list(names)}})


MOUNTED = Drive("E:\\Logs\\", volume_guid("mounted"), 3, f"{volume_id(3).replace('-', '')}_00000001.")


@pytest.mark.parametrize(
    ("names", "copied", "left_out"),
    [
        (["D:"], ["D:"], ["C:", "E:", "E:\\Logs\\"]),
        (["e:\\logs", "d:\\"], ["D:", "E:\\Logs\\"], ["C:", "E:"]),
        (["C:", "D:", "E:", "E:\\Logs"], ["C:", "D:", "E:", "E:\\Logs\\"], []),
    ],
)
def test_only_the_volumes_that_the_policy_names_get_a_shadow_copy(
    names: list[str], copied: list[str], left_out: list[str]
) -> None:
    decided = plan_shadow_copies(a_whole_plan(4, settings=naming(*names)), windows([C, D, E, MOUNTED]))
    assert decided.plan
    assert [v.path for v in decided.plan.volumes] == copied
    assert decided.plan.left_out == left_out
    assert len(decided.plan.homes) == 4, "all are in the backup"
    words = "vss.volumes does not name it, and it is as after a power failure"
    noted = [note.removeprefix("no shadow copy of ").partition(" (")[0] for note in decided.notes if words in note]
    assert noted == left_out


@pytest.mark.parametrize("found", [found for found, _ in NAMED.values()], ids=NAMED)
def test_an_ebs_volume_on_which_the_policy_names_no_volume_may_be_anything(found: Inventory) -> None:
    decided = plan_shadow_copies(a_whole_plan(3, settings=naming("C:", "D:")), found)
    assert decided.plan
    assert [v.path for v in decided.plan.volumes] == ["C:", "D:"]
    [note] = [note for note in decided.notes if f"xvdc {OUT}" in note]
    assert note.endswith("vss.volumes does not name it, and it is as after a power failure")


ON_E = a_whole_plan(3, settings=naming("D:", "E:"))
E_OUT = a_whole_plan(2, settings=naming("D:", "E:"), excluded=[an_exclusion(2)])
UNABLE: dict[str, tuple[Plan, Inventory, str]] = {
    "no such volume": (
        ON_E, windows([C, D]), "vss.volumes names E:, and the server has no such volume (it has C:, D:)",
    ),
    "no volume with a letter": (
        ON_E, windows([hidden("NTFS")]), "names D:, and the server has no such volume (it has none with a letter or a",
    ),
    "another file system": (
        ON_E, windows([C, D, replace(E, file_system="ReFS")]), "no shadow copy can be made of E: (ReFS)",
    ),
    "left out of the backup": (
        E_OUT, windows([C, D, E]),
        f"vss.volumes names E:, which is on xvdc {OUT}, which the policy's volumes leave out of the backup",
    ),
    "iSCSI": (
        ON_E, windows([C, D, replace(E, disk_number=5, serial="0F00")], [*CD_DISKS, Disk(5, "0F00", ISCSI)]),
        "vss.volumes names E:, which is on a disk that is no EBS volume of this server",
    ),
    "a storage pool": (
        ON_E, windows([C, D, POOLED], [*CD_DISKS, Disk(7, "{5f3a}", POOL)]),
        "vss.volumes names E:, which may be on several EBS volumes: a dynamic disk or a storage pool",
    ),
    "a dynamic disk": (
        ON_E, windows([C, D, DYNAMIC], [*CD_DISKS, Disk(2, SERIAL, partitions=2)]),
        "vss.volumes names E:, which may be on several EBS volumes: a dynamic disk or a storage pool",
    ),
    "a server that cannot say where its drives lie": (
        E_OUT, windows([replace(drive, serial=None) for drive in (C, D, E)]), "the server can't tell which of its",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("plan", "found", "words"), UNABLE.values(), ids=UNABLE)
def test_a_named_volume_that_can_have_no_shadow_copy_in_this_backup_keeps_vss_from_working(
    plan: Plan, found: Inventory, words: str
) -> None:
    decided = plan_shadow_copies(plan, found)
    assert decided.plan is None
    assert words in decided.obstacle


def test_where_no_disk_says_which_volume_it_is_the_volumes_that_are_not_named_are_noted() -> None:
    drives = [on_xen(drive, None) for drive in (C, D)]
    decided = plan_shadow_copies(a_whole_plan(2, settings=naming("D:")), windows(drives))
    assert decided.plan
    assert [v.path for v in decided.plan.volumes] == ["D:"]
    assert decided.notes == (
        "no shadow copy of C: (NTFS): vss.volumes does not name it, and it is as after a power failure",
    )
