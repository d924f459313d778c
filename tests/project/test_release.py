"""What refuses a release, and what an archive keeps of the files that it is packed from."""

import os
import subprocess
from zipfile import ZipFile

import pytest

from tools import release

CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n## [1.2.0] - 2026-11-28\n\n### Added\n\n- All of it.\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A repository with one commit that may be released."""
    monkeypatch.setattr(release, "ROOT", tmp_path)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "quiesce"\nversion = "1.2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    for command in (["init", "--quiet"], ["add", "."], [*identity, "commit", "--quiet", "--message", "all"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return tmp_path


@pytest.fixture
def folder(tmp_path):
    """What the packing looks for, as small as it can be."""
    for name in ("functions", "statemachine", "policies", "examples", "docs", "guest", release.BUILT, "src"):
        (tmp_path / "built" / name).mkdir(parents=True)
    files = ("functions/app.py", "guest/look.yaml", "guest/act.yaml", "guest/mend.yaml", "guest/document.py")
    for name in (*files, "samconfig.toml", "src/x.py", *release.PAGES, f"{release.BUILT}/template.yaml"):
        (tmp_path / "built" / name).write_text(name)
    return tmp_path / "built"


def test_a_version_with_a_dated_section_and_a_clean_tree_may_be_released():
    assert release.refusals("1.2.0", CHANGELOG, "") == []


@pytest.mark.parametrize(
    ("version", "changelog"),
    [
        ("1.2.1", CHANGELOG),
        ("1.2", CHANGELOG),
        ("1.2.0", CHANGELOG.replace("1.2.0", "1x2.0")),
        ("Unreleased", CHANGELOG),
        ("1.2.0", CHANGELOG.replace(" - 2026-11-28", "")),
    ],
)
def test_a_version_without_a_dated_section_is_refused(version, changelog):
    [reason] = release.refusals(version, changelog, "")
    assert f"'## [{version}] - YYYY-MM-DD'" in reason


@pytest.mark.parametrize("change", ["changed", "added"])
def test_a_working_tree_that_differs_from_the_commit_is_refused(project, change):
    changed = project / ("pyproject.toml" if change == "changed" else "new.py")
    with changed.open("a") as file:
        file.write("\n")
    with pytest.raises(SystemExit, match="No release: the working tree differs from the commit:\n") as refused:
        release.main()
    assert changed.name in str(refused.value)
    assert not (project / "dist").exists()


def test_every_reason_is_told_at_once(project):
    (project / "CHANGELOG.md").write_text("# Changelog\n")
    with pytest.raises(SystemExit) as refused:
        release.main()
    assert str(refused.value).count("No release: ") == 2


def test_an_archive_depends_on_names_and_bytes_alone(folder, tmp_path):
    """Not on the time, the umask or the order in which the files were written."""
    archive = tmp_path / "quiesce-1.2.0.zip"
    release.pack(folder, archive, 1_700_000_000)
    first = release.checksum(archive)
    for path in folder.rglob("*"):
        os.utime(path, (1, 1))
        if path.is_file():
            path.chmod(0o600)
    release.pack(folder, archive, 1_700_000_000)
    assert release.checksum(archive) == first
    (folder / "functions/app.py").write_text("another")
    release.pack(folder, archive, 1_700_000_000)
    assert release.checksum(archive) != first


def test_an_archive_holds_what_is_deployed_and_read_and_no_source(folder, tmp_path):
    release.pack(folder, tmp_path / "quiesce-1.2.0.zip", 1_700_000_000)
    with ZipFile(tmp_path / "quiesce-1.2.0.zip") as opened:
        names = set(opened.namelist())
    files = [
        "functions/app.py",
        "guest/look.yaml",
        "guest/act.yaml",
        "guest/mend.yaml",
        "samconfig.toml",
        f"{release.BUILT}/template.yaml",
    ]
    assert names == {f"quiesce-1.2.0/{name}" for name in (*files, *release.PAGES)}


def test_the_checksum_is_one_that_sha256sum_reads(tmp_path):
    (tmp_path / "quiesce-1.2.0.zip").write_bytes(b"all of it")
    (tmp_path / "SHA256SUMS").write_text(release.checksum(tmp_path / "quiesce-1.2.0.zip"))
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=tmp_path, check=True)
