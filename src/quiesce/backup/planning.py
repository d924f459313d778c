"""Plan's decision: what is backed up, how consistent it can be, and why. Pure."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from quiesce import tags
from quiesce.backup.run import RunIdentity
from quiesce.backup.state import Plan
from quiesce.backup.volumes import Selection
from quiesce.errors import ServerRefused
from quiesce.guest.cluster_node import ClusterNode
from quiesce.guest.examination import FAILED_FROM, writers_in
from quiesce.guest.inventory import Inventory
from quiesce.points.parts import Consistency, Source
from quiesce.policy.policy import Policy
from quiesce.policy.target import TargetSettings
from quiesce.vss.known_writers import name_of

# EC2's User Guide and AWS Backup's: on these AWS's document runs out of time.
TOO_SMALL = re.compile(r"(?:t2|t3a?)\.(?:nano|micro)")
# Said in each record by AWS's document, since nothing else says it.
BY_AWS = (
    "vss.engine is aws-vss: AWS's document freezes and thaws by itself, some time between before and after; it does "
    "not say which writers took part, and its snapshots hold no shadow copies to look for"
)
ROLES = {"primary": "the primary node", "secondary": "a secondary node"}
# How the reason begins of a run that asked no application, because it could not.
NOT_FROZEN = "the application could not be frozen: "


@dataclass(frozen=True)
class Server:
    """The server as EC2 describes it."""

    name: str
    state: Literal["running", "stopped"]
    platform: str
    source: Source | None = None


@dataclass(frozen=True)
class Origin:
    """The stack that plans, and the time."""

    stack: str
    planned_at: datetime


def possible_consistency(state: Literal["running", "stopped"], settings: TargetSettings) -> Consistency:
    """Return the best consistency that this backup can have, and why."""
    if settings.freezes and state == "running":
        asked = ["VSS"] if settings.disk_shadow else ["AWS's document for VSS"] if settings.aws_vss else []
        asked += ["the before script"] if settings.scripts != "off" else []
        return Consistency(level="application", reason=f"{' and '.join(asked)} will be asked to hold the application")
    if state == "stopped":
        return Consistency(
            level="crash", reason="the server was stopped: nothing was writing, and no application was frozen"
        )
    return Consistency(
        level="crash", reason="the server was running and no application was frozen: what a power failure would leave"
    )


def decide(
    run: RunIdentity, policy: Policy, settings: TargetSettings, server: Server, selection: Selection, origin: Origin
) -> Plan:
    """Return the plan, from what was found and decided; the step adds the calls it made."""
    return Plan(
        run_id=run.run_id,
        policy=policy.name,
        owner=policy.owner,
        instance_id=run.instance_id,
        instance_name=server.name,
        instance_state=server.state,
        platform=server.platform,
        settings=settings,
        source=server.source,
        tags=tags.of_snapshot_set(
            stack=origin.stack,
            run_id=run.run_id,
            policy=policy.name,
            owner=policy.owner,
            instance_id=run.instance_id,
            extra=policy.tags,
        ),
        volumes=selection.chosen,
        excluded=selection.excluded,
        consistency=possible_consistency(server.state, settings),
        freezes=settings.freezes,
        notes=selection.notes,
        planned_at=origin.planned_at,
        calls={},
    )


def with_role(plan: Plan, node: ClusterNode) -> Plan:
    """Return the plan with the server's role in its cluster; on a node that the policy does not mean, nothing is done.

    A server of whose role nothing is known is backed up: a backup too many harms less than none at all.
    """
    role = plan.settings.role
    if role == "any":
        return plan
    known = plan.model_copy(update={"cluster": node})
    if f"{node.role}-only" == role:
        note = f"the server was the {node.role} node when the run was planned, as role says: {node.why}"
    elif node.role == "not known":
        note = f"role is {role}, and the server's own is not known, so that it is backed up as with any: {node.why}"
    else:
        words = f"role is {role}, and this is {ROLES[node.role]}: {node.why}"
        none = Consistency(level="none", reason=words)
        return known.model_copy(update={"skipped": words, "freezes": False, "consistency": none})
    return known.model_copy(update={"notes": [*plan.notes, note]})


def with_document(plan: Plan, inventory: Inventory) -> Plan:
    """Return the plan with why AWS's document can't make its snapshots, or with what that does not say."""
    obstacle, notes, told = _document_obstacle(plan, inventory), [*plan.notes, BY_AWS], inventory.aws_components
    if not obstacle and told and (not told.known or told.values[0].version is None):
        notes.append(
            f"whether AwsVssComponents are installed, and new enough, is not known: {told.why or 'no version'}"
        )
    return plan.model_copy(update={"no_shadow": obstacle, "notes": notes})


def _document_obstacle(plan: Plan, inventory: Inventory) -> str:
    install = "run AWS-ConfigureAWSPackage with action Install and name AwsVssComponents on it"
    version = inventory.windows.version or ""
    if version and not version.startswith("10."):
        return f"AWS's document needs Windows Server 2016 or later, and this is {inventory.windows.name or version}"
    if plan.source and TOO_SMALL.fullmatch(plan.source.instance_type):
        return f"AWS's document runs out of time on a {plan.source.instance_type}"
    told = inventory.aws_components
    if told is None or not told.known:
        return ""
    if not told.values:
        return f"AwsVssComponents are not installed on the server: {install}"
    old = told.values[0].too_old
    return f"AwsVssComponents on the server: {old}: {install}" if old else ""


REMEDY = "start the application or its service, and see it in 'vssadmin list writers'"


def requires_writers(plan: Plan) -> bool:
    """Return whether DiskShadow is to make the shadow copies, and some writer has to take part."""
    vss = plan.settings.disk_shadow
    return vss is not None and bool(vss.require_writers)


def with_required_writers(plan: Plan, inventory: Inventory) -> Plan:
    """Return the plan with what is known of its required writers.

    One that Windows does not list can't take part: where the policy takes nothing less than application consistency
    this is the plan's obstacle, else a note, and shadow copies of all else are worth having. One that has failed may
    recover in the backup itself, and where Windows does not answer nothing is known: both are notes.
    """
    vss, told = plan.settings.disk_shadow, inventory.writers
    if vss is None or not vss.require_writers:
        return plan
    if told is None or not told.known:
        why = told.why if told else "the server was not asked"
        return _noted(plan, f"whether the writers that the policy requires are there is not known beforehand: {why}")
    states = {each.writer_id.lower(): each.state for each in writers_in("".join(told.values))}
    required = {each.lower(): name_of(each.lower()) for each in vss.require_writers}
    missing = [name for each, name in required.items() if each not in states]
    failed = [f"{name} [{states[each]}]" for each, name in required.items() if states.get(each, 0) >= FAILED_FROM]
    known = plan
    if failed:
        words = f"a writer that the policy requires had failed before the run: {', '.join(failed)}"
        known = _noted(known, f"{words}; restart its service if it fails again (docs/operate/runbook.md)")
    if not missing:
        return known
    words = f"Windows does not list the writer that the policy requires: {', '.join(missing)}; {REMEDY}"
    if plan.settings.consistency == "application":
        return known.model_copy(update={"no_shadow": words})
    return _noted(known, words)


def _noted(plan: Plan, note: str) -> Plan:
    return plan.model_copy(update={"notes": [*plan.notes, note]})


def without_asking(plan: Plan, obstacle: str) -> Plan:
    """Return the plan of a crash-consistent backup, because the application can't be frozen.

    Raises:
        ServerRefused: the policy requires application consistency.
    """
    if plan.settings.consistency == "application":
        remedy = "mend it, or set consistency to application-or-crash in the policy"
        raise ServerRefused("consistency", f"the policy wants application consistency, and {obstacle}", remedy)
    reason = f"{NOT_FROZEN}{obstacle}"
    return plan.model_copy(update={"freezes": False, "consistency": Consistency(level="crash", reason=reason)})
