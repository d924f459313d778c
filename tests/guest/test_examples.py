"""The scripts of examples/ run in PowerShell, with programs and services that stand for those of the applications."""

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.guest.machine import Limit
from tests.guest.test_judging import judged
from tools.guest.checker import findings

EXAMPLES = Path(__file__).parents[2] / "examples" / "scripts"
APPLICATIONS = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())
# Which scripts an example has: the three, or a session script, which is before and after, and complete.
FORMS = (["after", "before", "complete"], ["complete", "session"])
# What the checker asks of the guest alone, or looks up in lists of what the guest uses.
OF_THE_GUEST = {"process-start", "strict-mode", "script-parameters", "member", "command", "type", "call", "here-string"}
# A program that writes down how it is called, prints what the file beside it has, and ends with the code there.
PROGRAM = """#!/bin/sh
printf '%s\\n' "$(basename "$0") $*" >>"{home}/calls"
cat "{home}/$(basename "$0").prints" 2>/dev/null
exit "$(cat "{home}/$(basename "$0").ends" 2>/dev/null || echo 0)"
"""
# A client that reads statements from a pipe as mysql does, answers to the one that asks, and knows what it is told.
CLIENT = """#!/bin/sh
printf '%s\\n' "mysql $*" >>"{home}/calls"
while read -r line; do
    printf '%s\\n' "$line" >>"{home}/calls"
    case "$line" in
        *LOCK*) if [ -e "{home}/refuses" ]; then exit 1; fi ;;
        *held*) echo held ;;
    esac
    if [ -e "{home}/breaks" ]; then exit 1; fi
done
echo end >>"{home}/calls"
exit "$(cat "{home}/mysql.ends" 2>/dev/null || echo 0)"
"""
# Windows' commands for services, which PowerShell does not have on Linux: a file for each service has its status.
SERVICES = """
function Get-Service { [CmdletBinding()] param([Parameter(Mandatory)][string]$Name)
    $status = Get-Content -LiteralPath "$env:SERVICES/$Name" -ErrorAction Stop
    $service = [pscustomobject]@{ Name = $Name; Status = $status }
    $service | Add-Member -MemberType ScriptMethod -Name WaitForStatus -Value { param($Wanted, [timespan]$Longest)
        if ((Get-Content -LiteralPath "$env:SERVICES/$($this.Name)") -ne $Wanted) { throw 'Time out has expired' }
    } -PassThru
}
function Stop-Service { [CmdletBinding()] param([Parameter(Mandatory)][string]$Name, [switch]$NoWait)
    if (-not (Test-Path "$env:SERVICES/hangs")) { Set-Content -LiteralPath "$env:SERVICES/$Name" 'Stopped' }
}
function Start-Service { [CmdletBinding()] param([Parameter(Mandatory)][string]$Name)
    if (Test-Path "$env:SERVICES/refuses") { throw 'cannot be started' }
    Set-Content -LiteralPath "$env:SERVICES/$Name" 'Running'
}
"""


@dataclass
class Application:
    """One application's scripts in a folder of their own, as on a server, and what they find there."""

    pwsh: str
    home: Path
    name: str

    def run(self, stage: str, argument: str = "") -> int:
        """Run a script as the guest does, and return its exit code."""
        return self.start(stage, argument).wait(60)

    def start(self, stage: str, argument: str = "") -> subprocess.Popen[bytes]:
        """Start a script as the guest does."""
        [script] = (self.home / "scripts").glob(f"{stage}_*.ps1")
        command = [self.pwsh, "-NoProfile", "-NonInteractive", "-File", script, *([argument] if argument else [])]
        environment = os.environ | {
            "PATH": f"{self.home / 'bin'}:{os.environ['PATH']}",
            "PSModulePath": str(self.home / "modules"),
            "SERVICES": str(self.home / "services"),
            "QUIESCE_FROZEN": str(self.frozen),
            "QUIESCE_THAW": str(self.home / "thaw"),
        }
        return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    @property
    def frozen(self) -> Path:
        """The file by which a session script says that it holds."""
        return self.home / "frozen"

    def holding(self) -> subprocess.Popen[bytes]:
        """Start the session script, and wait until it holds."""
        process = self.start("session")
        Limit(60).wait_for(lambda: self.frozen.exists() or process.poll() is not None, "the session script holds")
        return process

    def service(self, name: str, status: str) -> None:
        """Give a service a status."""
        (self.home / "services" / name).write_text(status)

    def status(self, name: str) -> str:
        """Return the status of a service."""
        return (self.home / "services" / name).read_text().strip()

    def program(self, name: str, *, prints: str = "", ends: int = 0) -> None:
        """Let a program print this, and end with this code."""
        (self.home / f"{name}.prints").write_text(prints)
        (self.home / f"{name}.ends").write_text(str(ends))

    @property
    def calls(self) -> str:
        """Return how programs were called, and forget it."""
        file = self.home / "calls"
        text = file.read_text() if file.exists() else ""
        file.unlink(missing_ok=True)
        return text

    @property
    def marks(self) -> list[str]:
        """Return what the scripts have left in their folder."""
        return sorted(path.name for path in (self.home / "scripts").iterdir() if path.suffix != ".ps1")


@pytest.fixture
def application(request: pytest.FixtureRequest, pwsh: str, tmp_path: Path) -> Application:
    """The application that the test's parameter names."""
    for folder in ("bin", "services", "modules/Services", "LogBackups"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copytree(EXAMPLES / request.param, tmp_path / "scripts")
    for script in (tmp_path / "scripts").iterdir():
        script.write_text(script.read_text("ascii").replace(r"D:\LogBackups", str(tmp_path / "LogBackups")))
    (tmp_path / "modules" / "Services" / "Services.psm1").write_text(SERVICES)
    for name in ("sqlcmd", "mysql", "psql"):
        text = CLIENT if request.param == "mysql-session" else PROGRAM
        (tmp_path / "bin" / name).write_text(text.format(home=tmp_path))
        (tmp_path / "bin" / name).chmod(0o755)
    return Application(pwsh, tmp_path, request.param)


def _is_client(process: Path, home: Path) -> bool:
    try:
        return str(home / "bin" / "mysql").encode() in (process / "cmdline").read_bytes()
    except OSError:
        return False  # it has ended


def of(name: str) -> pytest.MarkDecorator:
    """Say whose scripts a test runs."""
    return pytest.mark.parametrize("application", [name], indirect=True)


def test_each_application_has_all_the_scripts_for_one_policy() -> None:
    for name in APPLICATIONS:
        stages, policies = zip(*(path.stem.split("_") for path in (EXAMPLES / name).iterdir()), strict=True)
        assert sorted(stages) in FORMS
        assert len(set(policies)) == 1


def test_stage_would_take_each_of_them(pwsh: str, tmp_path: Path) -> None:
    scripts = sorted(EXAMPLES.rglob("*.ps1"))
    verdicts = dict(zip(scripts, judged(pwsh, tmp_path, scripts), strict=True))
    assert len(verdicts) == 3 * (len(APPLICATIONS) + 1) - 1, "one has a session script in place of two"
    assert all(verdict[path.stem.startswith(("after", "complete"))] == ["", ""] for path, verdict in verdicts.items())


def test_windows_powershell_reads_them_as_the_one_that_runs_the_tests(pwsh: str) -> None:
    assert pwsh
    found = findings(sorted(EXAMPLES.rglob("*.ps1")))
    assert [
        (path.name, each) for path, all_of in found.items() for each in all_of if each.rule not in OF_THE_GUEST
    ] == []


# ---- SQL Server ------------------------------------------------------------------------------------------------------


@of("sql-server")
def test_sql_servers_before_fails_where_vss_could_not_ask_it(application: Application) -> None:
    application.service("MSSQLSERVER", "Running")
    assert application.run("before") != 0, "there is no writer's service"
    application.service("SQLWriter", "Stopped")
    assert application.run("before") == 1
    application.service("SQLWriter", "Running")
    assert application.run("before") == application.run("after", "1") == 0


@pytest.mark.chapter("6.4.4 truncation")
@of("sql-server")
def test_sql_servers_logs_are_backed_up_after_a_good_backup_alone(application: Application, tmp_path: Path) -> None:
    assert application.run("complete", "0") == 0
    assert application.calls == "", "the logs stay"
    assert application.run("complete", "1") == 0
    calls = application.calls
    assert calls.startswith("sqlcmd -S . -E -b -r 1 -Q SET NOCOUNT ON;")
    assert "BACKUP LOG @name TO DISK = @file WITH CHECKSUM;" in calls
    assert f"N'{tmp_path / 'LogBackups'}\\'" in calls
    application.program("sqlcmd", ends=1)
    assert application.run("complete", "1") == 1
    (tmp_path / "LogBackups").rmdir()
    assert application.calls
    assert application.run("complete", "1") == 1
    assert application.calls == "", "nothing is asked for that could not be written"


# ---- Exchange --------------------------------------------------------------------------------------------------------


@of("exchange")
def test_exchange_is_looked_at_and_nothing_is_done_to_it(application: Application) -> None:
    application.service("MSExchangeIS", "Running")
    application.service("MSExchangeRepl", "Stopped")
    assert application.run("before") == 1
    application.service("MSExchangeRepl", "Running")
    assert application.run("before") == application.run("after", "1") == application.run("complete", "1") == 0
    application.service("MSExchangeIS", "Stopped")
    assert (application.run("complete", "1"), application.run("complete", "0")) == (1, 0)
    assert (application.calls, application.status("MSExchangeRepl")) == ("", "Running")


# ---- MySQL -----------------------------------------------------------------------------------------------------------


@of("mysql")
def test_mysql_takes_no_writes_between_before_and_after(application: Application) -> None:
    application.program("mysql", prints="0\n")
    assert application.run("before") == 0
    asked, held = application.calls.splitlines()
    assert asked.endswith("--batch --skip-column-names --execute=SELECT @@GLOBAL.read_only")
    assert held.endswith("SET GLOBAL super_read_only = ON; FLUSH LOCAL TABLES")
    assert application.marks == ["mysql-held-by-backup"]
    application.program("mysql", ends=1)
    assert application.run("after", "1") == 1
    assert application.marks == ["mysql-held-by-backup"], "another after has to try again"
    application.program("mysql")
    assert application.run("after", "0") == 0
    assert application.calls.splitlines()[-1].endswith("--execute=SET GLOBAL read_only = OFF")
    assert application.marks == []
    assert application.run("complete", "1") == 0


@of("mysql")
def test_mysql_that_was_read_only_before_stays_so(application: Application) -> None:
    application.program("mysql", prints="1\n")
    assert application.run("before") == 0
    assert application.marks == []
    assert application.calls.count("\n") == 1
    assert application.run("after", "1") == 0
    assert application.calls == "", "an after whose before held nothing does no harm"


@of("mysql")
def test_mysql_that_cannot_be_asked_is_not_held(application: Application) -> None:
    application.program("mysql", ends=1)
    assert application.run("before") == 1
    assert application.marks == []


@of("mysql-session")
def test_one_connection_to_mysql_has_the_lock_until_the_thaw(application: Application) -> None:
    process = application.holding()
    assert (process.poll(), application.frozen.exists()) == (None, True)
    called, lock, asked = application.calls.splitlines()
    assert called.endswith("--batch --skip-column-names --unbuffered")
    assert lock.endswith("lock_wait_timeout = 20; FLUSH LOCAL TABLES WITH READ LOCK;")
    assert asked == "SELECT 'held';"
    (application.home / "thaw").touch()
    assert process.wait(60) == 0
    assert application.calls.splitlines() == ["UNLOCK TABLES;", "end"]
    assert application.run("complete", "1") == 0


@of("mysql-session")
def test_a_lock_that_mysql_refuses_is_not_said_to_be_held(application: Application) -> None:
    (application.home / "refuses").touch()
    assert application.holding().wait(60) == 1
    assert not application.frozen.exists()


@of("mysql-session")
def test_a_connection_to_mysql_that_breaks_ends_the_session_script_early(application: Application) -> None:
    process = application.holding()
    (application.home / "breaks").touch()
    (application.home / "thaw").touch()
    assert process.wait(60) == 1


@of("mysql-session")
def test_mysqls_session_script_ends_with_the_connection_before_the_thaw(application: Application) -> None:
    process = application.holding()
    [client] = [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if _is_client(entry, application.home)]
    os.kill(client, signal.SIGKILL)
    assert process.wait(60) == 1


# ---- PostgreSQL ------------------------------------------------------------------------------------------------------


@of("postgresql")
def test_postgresql_makes_a_checkpoint_and_is_not_held(application: Application) -> None:
    assert application.run("before") == 0
    assert application.calls.endswith("--set=ON_ERROR_STOP=1 --command=CHECKPOINT\n")
    assert application.run("after", "1") == application.run("complete", "1") == 0
    assert application.calls == ""
    application.program("psql", ends=3)
    assert application.run("before") == 1


# ---- Any service -----------------------------------------------------------------------------------------------------


@of("service")
def test_a_service_is_stopped_before_and_started_after(application: Application) -> None:
    application.service("OrdersService", "Running")
    assert application.run("before") == 0
    assert application.status("OrdersService") == "Stopped"
    application.service("refuses", "")
    assert application.run("after", "1") != 0
    (application.home / "services" / "refuses").unlink()
    assert application.run("after", "0") == 0
    assert (application.status("OrdersService"), application.marks) == ("Running", [])
    assert application.run("complete", "1") == 0


@of("service")
def test_a_service_that_did_not_run_is_not_started(application: Application) -> None:
    application.service("OrdersService", "Stopped")
    assert application.run("before") == application.run("after", "1") == 0
    assert application.status("OrdersService") == "Stopped"


@of("service")
def test_a_service_that_does_not_stop_fails_before_and_runs_after(application: Application) -> None:
    application.service("OrdersService", "Running")
    application.service("hangs", "")
    assert application.run("before") != 0
    assert application.run("after", "0") == 0
    assert application.status("OrdersService") == "Running"
    (application.home / "services" / "OrdersService").unlink()
    assert application.run("before") != 0, "there is no such service"
