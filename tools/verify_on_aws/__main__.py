"""``python -m tools.verify_on_aws``: look on a real account at what quiesce believes of AWS; see verify-on-aws.md."""

import argparse
import re
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3

from tools.verify_on_aws import server, stack, steps_stack
from tools.verify_on_aws.calls import LOOK_EVERY_S, REFUSED, Calls, CommandFailed, TookTooLong
from tools.verify_on_aws.cleanup import CleanUp
from tools.verify_on_aws.report import SIMULATED, Report
from tools.verify_on_aws.server import NotThrowAway
from tools.verify_on_aws.session import Seen, Step, Verification
from tools.verify_on_aws.spending import STEP_DOLLARS, LimitReached, Spending, estimate
from tools.verify_on_aws.steps import STEPS

NAME = re.compile(r"quiesce-verify-[a-z0-9]{4,12}")
HOURS = 5.0
LOCAL = ("127.0.0.1", "localhost")


def arguments_of(given: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.verify_on_aws", description=__doc__)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--server", metavar="ID", help="a throw-away Windows server, tagged quiesce-verify = throw-away")
    which.add_argument("--clean-up", metavar="NAME", help="only delete what the verification of this name left")
    parser.add_argument("--dry-run", action="store_true", help="print every call; make none")
    parser.add_argument("--limit", type=float, default=8.0, help="dollars after which it stops (default: 8)")
    parser.add_argument("--steps", default="", help="only these, separated by commas (default: all)")
    parser.add_argument("--runtime", default="python3.13", help="Python of the functions (default: python3.13)")
    parser.add_argument("--architecture", default="arm64", help="their processor (default: arm64)")
    parser.add_argument("--instance-type", default="m5.large", help="of a server that is launched (default: m5.large)")
    parser.add_argument("--look-every", type=float, default=LOOK_EVERY_S, help=argparse.SUPPRESS)
    parser.add_argument(
        "--report", type=Path, default=Path("verify-on-aws"), help="its folder (default: verify-on-aws)"
    )
    arguments = parser.parse_args(given)
    known = {step.name for step in STEPS}
    if unknown := set(filter(None, arguments.steps.split(","))) - known:
        parser.error(f"--steps: {', '.join(sorted(unknown))} is no step; there are {', '.join(sorted(known))}")
    if arguments.clean_up and not NAME.fullmatch(arguments.clean_up):
        parser.error(f"--clean-up: {arguments.clean_up!r} is no name of a verification (quiesce-verify-...)")
    return arguments


def chosen(arguments: argparse.Namespace) -> list[Step]:
    """Return the steps to take: one that ends the server only if the server is launched for it."""
    names = set(filter(None, arguments.steps.split(",")))
    return [s for s in STEPS if (not names or s.name in names) and not (s.ends_server and arguments.server)]


def main(
    given: Sequence[str],
    ask: Callable[[str], str] = input,
    say: Callable[[str], object] = print,
    pause: Callable[[float], object] = time.sleep,
) -> int:
    """Verify; return 0 if all was as expected and nothing is left, 1 if not, 2 if it was not begun."""
    arguments = arguments_of(given)
    session = boto3.session.Session()
    region = session.region_name or "us-east-1"
    calls = Calls(_client_of(session, region), say, arguments.dry_run, arguments.look_every, pause)
    name = arguments.clean_up or f"quiesce-verify-{uuid.uuid4().hex[:8]}"
    it = Verification(calls, name, region)
    if arguments.dry_run:
        say(f"A dry run of {name}: every call that it makes, with <...> for what AWS answers. Nothing is sent.")
        _everything(it, arguments, "<account>", _Quiet())
        return 0
    try:
        identity = calls("sts:GetCallerIdentity")
    except REFUSED as error:
        say(f"AWS does not say which account this is: {error}. Log in first. Nothing was created.")
        return 2
    account, partition = identity["Account"], identity["Arn"].split(":")[1]
    local = any(host in calls.client("ec2").meta.endpoint_url for host in LOCAL)
    if arguments.clean_up:
        return _tell_left(CleanUp(it).run(), say)
    if not _agreed(arguments, it, account, ask, say):
        return 2
    report = Report(name, region, account, datetime.now(UTC), local)
    return _verify(it, arguments, report, partition, say)


def _client_of(session: boto3.session.Session, region: str) -> Callable[[str], Any]:
    made: dict[str, Any] = {}

    def client(service: str) -> Any:
        if service not in made:
            made[service] = session.client(service, region_name=region)  # type: ignore[call-overload]
        return made[service]

    return client


def _agreed(
    arguments: argparse.Namespace,
    it: Verification,
    account: str,
    ask: Callable[[str], str],
    say: Callable[[str], object],
) -> bool:
    """Say what is about to happen and what it costs, and ask; refuse what is over the limit from the start."""
    steps, servers = chosen(arguments), int(not arguments.server)
    most = estimate(HOURS, servers + max((s.servers for s in steps), default=0), len(steps))
    what = "a Windows server of AWS's public image" if not arguments.server else f"nothing but on {arguments.server}"
    say(f"Account {account}, Region {it.region}. It launches {what}, deploys the stack {it.name}, and takes:")
    for step in steps:
        say(f"  {step.name:18} {step.expected}")
    changed = ", ".join(step.name for step in steps if step.changes_server)
    say(f"The server is stopped and gets volumes attached ({changed}). At the end everything of it is deleted.")
    say(f"It costs at most about ${most:.2f} in {HOURS:.0f} hours, and stops at ${arguments.limit:.2f} (--limit).")
    if most > arguments.limit:
        say("That is over the limit: raise --limit, or take fewer --steps. Nothing was created.")
        return False
    if ask(f"Type {it.name} to go on: ").strip() != it.name:
        say("Nothing was created.")
        return False
    return True


def _verify(
    it: Verification, arguments: argparse.Namespace, report: Report, partition: str, say: Callable[[str], object]
) -> int:
    spending = Spending(arguments.limit, time.time)
    try:
        _everything(it, arguments, report.account, _Told(report, say, spending), partition)
    except LimitReached as reached:
        report.ended_by = f"the limit: {reached}"
    except (*REFUSED, CommandFailed, TookTooLong, NotThrowAway) as error:
        report.ended_by = str(error)
    except KeyboardInterrupt:
        report.ended_by = "Ctrl-C"
    finally:
        say(f"Deleting all of it. If this is interrupted: python -m tools.verify_on_aws --clean-up {it.name}")
        it.calls.before_each = lambda: None
        report.left = CleanUp(it).run()
        report.dollars, report.measured = spending.settle(), it.measured
        taken = {step.name for step, _ in report.seen}
        for step in chosen(arguments):
            if step.name not in taken:
                report.add(step, Seen("not run", report.ended_by))
        archive = report.write(arguments.report, it.raw, it.calls.made)
    if report.ended_by:
        say(f"Ended early: {report.ended_by}")
    if report.simulated:
        say(SIMULATED)
    say(f"The report is in {archive}: please look through it, and attach it to an issue.")
    bad = [step for step, what in report.seen if what.verdict != "as expected"]
    return max(_tell_left(report.left, say), int(bool(bad or report.ended_by)))


def _tell_left(left: Sequence[str], say: Callable[[str], object]) -> int:
    for each in left:
        say(f"Not deleted: {each}")
    if not left:
        say("Nothing is left.")
    return int(bool(left))


class _Quiet:
    """A dry run's audience: it hears of no step, and spends nothing."""

    def begins(self, it: Verification, servers: int) -> None:
        """Do nothing."""

    def take(self, it: Verification, step: Step) -> None:
        """Let the step print its calls; what it makes of the answers does not matter."""
        it.calls.say(f"# {step.name}: {step.beliefs}")
        step.take(it)

    def measured(self, it: Verification) -> None:
        """Let the measurements and the deletion print their calls."""
        it.calls.say("# measuring")
        steps_stack.measure(it)
        it.calls.say("# deleting")
        CleanUp(it).run()


class _Told:
    """A real run's audience: the report, the terminal, and the count of dollars."""

    def __init__(self, report: Report, say: Callable[[str], object], spending: Spending) -> None:
        self.report, self.say, self.spending, self.servers = report, say, spending, 0

    def begins(self, it: Verification, servers: int) -> None:
        """Count the dollars from now on, and stop at the limit before any call."""
        self.servers = servers
        self.spending.begin(servers)
        it.calls.before_each = self.spending.check

    def take(self, it: Verification, step: Step) -> None:
        """Take a step, whatever becomes of it, unless it would go over the limit."""
        self.spending.check(STEP_DOLLARS)
        self.servers += step.servers
        self.spending.begin(self.servers)
        try:
            what = step.take(it)
        except (*REFUSED, TookTooLong, LookupError, TypeError) as error:
            what = Seen("not seen", f"{type(error).__name__}: {error}")
        self.report.add(step, what)
        self.say(f"  {step.name:18} {self.report.verdict(what)}: {what.words[:200]}")

    def measured(self, it: Verification) -> None:
        """Measure."""
        steps_stack.measure(it)


def _everything(
    it: Verification, arguments: argparse.Namespace, account: str, audience: Any, partition: str = "aws"
) -> None:
    """Take or launch the server, deploy, take the steps, and measure."""
    audience.begins(it, int(not arguments.server))
    if arguments.server:
        server.take(it, arguments.server)
    else:
        server.launch(it, partition, arguments.instance_type)
    stack.deploy(it, account, arguments.runtime, arguments.architecture, server.role_of(it))
    server.await_agent(it)
    for step in chosen(arguments):
        audience.take(it, step)
    audience.measured(it)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
