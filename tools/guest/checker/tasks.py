"""The definitions of the guest's tasks, as the guest writes them."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from tools.guest.checker.powershell import run_script

REGISTER = Path(__file__).with_name("register_tasks.ps1")


def task_definitions(guest: Path) -> Mapping[str, bytes]:
    """Return the bytes of each definition that the guest passes to schtasks.exe, by the task's mode.

    Raises:
        PowerShellMissingError: there is no ``pwsh`` on the PATH.
        CalledProcessError: the guest's functions failed, or lack one that ``register_tasks.ps1`` calls.
    """
    with tempfile.TemporaryDirectory() as folder:
        run_script(REGISTER, "-Guest", guest.absolute(), "-Folder", folder)
        return {file.stem: file.read_bytes() for file in Path(folder).glob("*.xml")}
