"""``quiesce doctor``: whether everything that a backup needs is there, and what to do where it is not."""

from collections.abc import Callable, Iterator, Sequence

from quiesce.aws.clients import repeatable
from quiesce.aws.pages.records import list_records
from quiesce_cli.answers.policies import Judged
from quiesce_cli.answers.shapes import Check, Health
from quiesce_cli.app import Answer, Desk, app, command
from quiesce_cli.aws.agents import agents
from quiesce_cli.aws.alarms import alarms_on, subscribers
from quiesce_cli.aws.executions import running
from quiesce_cli.aws.policies import read_policies, servers_of
from quiesce_cli.aws.stack import Stack, caller, client
from quiesce_cli.troubles import trouble_of
from quiesce_cli.views import health as view

RUNBOOK = "docs/operate/runbook.md"
# How notes of a policy begin that name servers which can't be backed up.
LEFT_OUT = ("left out, ", "targets[")


@command(app, "doctor")
def doctor(desk: Desk) -> Answer:
    """Check stack, rights, bucket, mails and servers."""
    stack = desk.stack
    checks = [_stack(stack), _who()]
    policies: list[Judged] = []
    looks: list[tuple[str, Callable[[], Iterator[Check]]]] = [
        ("records", lambda: _records(stack)),
        ("bucket", lambda: _bucket(stack)),
        ("policies", lambda: _policies(stack, policies)),
        ("runs", lambda: _runs(stack)),
        ("mails", lambda: _mails(stack)),
        ("alarms", lambda: _alarms(stack)),
        ("servers", lambda: _servers(policies)),
    ]
    for name, look in looks:
        checks += _tried(name, look)
    shape = Health(good=all(check.good for check in checks), checks=checks)
    return Answer(shape, view.lines(shape), good=shape.good)


def _tried(name: str, look: Callable[[], Iterator[Check]]) -> list[Check]:
    """Return what a look finds; a right that is missing, or what can't be reached, is a finding, too."""
    try:
        return list(look())
    except Exception as error:
        if (trouble := trouble_of(error)) is None:
            raise
        return [_bad(name, trouble.problem, trouble.remedy)]


def _stack(stack: Stack) -> Check:
    words = f"{stack.name} in {stack.region}: {stack.status}"
    if stack.status.endswith("_COMPLETE") and "ROLLBACK" not in stack.status and "DELETE" not in stack.status:
        return _good("stack", words)
    return _bad("stack", words, "look at its events in CloudFormation, then deploy it again")


def _who() -> Check:
    return _good("you", caller())


def _records(stack: Stack) -> Iterator[Check]:
    yield _good("records", f"{len(list_records(stack.bucket)):,} in {stack.bucket.place('records/')}")


def _bucket(stack: Stack) -> Iterator[Check]:
    with repeatable("s3:GetBucketVersioning"):
        versions = client("s3").get_bucket_versioning(Bucket=stack.bucket.name).get("Status")
    if versions == "Enabled":
        yield _good("bucket", f"{stack.bucket.name} keeps old versions")
    else:
        yield _bad("bucket", f"{stack.bucket.name} keeps no old versions", "turn on versioning, as the template has it")


def _policies(stack: Stack, found: list[Judged]) -> Iterator[Check]:
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


def _runs(stack: Stack) -> Iterator[Check]:
    count = len(running(stack.outputs["BackupMachineArn"]))
    yield _good("runs", f"{count} under way" if count else "none under way")


def _mails(stack: Stack) -> Iterator[Check]:
    heard = subscribers(stack.outputs["TopicArn"])
    if not heard:
        yield _bad("mails", "nobody hears of a failed run", "deploy with MailAddress, or subscribe to the topic")
    for each in heard:
        if each.confirmed:
            yield _good("mails", f"{each.address} is confirmed")
        else:
            remedy = "follow the link in the mail from AWS Notifications; deploy again for a new one after three days"
            yield _bad("mails", f"{each.address} has not confirmed, and gets nothing", remedy)


def _alarms(stack: Stack) -> Iterator[Check]:
    alarms = alarms_on(stack.name)
    for alarm in alarms:
        yield _bad("alarm", f"{alarm.name} is on: {alarm.about}", f"{RUNBOOK} has a chapter for each")
    if not alarms:
        yield _good("alarms", "none is on")


def _servers(policies: Sequence[Judged]) -> Iterator[Check]:
    meant, asked = servers_of(policies), {policy.name: policy for _, policy in policies if policy}
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


def _good(name: str, words: str) -> Check:
    return Check(name=name, good=True, words=words, remedy="")


def _bad(name: str, words: str, remedy: str) -> Check:
    return Check(name=name, good=False, words=words, remedy=remedy)
