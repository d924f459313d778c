"""This interpreter as a Lambda runtime: its name, its architecture, and the packages that a function may import."""

import platform
import re
import sys
from importlib.metadata import Distribution, distribution
from pathlib import Path

RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
ARCHITECTURE = {"aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "x86_64")
IN_THE_MANAGED_RUNTIME = ("boto3", "awslambdaric")


def packages_needed_by(names: tuple[str, ...]) -> dict[str, Distribution]:
    """Return the named distributions and all that they require, as installed in this interpreter.

    Raises:
        importlib.metadata.PackageNotFoundError: one of them is not installed.
    """
    found: dict[str, Distribution] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name not in found:
            found[name] = distribution(name)
            waiting += [re.split(r"[^\w.-]", r)[0] for r in found[name].requires or [] if ";" not in r]
    return found


def make_runtime_folder(folder: Path) -> Path:
    """Fill a folder with links to what Lambda's managed runtime has installed, and to nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    for package in packages_needed_by(IN_THE_MANAGED_RUNTIME).values():
        for top in {file.parts[0] for file in package.files or [] if file.parts[0] not in {"..", "__pycache__"}}:
            link, target = folder / top, Path(str(package.locate_file(top))).resolve()
            if link.resolve() != target:
                link.unlink(missing_ok=True)
                link.symlink_to(target)
    return folder
