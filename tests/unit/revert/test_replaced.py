"""Which blocks of a disk old data fills wholly, so that their parent's bytes need not be checked to be built on."""

from types import SimpleNamespace
from typing import Any

import pytest

from quiesce.disks.block_list import ALL_SECTORS
from quiesce.disks.child import Candidate, Part
from quiesce.disks.raw import BLOCK_BYTES
from quiesce.disks.view import Piece
from quiesce.disks.volsnap import BLOCK_BYTES as OLD
from quiesce.steps.revert.parts import is_replaced

MIB, BLOCK_OLD = 1 << 20, BLOCK_BYTES // OLD
FAR: Any = SimpleNamespace(start=MIB, length=64 * MIB)


def a_candidate(view: Any, numbers: range, index: int, **sectors: int) -> Candidate:
    """Return a block of the disk with whole old data, but for the numbers whose sectors are given."""
    return Candidate(index, [Part(view, n, [Piece(view, 0, sectors.get(f"of_{n}", ALL_SECTORS))]) for n in numbers])


def test_a_block_that_old_data_fills_is_replaced() -> None:
    assert is_replaced(a_candidate(FAR, range(2 * BLOCK_OLD, 3 * BLOCK_OLD), 4))


@pytest.mark.parametrize("start", [MIB + 512, MIB + OLD - 512, MIB + 63 * 512])
def test_on_a_volume_that_begins_anywhere_a_block_is_replaced_by_one_piece_more(start: int) -> None:
    view: Any = SimpleNamespace(start=start, length=64 * MIB)
    first = (4 * BLOCK_BYTES - start) // OLD
    assert is_replaced(a_candidate(view, range(first, first + BLOCK_OLD + 1), 4))
    assert not is_replaced(a_candidate(view, range(first, first + BLOCK_OLD), 4))
    assert not is_replaced(a_candidate(view, range(first + 1, first + BLOCK_OLD + 1), 4))


@pytest.mark.parametrize("missing", [0, 1, 31])
def test_a_block_of_which_a_sector_stays_is_not_replaced(missing: int) -> None:
    numbers = range(2 * BLOCK_OLD, 3 * BLOCK_OLD)
    sectors = {f"of_{numbers[missing]}": ALL_SECTORS & ~1}
    assert not is_replaced(a_candidate(FAR, numbers, 4, **sectors))


def test_a_block_that_goes_on_behind_its_volume_is_not_replaced() -> None:
    view: Any = SimpleNamespace(start=MIB, length=3 * BLOCK_BYTES - 512)
    assert not is_replaced(a_candidate(view, range(2 * BLOCK_OLD, 3 * BLOCK_OLD), 4))


def test_two_volumes_fill_a_block_together() -> None:
    first: Any = SimpleNamespace(start=MIB, length=3 * BLOCK_BYTES - OLD)
    second: Any = SimpleNamespace(start=MIB + first.length, length=MIB)
    parts = a_candidate(first, range(2 * BLOCK_OLD, 3 * BLOCK_OLD - 1), 4).parts
    assert not is_replaced(Candidate(4, parts))
    assert is_replaced(Candidate(4, [*parts, *a_candidate(second, range(1), 4).parts]))
