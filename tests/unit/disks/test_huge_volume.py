"""Memory has a bound: 256 MiB for a volume of 64 TiB with a million entries in its lists."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is measured on Linux only")
PROJECT = Path(__file__).parents[3]


def measured(entries: int, tib: int) -> dict[str, float]:
    """Measure in a process of its own: a process keeps its peak."""
    command = [sys.executable, "-m", "tests.unit.disks.huge_volume", str(entries), str(tib)]
    environment = os.environ | {"PYTHONPATH": str(PROJECT / "src")}
    told = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=True)
    return json.loads(told.stdout)


def test_a_part_of_a_huge_volume_takes_its_part_of_the_memory() -> None:
    figures = measured(100_000, 6)
    # Old data that lies side by side is read at once: fewer blocks than are written, besides the parent's.
    assert figures["read"] > figures["written"] >= 100_000
    assert figures["peak_mib"] - figures["before_mib"] < 256 / 10 + 16


@pytest.mark.grid
def test_a_volume_of_64_tib_with_a_million_entries_takes_256_mib(pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("--sample"):
        pytest.skip("make grids runs it")
    assert measured(1_000_000, 64)["peak_mib"] < 256
