"""Run contract cases on the real guest, side by side, in PowerShells that they share."""

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count
from pathlib import Path
from subprocess import SubprocessError
from typing import Self

from tests.guest import cases
from tests.guest.cases import Case, Json
from tests.guest.machine import MODULES, Limit, Machine
from tests.guest.metadata import Metadata
from tests.guest.real_server import RealServer
from tests.guest.shared import Pool, PowerShellEndedError

# A case mostly waits, so more cases than cores run at once.
AT_ONCE = 4 * (cpu_count() or 1)
CASE_LIMIT_S = 600
FAILURES = (AssertionError, PowerShellEndedError, SubprocessError, OSError, LookupError, TypeError, ValueError)


@dataclass(frozen=True)
class Job:
    """A case to run on a guest: its three ``texts`` by the names of their files."""

    case: Case
    texts: Mapping[str, str]
    limit_s: float = CASE_LIMIT_S


def is_alone(case: Case, *, sample_apart: bool = True) -> bool:
    """Return whether every process of a case is one of its own; so are the sample's, as on a server, if it is apart."""
    language = {"fault": "language"} in case.steps
    return (case.sample and sample_apart) or case.alone or language


def names_account(case: Case) -> bool:
    """Return whether a case's scripts run under another account than SYSTEM."""
    return any("Account" in (step.get("stage") or {}) for step in case.steps)


def mixed(jobs: Iterable[Job]) -> list[Job]:
    """Return the jobs with those that take longest first, two that work between two that wait."""
    given = list(jobs)
    wait = sorted((job for job in given if job.case.takes_s), key=lambda job: -job.case.takes_s)
    work = sorted((job for job in given if not job.case.takes_s), key=lambda job: not names_account(job.case))
    between = [each for number, job in enumerate(wait) for each in (job, *work[2 * number : 2 * number + 2])]
    return [*between, *work[2 * len(wait) :]]


class Runner:
    """Runs cases; its PowerShells live until the ``with`` block ends.

    ``alone``: no case shares one. ``sample_apart``: no case of the sample does.
    """

    def __init__(self, pwsh: str, *, alone: bool = False, sample_apart: bool = True) -> None:
        self.pwsh, self.alone, self.sample_apart = pwsh, alone, sample_apart
        self.metadata = Metadata()
        self.pools = {culture: Pool(pwsh, MODULES, culture) for culture in {case.culture for case in cases.load()}}
        self.ended: list[str] = []
        """The cases in which a shared PowerShell has ended by itself, so that they ran again without one."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for each in self.pools.values():
            each.close()

    def run(self, job: Job, look: Callable[[Machine], None] = lambda _: None) -> tuple[Json, list[str]]:
        """Run one case on a machine of its own; return its record and problems. ``look`` gets the machine at the end.

        A case whose shared PowerShell has ended by itself runs again, in processes of its own.
        """
        if self.alone or is_alone(job.case, sample_apart=self.sample_apart):
            return self._run(job, None, look)[:2]
        record, wrong, lost_shell = self._run(job, self.pools[job.case.culture], look)
        if not lost_shell:
            return record, wrong
        self.ended.append(job.case.name)
        return self._run(job, None, look)[:2]

    def _run(self, job: Job, pool: Pool | None, look: Callable[[Machine], None]) -> tuple[Json, list[str], bool]:
        """Return the case's record and problems, and whether a shared PowerShell has ended by itself."""
        home = Path(tempfile.mkdtemp(prefix="machine-"))
        server = RealServer(job.case, home, job.texts, self.metadata, self.pwsh, pool, Limit(job.limit_s))
        seen: list[str] = []
        try:
            record, wrong = cases.run(job.case, server, str(home), seen)
            wrong += cases.differences(job.case.see_real, record["end"], "end")
        # A guest that is broken on purpose may leave the steps without what they look for.
        except FAILURES as error:
            record, wrong = None, [*seen, f"{type(error).__name__}: {error}"]
        finally:
            look(server.machine)
            server.close()
        return record, wrong, server.machine.lost_shell

    def run_all(
        self, jobs: Iterable[Job], look: Callable[[Machine], None] = lambda _: None
    ) -> Iterator[tuple[Json, list[str]]]:
        """Run the jobs side by side; yield each one's record and problems, in the order in which they are given."""
        given = list(jobs)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            begun = {id(job): pool.submit(self.run, job, look) for job in mixed(given)}
            yield from (begun[id(job)].result() for job in given)


def by_name(texts: Mapping[Path, str]) -> dict[str, str]:
    """Return the guest's texts by the names of their files, ``look``, ``act`` and ``quiesce``."""
    return {file.stem: text for file, text in texts.items()}


def found_pwsh() -> str | None:
    """Return the PowerShell on the PATH."""
    return shutil.which("pwsh")
