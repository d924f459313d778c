"""The server's inventory: which drives are on which EBS volumes, and the notes that a person should see."""

import pytest

from quiesce.backup.drives import remarks, with_drives
from quiesce.errors import AnswerUnreadable, GuestRefused
from quiesce.guest.answers import Answer
from quiesce.guest.inventory import inventory_of
from quiesce.points.parts import Excluded
from sandbox.windows.inventory import POOL, Disk, Drive, disks_of, inventory, nvme_drives, volume_guid
from tests.support.factories.run import a_volume

ROOT_ID, DATA_ID = "vol-0aaaaaaaaaaaaaaaa", "vol-0bbbbbbbbbbbbbbbb"
VSS_FIELDS = {"programData": "C:\\ProgramData", "shadowStorage": []}


def an_inventory(*drives, **changes):
    answer = Answer(
        quiesce=1, verb="inventory", run="r", attempt="1", ok=True, inventory=inventory(drives) | VSS_FIELDS | changes
    )
    return inventory_of(answer)


def the_volumes():
    return [a_volume(volume_id=ROOT_ID, root=True), a_volume(volume_id=DATA_ID, device="xvdf")]


def on_nitro(**volumes):
    return nvme_drives({f"{letter}:": volume_id for letter, volume_id in volumes.items()})


def test_a_volume_gets_the_drives_that_lie_on_it():
    hidden = Drive("", volume_guid("hidden"), 0, on_nitro(C=ROOT_ID)[0].serial)
    found = an_inventory(*on_nitro(C=ROOT_ID, D=DATA_ID), hidden)
    drives = {v.volume_id: v.drives for v in with_drives(the_volumes(), found)}
    assert drives == {ROOT_ID: ["C:", volume_guid("hidden")], DATA_ID: ["D:"]}


@pytest.mark.parametrize(
    ("serial", "volume_id"),
    [
        ("vol0aaaaaaaaaaaaaaaa_00000001.", ROOT_ID),
        ("vol0aaaaaaaaaaaaaaaa", ROOT_ID),
        (" vol0aaaaaaaaaaaaaaaa_00000001. ", ROOT_ID),
        ("vol12345678", "vol-12345678"),
        ("AWS12345678ABCDEF01", None),
        ("vol0aaa", None),
        ("", None),
        (None, None),
    ],
)
def test_a_disk_says_which_volume_it_is_or_nothing_is_guessed(serial, volume_id):
    [drive] = an_inventory(Drive("D:", volume_guid("d"), 1, serial)).drives
    assert drive.volume_id == volume_id


def test_a_drive_on_no_volume_of_the_server_is_in_no_backup():
    found = an_inventory(*on_nitro(C=ROOT_ID), Drive("Z:", volume_guid("z"), 5, "AWS12345678ABCDEF01"))
    [remark] = remarks(the_volumes(), [], found)
    assert remark.startswith("Z: lies on a disk that is no EBS volume of this server (serial AWS12345678ABCDEF01)")


def test_a_drive_of_a_storage_pool_whose_disks_windows_hides_is_not_said_to_be_in_no_backup():
    pooled = Drive("D:", volume_guid("d"), 7, "{5f3a}")
    disks = [*disks_of(on_nitro(C=ROOT_ID)), Disk(7, "{5f3a}", POOL)]
    found = an_inventory(*on_nitro(C=ROOT_ID), pooled, disks=[disk.listed() for disk in disks])
    assert remarks(the_volumes(), [], found) == []
    assert remarks(the_volumes(), [], an_inventory(*on_nitro(C=ROOT_ID), pooled, disks=[])) == []
    # Without the bus: in a pool only if the pool may hide an EBS volume.
    assert len(remarks([a_volume(volume_id=ROOT_ID)], [], an_inventory(*on_nitro(C=ROOT_ID), pooled, disks=[]))) == 1


def test_a_drive_of_a_dynamic_disk_is_not_said_to_be_in_no_backup():
    dynamic = Drive("D:", volume_guid("d"), None, None, scsi_target=None)
    assert remarks(the_volumes(), [], an_inventory(*on_nitro(C=ROOT_ID), dynamic)) == []


def test_an_instance_store_volume_on_xen_is_in_no_backup():
    drives = [Drive(f"{c}:", volume_guid(c), n, None, scsi_target=t) for n, (c, t) in enumerate([("C", 0), ("Z", 78)])]
    [remark] = remarks(the_volumes(), [], an_inventory(*drives))
    assert remark == "Z: lies on a disk that is no EBS volume of this server (SCSI target 78): it is in no backup"


def test_a_drive_on_an_excluded_volume_is_known():
    excluded = [Excluded(volume_id=DATA_ID, device="xvdf", root=False, reason="volumes.exclude: xvdf")]
    assert remarks([a_volume(volume_id=ROOT_ID)], excluded, an_inventory(*on_nitro(C=ROOT_ID, D=DATA_ID))) == []


def test_where_no_disk_says_which_volume_it_is_none_is_called_foreign():
    on_xen = [Drive("C:", volume_guid("c"), 0, "0001"), Drive("D:", volume_guid("d"), 1, None)]
    assert remarks(the_volumes(), [], an_inventory(*on_xen)) == []


def test_a_server_that_refuses_has_its_words():
    with pytest.raises(GuestRefused, match="ForeignServer"):
        inventory_of(Answer(quiesce=1, ok=False, error="ForeignServer: this is i-1"))


@pytest.mark.parametrize("change", [{"drives": None}, {"windows": {}}, {"extra": 1}, {"disks": "many"}])
def test_an_inventory_that_the_guest_does_not_write_is_unreadable(change):
    with pytest.raises(AnswerUnreadable, match="is not what"):
        an_inventory(**change)
    with pytest.raises(AnswerUnreadable):
        inventory_of(Answer(quiesce=1, ok=True))
