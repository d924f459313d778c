"""CI runs the command that people run, on every Python and processor that the project says it supports."""

import re
import tomllib
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.support.project import ROOT, template


def loaded(name: str) -> Any:
    return YAML(typ="safe", pure=True).load((ROOT / name).read_text())


WORKFLOW = loaded(".github/workflows/ci.yml")
JOB = WORKFLOW["jobs"]["check"]
STEPS = JOB["steps"]
PYTHONS = JOB["strategy"]["matrix"]["python"]
OLDEST = min(PYTHONS, key=lambda python: int(python.partition(".")[2]))
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MAKEFILE = (ROOT / "Makefile").read_text()


def test_ci_runs_make_check_and_nothing_else() -> None:
    assert [step["run"] for step in STEPS if "run" in step] == ["make check"]
    assert (ROOT / ".ci/run").read_text().splitlines()[-2:] == ["make check", 'echo "$compared"']


def test_make_check_scans_the_template_and_compares_rights() -> None:
    prerequisites = re.findall(r"^(check|lint|scan): ([^#\n]*)", MAKEFILE, re.MULTILINE)
    assert {"lint", "scan"} <= set(dict(prerequisites)["check"].split())
    recipes = dict(re.findall(r"^(lint|scan):.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE))
    assert "\t@python -m tools.rights\n" in recipes["lint"]
    assert "checkov --config-file tools/checkov/config.yaml" in recipes["scan"]


def test_ci_runs_on_each_python_and_processor_of_the_functions() -> None:
    parameters = template()["Parameters"]
    assert [f"python{python}" for python in PYTHONS] == parameters["Runtime"]["AllowedValues"]
    assert JOB["strategy"]["matrix"]["architecture"] == parameters["Architecture"]["AllowedValues"]
    [setup] = [step for step in STEPS if step.get("uses", "").startswith("actions/setup-python@")]
    assert setup["with"]["python-version"] == "${{ matrix.python }}"
    assert "matrix.architecture == 'arm64' && 'ubuntu-24.04-arm'" in JOB["runs-on"]


def test_the_oldest_python_of_ci_is_the_oldest_that_the_project_takes() -> None:
    assert PYPROJECT["project"]["requires-python"] == f">={OLDEST}"
    assert PYPROJECT["tool"]["mypy"]["python_version"] == OLDEST
    assert PYPROJECT["tool"]["ruff"]["target-version"] == f"py{OLDEST.replace('.', '')}"
    assert f"sys.version_info >= ({OLDEST.replace('.', ', ')})" in MAKEFILE


def test_a_job_may_read_the_repository_and_nothing_else() -> None:
    assert WORKFLOW["permissions"] == {}
    assert [job["permissions"] for job in WORKFLOW["jobs"].values()] == [{"contents": "read"}]


@pytest.mark.parametrize("line", re.findall(r"uses: .*", (ROOT / ".github/workflows/ci.yml").read_text()))
def test_an_action_is_pinned_by_its_commit_and_names_its_version(line: str) -> None:
    assert re.fullmatch(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)


def test_pre_commit_runs_targets_of_the_makefile() -> None:
    hooks = [hook for repository in loaded(".pre-commit-config.yaml")["repos"] for hook in repository["hooks"]]
    assert hooks
    for hook in hooks:
        make, target = hook["entry"].split()
        assert make == "make"
        assert f"\n{target}: " in MAKEFILE
