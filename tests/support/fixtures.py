"""pytest fixtures: one sandbox for all tests of a process, and a clean slate for each test."""

from collections.abc import Iterator

import pytest

from sandbox import Sandbox


@pytest.fixture(scope="session")
def running_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The sandbox, started once; state machines do not wait in it."""
    with Sandbox(tmp_path_factory.mktemp("sandbox"), wait_scale=0) as aws:
        yield aws


@pytest.fixture
def aws(running_sandbox: Sandbox) -> Iterator[Sandbox]:
    """The running sandbox without servers, snapshots, faults or decisions of an earlier test; stacks stay."""
    running_sandbox.reset()
    yield running_sandbox
    running_sandbox.reset()
