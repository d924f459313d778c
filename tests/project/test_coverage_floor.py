"""The floor of coverage falls for no change and rises with each gain of a point."""

import pytest

from tools.coverage_floor import complaint


@pytest.mark.parametrize(("measured", "floor"), [(98.0, 98), (98.99, 98), (98.5, 98.5), (100.0, 100), (100.0, 99.5)])
def test_coverage_within_a_point_above_its_floor_is_well(measured: float, floor: float) -> None:
    assert complaint(measured, floor) == ""


@pytest.mark.parametrize(("measured", "floor"), [(97.99, 98), (0.0, 1), (99.9, 100)])
def test_coverage_below_its_floor_is_told(measured: float, floor: float) -> None:
    assert f"below the floor of {floor:g} %" in complaint(measured, floor)


@pytest.mark.parametrize(("measured", "floor", "raised"), [(99.0, 98, 99), (99.7, 97.5, 99), (100.0, 99, 100)])
def test_a_point_gained_asks_for_a_higher_floor(measured: float, floor: float, raised: int) -> None:
    assert complaint(measured, floor).endswith(f"raise fail_under in pyproject.toml to {raised}.")
    assert complaint(measured, raised) == ""
