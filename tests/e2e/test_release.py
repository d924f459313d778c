"""A release as `make release` builds it, twice, by the real `sam build`; needs PyPI for the layer."""

import os
import re
import sys
from pathlib import Path
from zipfile import ZipFile

from sandbox.aws.interpreter import ARCHITECTURE, RUNTIME
from tools import release


def test_one_commit_makes_one_archive_with_all_that_its_template_names(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    monkeypatch.setenv("QUIESCE_RUNTIME", RUNTIME)
    monkeypatch.setenv("QUIESCE_ARCHITECTURE", ARCHITECTURE)
    archives = []
    for number in ("first", "second, in a folder of another name"):
        folder = tmp_path / number
        release.build("HEAD", folder)
        archives.append(tmp_path / number.partition(",")[0] / "quiesce.zip")
        archives[-1].parent.mkdir(exist_ok=True)
        release.pack(folder, archives[-1], 1_700_000_000)
    assert release.checksum(archives[0]) == release.checksum(archives[1])
    with ZipFile(archives[0]) as opened:
        opened.extractall(tmp_path / "unpacked")
    built = tmp_path / "unpacked" / "quiesce" / release.BUILT
    text = (built / "template.yaml").read_text()
    named = re.findall(r"^ +(?:CodeUri|ContentUri|DefinitionUri|Location): (\S+)$", text, re.MULTILINE)
    assert len(named) > 10
    assert [path for path in named if not (built / path).exists()] == []
    assert any((built / "SharedLayer").rglob("recover*.pyc"))
