"""DiskShadow's files as the server makes them, for tests of how DiskShadow reads them."""

from collections.abc import Sequence

from quiesce.errors import ServerRefused
from quiesce.vss.script import FOLDER, FOLDER_MARK, GUID, LAST_LINE


def check_folder(folder: str) -> None:
    """Check that DiskShadow reads the name of a folder, absolute, as it is.

    Raises:
        ServerRefused: the name may have a character with a meaning to DiskShadow.
    """
    if not FOLDER.fullmatch(folder):
        problem = f"DiskShadow's files would lie in {folder!r}, and it may not read that name as it is"
        raise ServerRefused("folder", problem, "move ProgramData to a folder of plain letters, digits, '.', '_', '-'")


def script_file(lines: Sequence[str], folder: str) -> bytes:
    """Return the file that the server makes of a session's script: ASCII, every line ended by CR and LF.

    Raises:
        ServerRefused: a script cannot hold the name of the attempt's folder.
    """
    check_folder(folder)
    return _file(*(line.replace(FOLDER_MARK, folder) for line in lines))


def deletion_script(set_id: str) -> bytes:
    """Return the script that deletes one set of shadow copies, and no other.

    Raises:
        ServerRefused: this is not the id of a set.
    """
    if not GUID.fullmatch(set_id):
        raise ServerRefused(
            "shadow set", f"{set_id!r} is not an id", "delete its shadow copies with DiskShadow by hand"
        )
    return _file(f"delete shadows set {set_id}", LAST_LINE)


def _file(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")
