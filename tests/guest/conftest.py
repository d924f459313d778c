"""What several files of these tests need."""

import shutil

import pytest


@pytest.fixture(scope="session")
def pwsh() -> str:
    """The real PowerShell; where there is none, `.ci/run`'s machine has one."""
    found = shutil.which("pwsh")
    if found is None:
        pytest.skip("no pwsh on the PATH")
    return found
