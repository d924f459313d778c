"""What all tests share: moto before any client, the functions on an environment of their own, no network."""

import gc
import os
import socket
import sys
from importlib import import_module
from pathlib import Path
from unittest.mock import patch

import moto  # noqa: F401 - a client built before this import would talk to AWS
import pytest

from tests.support import shortcuts, tracing
from tests.support.environment import ENVIRONMENT

pytest_plugins = [
    "tests.support.fixtures",
    "tests.support.in_process",
    "tests.support.sampling",
    "tests.support.scheduling",
]

STEPS = (
    "plan",
    "freeze",
    "snapshot",
    "snapshot_by_aws",
    "thaw",
    "await_snapshots",
    "verify",
    "complete",
    "make_image",
    "report",
    "sweep",
    "revert",
    "recover",
    "retention",
    "doctor",
    "mend",
    "resolve",
    "summarize",
    "schedule",
    "page",
    "posture",
)
# These start processes and servers of their own, which need the machine's environment.
WITH_PROCESSES = {"sandbox", "e2e", "guest"}
LOOPBACK = ("127.", "::1", "localhost")

# All that is imported and collected stays: the garbage collector need not look through it again and again.
gc.disable()
shortcuts.install()
tracing.install()
# The functions read their settings and build their clients at import, as on Lambda.
with patch.dict(os.environ, ENVIRONMENT, clear=True):
    for step in STEPS:
        import_module(f"functions.{step}.app")


def pytest_collection_finish():
    """Let the garbage collector look after what the tests make, and after nothing that was there before.

    MiniStack reads the account's number from the environment when it is imported, which a sandbox sets first.
    """
    if any(name.partition(".")[0] == "ministack" for name in sys.modules):
        raise pytest.UsageError("a test's module imports ministack: import it inside the test, or in a fixture")
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def environment(request, monkeypatch):
    """Give in-process tests the functions' environment instead of this machine's."""
    level = request.path.relative_to(Path(__file__).parent).parts[0]
    if level in WITH_PROCESSES:
        yield
        return
    with patch.dict(os.environ, ENVIRONMENT, clear=True):
        yield


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch):
    """Refuse every connection to another machine."""
    connect = socket.socket.connect

    def guarded(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and not str(address[0]).startswith(LOOPBACK):
            raise AssertionError(f"a test tried to connect to {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
