"""The package of a run: what ``stage`` unpacks into the run's folder on the server.

It holds the session's own script, which guest/document.py makes, DiskShadow's script, the scripts from the bucket, and
where they run under another account than SYSTEM its name and the script of its task.
The command names its SHA-256, so a server runs nothing else.
"""

import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from quiesce.errors import PolicyRefused
from quiesce.guest.scripts import Script

SESSION_SCRIPT = Path(__file__).with_name("quiesce.ps1")
ACCOUNT_SCRIPT = Path(__file__).with_name("account.ps1")
SHADOW_SCRIPT, ACCOUNT_NAME = "shadow.txt", "account.txt"
# The server takes a package, and each file in it, up to 10 MiB.
MAX_SCRIPT_BYTES = 2 * 1024 * 1024
# Zip's first day: the same files are the same package, whenever Plan packs them.
EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Package:
    """A package, and the SHA-256 of its content in hexadecimal digits."""

    content: bytes

    @property
    def sha256(self) -> str:
        """The hash by which the server knows it."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True)
class OwnScripts:
    """The guest's own scripts of a package: the session's, and that of an account's task."""

    session: bytes
    account: bytes


def own_scripts() -> OwnScripts:
    """Return what guest/document.py has made."""
    return OwnScripts(SESSION_SCRIPT.read_bytes(), ACCOUNT_SCRIPT.read_bytes())


def pack(
    policy: str,
    scripts: Mapping[Script, bytes],
    shadow_script: Sequence[str] = (),
    *,
    account: str = "",
    ours: OwnScripts | None = None,
) -> Package:
    """Return the package of a run.

    Args:
        policy: its name, for the names of the scripts.
        scripts: those from the bucket, as they are; empty for scripts that lie on the server.
        shadow_script: DiskShadow's lines, with ``*`` for the attempt's folder; empty without VSS.
        account: under which the scripts run, as the policy names it; empty for SYSTEM.
        ours: other scripts than guest/document.py has made.

    Raises:
        PolicyRefused: a script is larger than 2 MiB.
    """
    for stage, content in scripts.items():
        if len(content) > MAX_SCRIPT_BYTES:
            problem = f"the {stage} script is larger than {MAX_SCRIPT_BYTES // 1024**2} MiB"
            remedy = "let it call a program that lies on the server, or keep it there (source: server)"
            raise PolicyRefused("scripts", problem, remedy)
    ours = ours or own_scripts()
    files = {SESSION_SCRIPT.name: ours.session}
    if account:
        files |= {ACCOUNT_SCRIPT.name: ours.account, ACCOUNT_NAME: account.encode("ascii")}
    files |= {f"{stage}_{policy}.ps1": content for stage, content in scripts.items()}
    if shadow_script:
        files[SHADOW_SCRIPT] = "".join(f"{line}\r\n" for line in shadow_script).encode("ascii")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name, EPOCH), content, zipfile.ZIP_DEFLATED)
    return Package(packed.getvalue())
