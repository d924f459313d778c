"""The architecture page says what the code is: its generated parts are not stale."""

import re

import pytest

from tests.unit.test_layers import LAYERS as HELD
from tests.unit.test_layers import NAMES
from tools.architecture import LAYERS, PAGE, PARTS
from tools.marked_page import renewed


def test_the_page_is_what_the_code_says_now() -> None:
    assert renewed(PAGE.read_text(), PARTS) == PAGE.read_text(), "run: python -m tools.architecture"


def test_a_page_that_lacks_a_part_is_refused() -> None:
    with pytest.raises(ValueError, match="the page has the parts"):
        renewed("# Architecture\n", PARTS)


def test_the_page_has_the_layers_that_the_code_is_held_to() -> None:
    assert LAYERS == HELD


def test_every_module_that_the_page_names_is_there() -> None:
    """By the names in src/quiesce; the links' test looks at paths."""
    packages = "|".join(" ".join(LAYERS).split())
    named = set(re.findall(rf"`((?:{packages})(?:\.\w+)+)`", PAGE.read_text())) - {"backup.asl.yaml"}
    assert len(named) > 15
    assert named <= NAMES
