"""The hand-over of a recovered server: where it is, who has the old address, and what is left to a person. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from quiesce.executions import Cause, Crossing
from quiesce.points.parts import Source
from quiesce.recovery.leftovers import Leftovers, told
from quiesce.recovery.plan import RecoveryPlan
from quiesce.recovery.requests import kept_tags
from quiesce.recovery.servers import full_name
from quiesce.recovery.surroundings import RUNNING, Holder, OtherServer

# By the beginning of a region's name: where the console of its partition is.
CONSOLES = {"cn-": "amazonaws.cn", "us-gov-": "amazonaws-us-gov.com", "eusc-": "amazonaws-eusc.eu"}
LICENSED_BY_EC2 = "RunInstances:0002"
UNTOLD = "the recovery point does not say"

State = Literal["done", "not needed", "yours"]


class Task(Crossing):
    """One item of the checklist; ``words`` say why, and for ``yours`` what to do."""

    what: str
    state: State
    words: str


class HandOver(Crossing):
    """What a person needs who takes the server over."""

    server: str
    private_ip: str
    public_ip: str
    console: str
    session_manager: str
    old_address: str
    checklist: list[Task]


@dataclass(frozen=True)
class Handed:
    """What there is at the hand-over: both servers, who has the old private address, and the policies' lines.

    ``old`` is None if the old server is gone; ``policy_lines`` are those that name it, ``unread`` why there are none.
    ``leftovers`` is what the new server says of the backup's session, ``no_answer`` why it says nothing.
    """

    new: OtherServer
    old: OtherServer | None
    holder: Holder | None
    policy_lines: Sequence[str] = ()
    unread: str = ""
    leftovers: Leftovers | None = None
    no_answer: Cause | None = None


def hand_over(plan: RecoveryPlan, handed: Handed, region: str) -> HandOver:
    """Return the hand-over of a recovered server."""
    new = handed.new
    place = next((host for start, host in CONSOLES.items() if region.startswith(start)), "aws.amazon.com")
    console = f"https://{region}.console.{place}"
    session = f"{console}/systems-manager/session-manager/{new.instance_id}?region={region}"
    return HandOver(
        server=full_name(new.instance_id, plan.instance_name),
        private_ip=new.private_ip,
        public_ip=new.public_ip,
        console=f"{console}/ec2/home?region={region}#InstanceDetails:instanceId={new.instance_id}",
        session_manager=session if plan.agent == "ssm" else "",
        old_address=_old_address(plan, handed),
        checklist=list(_checklist(plan, handed)),
    )


def _old_address(plan: RecoveryPlan, handed: Handed) -> str:
    address = plan.source.private_ip if plan.source else ""
    if not address:
        return f"{UNTOLD} which private address the old server had"
    if address == handed.new.private_ip:
        return f"{address} is the new server's"
    if handed.holder is None:
        return f"nobody has {address} in {plan.source.subnet_id if plan.source else ''}"
    who = handed.holder.instance_id or handed.holder.interface_id
    if who == plan.from_instance_id:
        who = f"the old server {full_name(who, plan.instance_name)}"
    return f"{address} is held by {who}"


def _checklist(plan: RecoveryPlan, handed: Handed) -> Iterator[Task]:
    """Give every item, whatever its state: what is missing in a list can't be told from what was forgotten."""
    source = plan.source
    yield _old_server(plan, handed)
    state, words = told(plan, handed.leftovers, handed.no_answer)
    yield Task(what="session of the backup", state=state, words=words)
    yield from _addresses(plan, handed, source)
    yield _licence(source)
    yield Task(
        what="domain trust",
        state="yours",
        words="on a domain member run Test-ComputerSecureChannel; if it says False, Reset-ComputerMachinePassword: the "
        "password of the computer's account may be younger than the recovery point",
    )
    yield Task(
        what="BitLocker key",
        state="yours",
        words="have the recovery key of each encrypted volume at hand: a server with another TPM may ask for it",
    )
    yield _policies(plan, handed)
    yield from _settings(plan, source, handed.new.instance_id)


def _old_server(plan: RecoveryPlan, handed: Handed) -> Task:
    old, name = handed.old, full_name(plan.from_instance_id, plan.instance_name)
    if old is None:
        return Task(what="old server", state="not needed", words=f"{name} does not exist any more")
    if old.state in RUNNING:
        words = f"{name} is {old.state}: stop it, or make sure that the two do not meet in one network"
        return Task(what="old server", state="yours", words=words)
    words = f"{name} is {old.state}: keep it as long as you may want its volumes, then terminate it; never start it "
    return Task(what="old server", state="yours", words=f"{words}beside the new one")


def _addresses(plan: RecoveryPlan, handed: Handed, source: Source | None) -> Iterator[Task]:
    new, old_ip = handed.new, source.private_ip if source else ""
    if old_ip and old_ip == new.private_ip:
        same = f"the new server has the old private address {old_ip}"
        yield Task(what="DNS", state="not needed", words=same)
        yield Task(what="static address inside Windows", state="not needed", words=same)
    else:
        change = f"{old_ip or 'the old private address'} is now {new.private_ip}"
        words = f"{change}: change what names it; a member of a domain registers its own name"
        yield Task(what="DNS", state="yours", words=words)
        words = f"if Windows has it set, and not from DHCP, nobody reaches the server until you change it: {change}"
        yield Task(what="static address inside Windows", state="yours", words=words)
    public = source.public_ip if source else ""
    if source and not public:
        yield Task(what="Elastic IP", state="not needed", words="the old server had no public address")
    else:
        address = public or "<address>"
        words = f"the old server had {public}" if public else f"{UNTOLD} whether the old server had one"
        command = f"aws ec2 associate-address --public-ip {address} --instance-id {new.instance_id}"
        yield Task(what="Elastic IP", state="yours", words=f"{words}; if it is an Elastic IP: {command}")
    words = f"no recovery point says them; where {plan.from_instance_id} is a target, register {new.instance_id}: "
    command = f"aws elbv2 register-targets --target-group-arn <arn> --targets Id={new.instance_id}"
    yield Task(what="target groups", state="yours", words=words + command)


def _licence(source: Source | None) -> Task:
    if source and source.usage_operation == LICENSED_BY_EC2:
        words = "EC2 licensed the old server's Windows, and so it does the new one's, unless you named another image; "
        words += "software that is licensed by machine may ask again"
        return Task(what="licence", state="done", words=words)
    known = f"the old server ran as {source.usage_operation}" if source and source.usage_operation else UNTOLD
    words = f"{known}: look at the licence of Windows (slmgr /dlv), and at software that is licensed by machine"
    return Task(what="licence", state="yours", words=words)


def _policies(plan: RecoveryPlan, handed: Handed) -> Task:
    what = "policies that name the old server"
    if handed.unread:
        words = f"they can't be read ({handed.unread}): look for {plan.from_instance_id} in them"
        return Task(what=what, state="yours", words=words)
    if not handed.policy_lines:
        words = f"no policy in the bucket names {plan.from_instance_id}; schedules and inline policies may"
        return Task(what=what, state="not needed", words=words)
    words = f"until you write {handed.new.instance_id} there, the new server is not backed up: "
    return Task(what=what, state="yours", words=words + "; ".join(handed.policy_lines))


def _settings(plan: RecoveryPlan, source: Source | None, instance_id: str) -> Iterator[Task]:
    """Give what was recorded of the server: used, or the person's."""
    if source is None or not source.usage_operation:
        names = "tags, metadata options, tenancy, host and placement, CPU options, further network interfaces"
        yield Task(what=names, state="yours", words=f"{UNTOLD} what the old server had; set what you need")
    else:
        left = sorted(set(source.tags) - set(kept_tags(plan)) - {"Name"})
        words = f"EC2 takes 50 tags; these were left out: {', '.join(left)}" if left else "as the old server had them"
        yield Task(what="tags", state="yours" if left else "done", words=words)
        yield Task(what="metadata options", state="done", words="as the old server had them")
        yield _placement(source)
        same = source.instance_type == plan.instance_type
        words = "as the old server had them" if same else f"those of {plan.instance_type}: its type is another one"
        yield Task(what="CPU options", state="done" if same else "not needed", words=words)
        if source.interfaces:
            words = f"it has one; the old server had {', '.join(source.interfaces)}, too: attach what you need"
            yield Task(what="further network interfaces", state="yours", words=words)
        else:
            yield Task(what="further network interfaces", state="not needed", words="the old server had none")
    command = f"aws ec2 modify-instance-attribute --disable-api-termination --instance-id {instance_id}"
    words = f"the new server has none; {UNTOLD} whether the old one had it: {command}"
    yield Task(what="termination protection", state="yours", words=words)


def _placement(source: Source) -> Task:
    what, left = "tenancy, host and placement", []
    left += [f"host {source.host_id}"] if source.host_id else []
    left += ["tenancy host"] if source.tenancy == "host" and not source.host_id else []
    left += [f"placement group {source.placement_group}"] if source.placement_group else []
    if left:
        words = f"the old server had {' and '.join(left)}: the new one is not there; modify its placement while stopped"
        return Task(what=what, state="yours", words=words)
    return Task(what=what, state="done", words=f"tenancy {source.tenancy or 'default'}, as the old server had it")
