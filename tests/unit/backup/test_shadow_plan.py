"""Which volumes get a shadow copy, or why none does: Plan knows it before anything is frozen."""

from typing import Any

import pytest

from quiesce.backup.shadow_plan import plan_shadow_copies
from quiesce.backup.state import Plan
from quiesce.guest.answers import Answer
from quiesce.guest.inventory import Inventory, inventory_of
from sandbox.windows.inventory import inventory, nvme_drives
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
    "drives left out": ({"drivesOmitted": 2}, "2 volumes did not fit"),
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
    change = with_drive("E", path="", fileSystem="FAT32")
    decided = plan_shadow_copies(a_whole_plan(3), an_inventory(change))
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


def test_shadow_storage_outside_of_the_backup_is_named_before_anything_is_frozen() -> None:
    drives = an_inventory(C=ROOT, D=DATA, E=OUT).drives
    storage = {
        "volumeGuid": drives[1].volume_guid,
        "storageGuid": drives[2].volume_guid.upper(),
        "usedBytes": 0,
        "allocatedBytes": 0,
        "maxBytes": None,
    }
    found = an_inventory({"shadowStorage": [storage]}, C=ROOT, D=DATA, E=OUT)
    decided = plan_shadow_copies(a_whole_plan(excluded=[an_exclusion(2)]), found)
    assert "the shadow storage of D: is on E:, which is not in the backup" in decided.notes
