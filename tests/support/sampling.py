"""Long grids and random series: whole, unless a sample of them is asked for by a seed.

A test that is marked as a grid has one case for each call and fault, state and stop, or seed: dozens that differ in
one point. `make test` and `make check` run a tenth of them, 10 of a test at most, chosen by a seed that the summary
names, in `make check` by the commit; `make grids` runs all.
"""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

ONE_OF, AT_LEAST, AT_MOST = 10, 3, 10
COUNTS = pytest.StashKey[tuple[int, int]]()


def chosen(seed: str, test: str, cases: int) -> set[int]:
    """Return which cases of a test, by their places, belong to the sample: always the same for a seed."""
    wanted = min(cases, AT_MOST, max(AT_LEAST, -(-cases // ONE_OF)))
    return set(random.Random(f"{seed} {test}").sample(range(cases), wanted))


def left_out(seed: str, grids: Sequence[str]) -> set[str]:
    """Return which of the grids' cases, by their ids, are not in the sample."""
    by_test: dict[str, list[str]] = defaultdict(list)
    for case in grids:
        by_test[case.partition("[")[0]].append(case)
    return {
        case
        for test, cases in by_test.items()
        for place, case in enumerate(cases)
        if place not in chosen(seed, test, len(cases))
    }


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option: without it everything runs that is asked for."""
    parser.addoption("--sample", metavar="SEED", help="of long grids and random series, run a tenth chosen by SEED")


def pytest_configure(config: pytest.Config) -> None:
    """Register what looks after the sample."""
    if seed := config.getoption("--sample"):
        config.pluginmanager.register(Sample(seed), "sample")


@dataclass
class Sample:
    """The sample of one session; with several workers all choose the same."""

    seed: str

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leave out the cases that are not in the sample."""
        grids = [item.nodeid for item in items if item.get_closest_marker("grid")]
        not_chosen = left_out(self.seed, grids)
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in not_chosen])
        items[:] = [item for item in items if item.nodeid not in not_chosen]
        config.stash[COUNTS] = len(grids) - len(not_chosen), len(grids)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Tell the process that reports, if this is a worker."""
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["sample"] = session.config.stash[COUNTS]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over what a worker told."""
        node.config.stash[COUNTS] = getattr(node, "workeroutput", {}).get("sample", (0, 0))

    def pytest_terminal_summary(self, terminalreporter: Any, config: pytest.Config) -> None:
        """Say what ran of how many, by which seed, and how to run all."""
        ran, of = config.stash.get(COUNTS, (0, 0))
        terminalreporter.write_line(
            f"sample: {ran} of {of} cases of long grids and random series, seed {self.seed}"
            " (another: QUIESCE_SEED=... make test; all of them: make grids)"
        )
