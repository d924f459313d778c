"""``quiesce doctor``: whether everything that a backup needs is there, and what to do where it is not."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from typing import Annotated, NamedTuple

import typer

from quiesce.aws.bucket import Bucket
from quiesce.aws.clients import repeatable
from quiesce.aws.doctor.kept import LATEST
from quiesce.aws.pages.records import list_records
from quiesce_cli.answers.policies import Judged
from quiesce_cli.answers.readiness import readiness
from quiesce_cli.answers.shapes import Check, Health
from quiesce_cli.app import Answer, Desk, app, command
from quiesce_cli.aws.agents import agents
from quiesce_cli.aws.alarms import alarms_on, subscribe, subscribers
from quiesce_cli.aws.executions import running
from quiesce_cli.aws.policies import not_in_force, put_policy, read_policies, servers_of
from quiesce_cli.aws.stack import Stack, caller, client
from quiesce_cli.troubles import Usage, trouble_of
from quiesce_cli.views import health as view

RUNBOOK = "docs/operate/runbook.md"
# How notes of a policy begin that name servers which can't be backed up.
LEFT_OUT = ("left out, ", "targets[")


# The stack puts a file in force within minutes; later, its event was lost.
SETTLED = timedelta(minutes=15)
Fix = Annotated[bool, typer.Option("--fix", help="Mend on the stack what can be mended from here, after asking.")]
Yes = Annotated[bool, typer.Option("--yes", help="With --fix: do not ask.")]


class Finding(NamedTuple):
    """What doctor found; ``mend`` does what the check's ``fix`` says, None where nothing can be done from here."""

    check: Check
    mend: Callable[[], object] | None = None


@command(app, "doctor")
def doctor(desk: Desk, *, fix: Fix = False, yes: Yes = False) -> Answer:
    """Check stack, rights, bucket, mails and servers."""
    stack = desk.stack
    found = [_stack(stack), _who()]
    policies: list[Judged] = []
    looks: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
        ("records", lambda: _records(stack)),
        ("bucket", lambda: _bucket(stack)),
        ("policies", lambda: _policies(stack, policies)),
        ("in force", lambda: _in_force(desk, policies)),
        ("runs", lambda: _runs(stack)),
        ("mails", lambda: _mails(stack)),
        ("alarms", lambda: _alarms(stack)),
        ("servers", lambda: _servers(stack, policies)),
    ]
    for name, look in looks:
        found += _tried(name, look)
    checks = _mended(desk, found, asks=not yes) if fix else [each.check for each in found]
    shape = Health(good=all(check.good for check in checks), checks=checks)
    return Answer(shape, view.lines(shape, fixing=fix), good=shape.good)


def _mended(desk: Desk, found: Sequence[Finding], *, asks: bool) -> list[Check]:
    """Do what can be done about each finding, once a person agrees; return the checks as they are then."""
    if asks and any(each.mend for each in found) and not desk.screen.asks:
        raise Usage("nobody can be asked here whether it shall be mended", "add --yes")
    return [_mend(each, asks=asks) if each.mend else each.check for each in found]


def _mend(finding: Finding, *, asks: bool) -> Check:
    check, mend = finding
    if mend is None or (asks and not typer.confirm(f"{check.words}. {check.fix}", default=False)):
        return check
    try:
        mend()
    except Exception as error:
        if (trouble := trouble_of(error)) is None:
            raise
        return check.model_copy(update={"remedy": f"it could not be mended: {trouble.problem}; {trouble.remedy}"})
    return check.model_copy(update={"fixed": True})


def _tried(name: str, look: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """Return what a look finds; a right that is missing, or what can't be reached, is a finding, too."""
    try:
        return list(look())
    except Exception as error:
        if (trouble := trouble_of(error)) is None:
            raise
        return [_bad(name, trouble.problem, trouble.remedy)]


def _stack(stack: Stack) -> Finding:
    words = f"{stack.name} in {stack.region}: {stack.status}"
    if stack.status.endswith("_COMPLETE") and "ROLLBACK" not in stack.status and "DELETE" not in stack.status:
        return _good("stack", words)
    return _bad("stack", words, "look at its events in CloudFormation, then deploy it again")


def _who() -> Finding:
    return _good("you", caller())


def _records(stack: Stack) -> Iterator[Finding]:
    yield _good("records", f"{len(list_records(stack.bucket)):,} in {stack.bucket.place('records/')}")


def _bucket(stack: Stack) -> Iterator[Finding]:
    with repeatable("s3:GetBucketVersioning"):
        versions = client("s3").get_bucket_versioning(Bucket=stack.bucket.name).get("Status")
    if versions == "Enabled":
        yield _good("bucket", f"{stack.bucket.name} keeps old versions")
    else:
        yield _bad("bucket", f"{stack.bucket.name} keeps no old versions", "turn on versioning, as the template has it")


def _policies(stack: Stack, found: list[Judged]) -> Iterator[Finding]:
    found += read_policies(stack.bucket)
    if not found:
        yield _bad("policies", "there is none", "write one, then: quiesce policy put FILE")
        return
    bad = [shape for shape, _ in found if not shape.good]
    for policy in bad:
        yield _bad(
            "policy", f"{policy.place}: {policy.problem}", f"mend it, then: quiesce policy put {policy.name}.yaml"
        )
    if not bad:
        yield _good("policies", ", ".join(shape.name for shape, _ in found))


def _in_force(desk: Desk, policies: Sequence[Judged]) -> Iterator[Finding]:
    bucket, names = desk.stack.bucket, [shape.name for shape, policy in policies if policy]
    for name in not_in_force(bucket, desk.stack.output("TableName"), names, desk.clock.now() - SETTLED):
        check = Check(
            name="policy",
            good=False,
            words=f"{name} is not in force as its file says: the stack has not heard of the file",
            remedy="look again in some minutes: quiesce policy next shows what its schedules do",
            fix=f"Put {bucket.place(f'policies/{name}.yaml')} again as it is, so that the stack hears of it",
        )
        yield Finding(check, partial(_put_again, bucket, name))


def _put_again(bucket: Bucket, name: str) -> None:
    put_policy(bucket, name, bucket.read_policy(name)[0])


def _runs(stack: Stack) -> Iterator[Finding]:
    count = len(running(stack.outputs["BackupMachineArn"]))
    yield _good("runs", f"{count} under way" if count else "none under way")


def _mails(stack: Stack) -> Iterator[Finding]:
    topic = stack.outputs["TopicArn"]
    heard = subscribers(topic)
    if stack.mail and stack.mail not in {each.address for each in heard}:
        # SNS forgets who has not followed the link for days, and a deployment with the same address changes nothing.
        yield _without_link(topic, stack.mail, "is the stack's MailAddress, and is not subscribed")
    elif not heard:
        yield _bad("mails", "nobody hears of a failed run", "deploy with MailAddress, or subscribe to the topic")
    for each in heard:
        if each.confirmed:
            yield _good("mails", f"{each.address} is confirmed")
        elif each.protocol == "email":
            yield _without_link(topic, each.address, "has not confirmed, and gets nothing")
        else:
            yield _bad("mails", f"{each.address} has not confirmed, and gets nothing", "confirm it as SNS asks")


def _without_link(topic: str, address: str, problem: str) -> Finding:
    check = Check(
        name="mails",
        good=False,
        words=f"{address} {problem}",
        remedy="follow the link in the mail from AWS Notifications",
        fix=f"Have AWS send {address} a mail with a new link",
    )
    return Finding(check, partial(subscribe, topic, address))


def _alarms(stack: Stack) -> Iterator[Finding]:
    alarms = alarms_on(stack.name)
    for alarm in alarms:
        yield _bad("alarm", f"{alarm.name} is on: {alarm.about}", f"{RUNBOOK} has a chapter for each")
    if not alarms:
        yield _good("alarms", "none is on")


def _servers(stack: Stack, policies: Sequence[Judged]) -> Iterator[Finding]:
    meant, asked = servers_of(policies).by_policy, {policy.name: policy for _, policy in policies if policy}
    for name, resolved in meant.items():
        for words in [*resolved.warnings, *(note for note in resolved.notes if note.startswith(LEFT_OUT))]:
            yield _bad("servers", f"policy {name}: {words}", "mend the policy's targets, or the servers' tags")
    wanted = sorted(
        {
            target.instance_id
            for name, resolved in meant.items()
            for target in resolved.targets
            if asked[name].settings_of(target.entry).freezes
        }
    )
    known = agents(wanted)
    for instance_id in wanted:
        agent = known.get(instance_id)
        if agent is None:
            remedy = "give its profile AmazonSSMManagedInstanceCore and its subnet a way to Systems Manager"
            yield _bad("server", f"{instance_id}: Systems Manager does not know it", remedy)
        elif not agent.online:
            remedy = "look whether it runs; restart Amazon SSM Agent on it"
            yield _bad("server", f"{f'{agent.name} {instance_id}'.strip()}: its agent is {agent.status}", remedy)
        else:
            yield _good("server", f"{f'{agent.name} {instance_id}'.strip()}: agent {agent.version} is online")
    latest = stack.bucket.read_json(LATEST)
    yield from map(Finding, readiness(latest, meant, asked, stack.bucket.place("doctor/")) if latest else ())


def _good(name: str, words: str) -> Finding:
    return Finding(Check(name=name, good=True, words=words, remedy=""))


def _bad(name: str, words: str, remedy: str) -> Finding:
    return Finding(Check(name=name, good=False, words=words, remedy=remedy))
