"""DiskShadow's files as the server makes them of what it is handed, for tests of what DiskShadow makes of them."""

from collections.abc import Sequence

from quiesce.errors import ServerRefused
from quiesce.vss.script import FOLDER, FOLDER_MARK, GUID, LAST_LINE


def check_folder(folder: str) -> None:
    """Check that DiskShadow reads the name of a folder, absolute, as it is.

    Raises:
        ServerRefused: there could be a letter in it that means something to DiskShadow; nothing was done.
    """
    if not FOLDER.fullmatch(folder):
        problem = f"DiskShadow's files would lie in {folder!r}, and it may not read that name as it is"
        raise ServerRefused("folder", problem, "move ProgramData to a folder of plain letters, digits, '.', '_', '-'")


def script_file(lines: Sequence[str], folder: str) -> bytes:
    """Return the file that the server makes of a session's script: ASCII, every line ended by CR and LF.

    Raises:
        ServerRefused: the attempt's folder has a name that could not stand in a script.
    """
    check_folder(folder)
    return _file(*(line.replace(FOLDER_MARK, folder) for line in lines))


def deletion_script(set_id: str) -> bytes:
    """Return the script that deletes one set of shadow copies, and nobody else's.

    Raises:
        ServerRefused: that is no set's id.
    """
    if not GUID.fullmatch(set_id):
        raise ServerRefused(
            "shadow set", f"{set_id!r} is not an id", "delete its shadow copies with DiskShadow by hand"
        )
    return _file(f"delete shadows set {set_id}", LAST_LINE)


def _file(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")
