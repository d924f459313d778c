"""Run contract cases on the real guest, side by side, each worker with a PowerShell that its cases share."""

import queue
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from os import cpu_count
from pathlib import Path
from subprocess import SubprocessError
from typing import Self

from tests.guest import cases
from tests.guest.cases import Case, Json
from tests.guest.machine import MODULES, Limit, Machine, Sharing
from tests.guest.metadata import Metadata
from tests.guest.real_server import RealServer
from tests.guest.shared import PowerShellEndedError, SharedPowerShell, base_environment

# A case mostly waits, so more cases than cores run at once.
AT_ONCE = 2 * (cpu_count() or 1)
# What ends processes, or looks at them: the tasks of such a case have processes of their own.
ENDS_TASKS = {"kill", "reboot", "clone", "gone", "start", "hang"}
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
    return (case.sample and sample_apart) or case.alone or case.culture != Case.culture or language


def names_account(case: Case) -> bool:
    """Return whether a case's scripts run under another account than SYSTEM."""
    return any("Account" in (step.get("stage") or {}) for step in case.steps)


def sharing_of(case: Case, pair: tuple[SharedPowerShell, SharedPowerShell]) -> Sharing:
    """Return what a case may share of a worker's two PowerShells, that of verbs and that of tasks."""
    steps = {name for step in case.steps for name in step}
    verbs, tasks = pair
    # An account's process is told from others by its number.
    apart = names_account(case) or steps & ENDS_TASKS
    return Sharing(None if "together" in steps else verbs, None if apart else tasks)


class Runner:
    """Runs cases; its PowerShells live until the ``with`` block ends.

    ``alone``: no case shares one. ``sample_apart``: no case of the sample does.
    """

    def __init__(self, pwsh: str, *, alone: bool = False, sample_apart: bool = True) -> None:
        self.pwsh, self.alone, self.sample_apart = pwsh, alone, sample_apart
        self.metadata = Metadata()
        self.free: queue.LifoQueue[tuple[SharedPowerShell, SharedPowerShell]] = queue.LifoQueue()
        self.ended: list[str] = []
        """The cases in which a shared PowerShell has ended by itself, so that they ran again without one."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while not self.free.empty():
            for each in self.free.get():
                each.close()

    def run(self, job: Job, look: Callable[[Machine], None] = lambda _: None) -> tuple[Json, list[str]]:
        """Run one case on a machine of its own; return its record and problems. ``look`` gets the machine at the end.

        A case whose shared PowerShell has ended by itself runs again, in processes of its own.
        """
        if self.alone or is_alone(job.case, sample_apart=self.sample_apart):
            return self._run(job, Sharing(), look)
        with self._pair() as pair:
            result = self._run(job, sharing_of(job.case, pair), look)
            ended = any(each.ended for each in pair)
        if not ended:
            return result
        self.ended.append(job.case.name)
        return self._run(job, Sharing(), look)

    @contextmanager
    def _pair(self) -> Iterator[tuple[SharedPowerShell, SharedPowerShell]]:
        """Lend two PowerShells; they are used again unless something in them has not ended."""
        try:
            pair = self.free.get_nowait()
        except queue.Empty:
            environment = base_environment(MODULES)
            pair = SharedPowerShell(self.pwsh, environment), SharedPowerShell(self.pwsh, environment)
        yield pair
        if any(each.ended or each.running for each in pair):
            for each in pair:
                each.close()
        else:
            self.free.put(pair)

    def _run(self, job: Job, sharing: Sharing, look: Callable[[Machine], None]) -> tuple[Json, list[str]]:
        home = Path(tempfile.mkdtemp(prefix="machine-"))
        server = RealServer(job.case, home, job.texts, self.metadata, self.pwsh, sharing, Limit(job.limit_s))
        seen: list[str] = []
        try:
            record, wrong = cases.run(job.case, server, str(home), seen)
            return record, wrong + list(cases.differences(job.case.see_real, record["end"], "end"))
        # A guest that is broken on purpose may leave the steps without what they look for.
        except FAILURES as error:
            return None, [*seen, f"{type(error).__name__}: {error}"]
        finally:
            look(server.machine)
            server.close()

    def run_all(
        self, jobs: Iterable[Job], look: Callable[[Machine], None] = lambda _: None
    ) -> Iterator[tuple[Json, list[str]]]:
        """Run the jobs side by side, those that wait longest first; yield each one's record and problems, in order."""
        given = list(jobs)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            begun = {
                id(job): pool.submit(self.run, job, look) for job in sorted(given, key=lambda job: -job.case.takes_s)
            }
            yield from (begun[id(job)].result() for job in given)


def by_name(texts: Mapping[Path, str]) -> dict[str, str]:
    """Return the guest's texts by the names of their files, ``look``, ``act`` and ``quiesce``."""
    return {file.stem: text for file, text in texts.items()}


def found_pwsh() -> str | None:
    """Return the PowerShell on the PATH."""
    return shutil.which("pwsh")
