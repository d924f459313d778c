"""Which stack a command asks: by options, else by the environment, else by a file."""

from pathlib import Path

import pytest
from quiesce_cli.chosen import Chosen, choose
from quiesce_cli.troubles import USAGE, Usage

FILE = 'stack = "of-the-file"\nregion = "eu-north-1"\nprofile = "filed"\n'
NONE: dict[str, str | None] = {"stack": None, "region": None, "profile": None}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "quiesce.toml"
    path.write_text(FILE)
    return path


def test_an_option_wins_over_the_environment_and_that_over_the_file(file: Path) -> None:
    environment = {"QUIESCE_CONFIG": str(file), "QUIESCE_STACK": "of-the-environment", "AWS_REGION": "eu-west-1"}
    assert choose(NONE | {"stack": "typed"}, environment) == Chosen("typed", "eu-west-1", "filed")
    assert choose(NONE, environment) == Chosen("of-the-environment", "eu-west-1", "filed")
    assert choose(NONE, {"QUIESCE_CONFIG": str(file)}) == Chosen("of-the-file", "eu-north-1", "filed")


def test_without_anything_it_is_the_stack_that_make_deploy_makes(tmp_path: Path) -> None:
    empty = tmp_path / "empty.toml"
    empty.touch()
    assert choose(NONE, {"QUIESCE_CONFIG": str(empty)}) == Chosen("quiesce", None, None)


@pytest.mark.parametrize(
    ("own", "others"),
    [
        ({"QUIESCE_REGION": "eu-west-3"}, {"AWS_REGION": "a", "AWS_DEFAULT_REGION": "b"}),
        ({"AWS_REGION": "eu-west-3"}, {"AWS_DEFAULT_REGION": "b"}),
        ({"AWS_DEFAULT_REGION": "eu-west-3"}, {}),
    ],
)
def test_the_region_is_the_nearest_variables(own: dict[str, str], others: dict[str, str], file: Path) -> None:
    assert choose(NONE, {"QUIESCE_CONFIG": str(file), **others, **own}).region == "eu-west-3"


@pytest.mark.parametrize(
    ("text", "words"),
    [("stack = 7", "stack is not one of"), ("stck = 'a'", "stck is not one of"), ("= =", "can't be read")],
)
def test_a_file_that_is_none_is_refused_with_its_place(file: Path, text: str, words: str) -> None:
    file.write_text(text)
    with pytest.raises(Usage) as refused:
        choose(NONE, {"QUIESCE_CONFIG": str(file)})
    assert str(file) in refused.value.problem
    assert words in refused.value.problem
    assert refused.value.code == USAGE


def test_a_file_that_is_named_and_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Usage, match="does not exist: correct QUIESCE_CONFIG"):
        choose(NONE, {"QUIESCE_CONFIG": str(tmp_path / "no.toml")})
