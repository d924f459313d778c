"""What is said of each layout of disks, in the four ways that a policy may treat it (docs/reference/chapter.md)."""

import pytest

from tests.support.layouts import COPIED, LAYOUTS, has, said

NOTHING = ""
NONE = "VSS does nothing: no shadow copy can be made of "
UNNAMED = "vss.volumes does not name it, and it is as after a power failure"
SEVERAL = "which may be on several EBS volumes: a dynamic disk or a storage pool"
NO_DISK = "is no EBS volume of this server"
# By layout: the words if all volumes get shadow copies, if vss.volumes names it, and if it names C: and D: alone.
SAID: dict[str, tuple[str, str, str]] = {
    "NTFS with a letter": (COPIED, COPIED, f"no shadow copy of E: (NTFS) on xvdc: {UNNAMED}"),
    "NTFS in a folder (mount point)": (COPIED, COPIED, f"no shadow copy of D:\\Logs\\ (NTFS) on xvdc: {UNNAMED}"),
    "NTFS without letter or folder, nothing beside it": (COPIED, "", f"(NTFS, 102400 MiB) on xvdc: {UNNAMED}"),
    "a recovery, EFI or System Reserved partition beside C:": (
        "a shadow copy; no shadow copy of a volume without letter or folder (NTFS, 500 MiB) on /dev/sda1: without one",
        "folder (NTFS, 500 MiB) on /dev/sda1: " + UNNAMED,
        "folder (NTFS, 500 MiB) on /dev/sda1: " + UNNAMED,
    ),
    "ReFS": (f"{NONE}E: (ReFS)", f"{NONE}E: (ReFS)", f"no shadow copy of E: (ReFS) on xvdc: {UNNAMED}"),
    "ReFS without letter or folder": (
        f"{NONE}xvdc (a volume without letter or folder (ReFS",
        "",
        f"(ReFS, 102400 MiB) on xvdc: {UNNAMED}",
    ),
    "raw: no file system that Windows knows": (
        f"{NONE}E: (no file system known)",
        f"{NONE}E: (no file system known)",
        f"E: (no file system known) on xvdc: {UNNAMED}",
    ),
    "BitLocker, unlocked": (COPIED, COPIED, f"no shadow copy of E: (NTFS) on xvdc: {UNNAMED}"),
    "BitLocker, locked": (
        f"{NONE}E: (no file system known)",
        f"{NONE}E: (no file system known)",
        f"E: (no file system known) on xvdc: {UNNAMED}",
    ),
    "dynamic disk": (
        f"{NONE}xvdc (Windows shows no volume on its partitions (2)); E: may be there, on a dynamic disk or in a",
        f"VSS does nothing: vss.volumes names E:, {SEVERAL}",
        f"no shadow copy of xvdc: {UNNAMED}",
    ),
    "Storage Spaces": (
        f"{NONE}xvdc (Windows shows no disk for it); E: may be there, on a dynamic disk or in a storage pool",
        f"VSS does nothing: vss.volumes names E:, {SEVERAL}",
        f"no shadow copy of xvdc: {UNNAMED}",
    ),
    "offline disk": (f"{NONE}xvdc (its disk is offline)", "", f"no shadow copy of xvdc: {UNNAMED}"),
    "partitions of another system": (
        f"{NONE}xvdc (Windows shows no volume on its partitions (2))",
        "",
        f"no shadow copy of xvdc: {UNNAMED}",
    ),
    "no file system: no partition at all": (
        "no shadow copy of xvdc: no file system is on it",
        "",
        f"no shadow copy of xvdc: {UNNAMED}",
    ),
    "iSCSI disk": (
        f"Z: lies on a disk that {NO_DISK} (serial 0F00): it is in no backup",
        f"VSS does nothing: vss.volumes names Z:, which is on a disk that {NO_DISK}",
        f"Z: lies on a disk that {NO_DISK}",
    ),
    "instance store, on Nitro": (
        f"Z: lies on a disk that {NO_DISK} (serial AWS12345678ABCDEF01): it is in no backup",
        f"VSS does nothing: vss.volumes names Z:, which is on a disk that {NO_DISK}",
        f"Z: lies on a disk that {NO_DISK}",
    ),
    "instance store, on Xen": (
        f"Z: lies on a disk that {NO_DISK} (SCSI target 78): it is in no backup",
        f"VSS does nothing: vss.volumes names Z:, which is on a disk that {NO_DISK}",
        f"Z: lies on a disk that {NO_DISK}",
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_said_of_a_layout_where_all_volumes_get_shadow_copies(layout: str) -> None:
    words, told = SAID[layout][0], said(LAYOUTS[layout], "all")
    assert told == COPIED if words == COPIED else words in told
    assert (words.startswith(NONE)) is told.startswith("VSS does nothing"), told


@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if has(LAYOUTS[layout], "named")])
def test_what_is_said_of_a_layout_that_the_policy_names(layout: str) -> None:
    words, told = SAID[layout][1], said(LAYOUTS[layout], "named")
    assert words in told
    assert words.startswith("VSS does nothing") is told.startswith("VSS does nothing"), told


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_said_of_a_layout_that_the_policy_does_not_name(layout: str) -> None:
    told = said(LAYOUTS[layout], "unnamed")
    assert SAID[layout][2] in told
    assert "VSS does nothing" not in told, "it takes nothing away from the volumes that are named"


@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if has(LAYOUTS[layout], "excluded")])
def test_what_is_said_of_a_layout_that_the_policy_leaves_out_of_the_backup(layout: str) -> None:
    told = said(LAYOUTS[layout], "excluded")
    beside = "no shadow copy of a volume without letter or folder (NTFS, 500 MiB) on /dev/sda1: without one it is as"
    assert told.startswith(beside) if "beside C:" in layout else told == NOTHING


def test_each_layout_has_its_words() -> None:
    assert SAID.keys() == LAYOUTS.keys()
    assert all(bool(SAID[name][1]) is has(layout, "named") for name, layout in LAYOUTS.items())
