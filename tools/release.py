"""Build a release: one archive that `sam deploy` takes as it is, and its checksum, in dist/.

It holds what the commit holds, not the working tree, and nothing of the machine that built it:
the same commit and the same Python give the same checksum.
"""

import hashlib
import io
import os
import re
import subprocess
import sys
import tarfile
import time
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZIP_STORED, ZipFile, ZipInfo

ROOT = Path(__file__).resolve().parents[1]
BUILT = ".aws-sam/build"
# Beside the built template: the files that it names, the settings of `sam deploy`, and what an administrator reads.
CONTENTS = (
    *(BUILT, "functions", "statemachine", "resources.yaml", "outputs.yaml", "rights", "guest/look.yaml"),
    *("guest/act.yaml", "guest/mend.yaml", "samconfig.toml"),
    *("policies", "examples", "docs"),
)
PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE")


def refusals(version: str, changelog: str, changes: str) -> list[str]:
    """Say why this version must not be built from this tree; an empty list allows it.

    Args:
        version: as pyproject.toml has it.
        changelog: the text of CHANGELOG.md.
        changes: what `git status --porcelain` prints.
    """
    reasons = []
    if not re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE):
        reasons.append(f"CHANGELOG.md has no section '## [{version}] - YYYY-MM-DD' for the version in pyproject.toml")
    if changes:
        reasons.append(f"the working tree differs from the commit:\n{changes.rstrip()}")
    return reasons


def build(commit: str, folder: Path) -> None:
    """Put the commit's files into a folder and run `sam build` there.

    Raises:
        SystemExit: the layer got no bytecode, since the functions' Python is not on the PATH.
    """
    with tarfile.open(fileobj=io.BytesIO(_git("archive", commit))) as files:
        # Python 3.11.4 is the first that has filters; what git has packed is ours.
        files.extraction_filter = getattr(tarfile, "data_filter", None)
        files.extractall(folder)
    # Some compiled constants are sets, and their order follows the hash seed.
    subprocess.run(["sam", "build"], cwd=folder, env={**os.environ, "PYTHONHASHSEED": "0"}, check=True)
    if not any((folder / BUILT).rglob("*.pyc")):
        sys.exit("No release: the layer has no bytecode. Put the Python of the template's Runtime on the PATH.")


def pack(folder: Path, archive: Path, committed_s: int) -> None:
    """Write the contents of a built folder into an archive, under the archive's own name.

    Args:
        folder: what ``build`` made.
        archive: the file to write.
        committed_s: the commit's time, in seconds since 1970; every file gets it.
    """
    starts = [folder / name for name in (*CONTENTS, *PAGES)]
    files = {path for start in starts for path in ([start] if start.is_file() else start.rglob("*")) if path.is_file()}
    # Stored, not compressed: another version of zlib would make other bytes.
    with ZipFile(archive, "w", ZIP_STORED) as opened:
        for path in sorted(files):
            name = f"{archive.stem}/{path.relative_to(folder).as_posix()}"
            entry = ZipInfo(name, time.gmtime(committed_s)[:6])
            entry.create_system = 3  # Unix, also where Windows builds
            entry.external_attr = (0o100755 if path.stat().st_mode & 0o100 else 0o100644) << 16
            opened.writestr(entry, path.read_bytes())


def checksum(archive: Path) -> str:
    """Return a line that `sha256sum --check` reads."""
    return f"{hashlib.sha256(archive.read_bytes()).hexdigest()}  {archive.name}\n"


def main() -> None:
    """Build dist/quiesce-<version>.zip and dist/SHA256SUMS from HEAD, or say why not."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    changes = _git("status", "--porcelain").decode()
    reasons = refusals(version, (ROOT / "CHANGELOG.md").read_text(), changes)
    if reasons:
        sys.exit("No release: " + "\nNo release: ".join(reasons))
    archive = ROOT / "dist" / f"quiesce-{version}.zip"
    archive.parent.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder:
        build("HEAD", Path(folder))
        pack(Path(folder), archive, int(_git("show", "--no-patch", "--format=%ct", "HEAD")))
    (archive.parent / "SHA256SUMS").write_text(checksum(archive))
    sys.stdout.write(checksum(archive))


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True).stdout


if __name__ == "__main__":
    main()
