"""What one process runs together, and in which order: the long tests first, and one local AWS for all who need it."""

from collections.abc import Generator
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.support.fixtures import SANDBOX

# By level, those that take longest first: what is left for the end is short, and no process waits long for another.
ORDER = ("tests/e2e/test_demo", "tests/e2e", "tests/sandbox", "tests/statemachine", "tests/guest", "tests/functions")
DEMO, ON_ONE_AWS, BY_TEST = "tests/e2e/test_demo", ("tests/e2e/", "tests/sandbox/"), "tests/statemachine/"


def rank(nodeid: str) -> int:
    """Return when a test has its turn."""
    return next((place for place, start in enumerate(ORDER) if nodeid.startswith(start)), len(ORDER))


def unit_of(nodeid: str) -> str:
    """Return what one process runs together: all on one local AWS, all cases of a test, or all tests of a file."""
    if nodeid.startswith(DEMO):
        return nodeid
    if nodeid.startswith(ON_ONE_AWS):
        return "on one local AWS"
    return nodeid.partition("[")[0] if nodeid.startswith(BY_TEST) else nodeid.partition("::")[0]


class ByUnit(LoadScopeScheduling):
    """Units in the order in which their first tests were collected."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """Take one process more than there are cores: the one with the local AWS waits for most of its time."""
    return (yield) + 1


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests into the order of their levels."""
    items.sort(key=lambda item: rank(item.nodeid))


def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """End the sandbox after the last test on it: its threads and what it holds would slow down all that follow."""
    if nextitem and not nextitem.nodeid.startswith(ON_ONE_AWS):
        SANDBOX.close()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByUnit | None:
    """Distribute by unit, unless another way is asked for."""
    if config.getoption("dist") != "load":
        return None
    config.option.loadscopereorder = False
    return ByUnit(config, log)
