"""Plan's last part: check whether the server can be asked to freeze, and stage the files that its session needs."""

from collections.abc import Sequence

from quiesce.aws.bucket import Bucket
from quiesce.aws.ssm import Guest
from quiesce.backup.drives import remarks, with_drives
from quiesce.backup.parameters import NO_SCRIPT, inventory_parameters, stage_parameters
from quiesce.backup.planning import without_asking
from quiesce.backup.shadow_plan import plan_shadow_copies
from quiesce.backup.state import Plan
from quiesce.errors import AgentUnreachable, AnswerUnreadable, CommandRefused, GuestRefused
from quiesce.guest import patience
from quiesce.guest.agent import obstacle
from quiesce.guest.answers import INVENTORY_UNREADABLE, staged_of
from quiesce.guest.inventory import inventory_of
from quiesce.guest.scripts import Stage, choose, places
from quiesce.guest.staging import overdue_notes, staged_notes
from quiesce.vss import script


def prepare(guest: Guest, bucket: Bucket, plan: Plan, writers: Sequence[str] = ()) -> Plan:
    """Stage a run on its server, or plan a crash-consistent backup where that can't be done.

    ``writers`` are the names of those that took part in the policy's last good run on this server.

    Raises:
        ServerRefused: it can't be done, and the policy requires application consistency.
        PolicyRefused: the bucket has a script twice.
    """
    agent = guest.describe_agent() if plan.instance_state == "running" else None
    reason = obstacle(plan.instance_state, plan.platform, agent)
    if reason:
        return without_asking(plan, reason)
    known = plan
    try:
        known = _known(guest, plan, writers)
        if known.no_shadow and (known.settings.scripts == "off" or known.settings.consistency == "application"):
            return without_asking(known, known.no_shadow)
        return _staged(guest, bucket, known)
    except (AgentUnreachable, AnswerUnreadable, CommandRefused) as error:
        return without_asking(known, str(error))
    except GuestRefused as error:
        return without_asking(known, f"the server refused: {error}")


def _known(guest: Guest, plan: Plan, writers: Sequence[str]) -> Plan:
    """Add the server's inventory; a server that can't report one is backed up all the same."""
    answer = guest.ask("inventory", inventory_parameters(plan), patience.INVENTORY_PATIENCE)
    if not answer.ok and answer.error_name == INVENTORY_UNREADABLE:
        words = f"the server can't report its inventory: {answer.error}"
        no_shadow = words if plan.settings.vss != "off" else ""
        return plan.model_copy(update={"notes": [*plan.notes, words], "no_shadow": no_shadow})
    inventory = inventory_of(answer)
    windows = f"{inventory.windows.name or 'Windows'} {inventory.windows.version or ''}".strip()
    overdue = inventory.overdue
    notes = [*plan.notes, *overdue_notes(overdue), *remarks(plan.volumes, plan.excluded, inventory)]
    volumes = with_drives(plan.volumes, inventory)
    found = {"windows": windows, "volumes": volumes, "notes": notes, "overdue": [str(each) for each in overdue]}
    known = plan.model_copy(update=found)
    if plan.settings.vss == "off":
        return known
    shadow = plan_shadow_copies(known, inventory, writers)
    update = {"shadow": shadow.plan, "no_shadow": shadow.obstacle, "notes": [*notes, *shadow.notes]}
    return known.model_copy(update=update)


def _staged(guest: Guest, bucket: Bucket, plan: Plan) -> Plan:
    """Have the server fetch the files that its session needs."""
    source = "off" if plan.settings.scripts == "off" else plan.settings.scripts.source
    links = _links(bucket, plan) if source == "bucket" else {}
    parameters = stage_parameters(plan, links, _shadow_script(plan))
    staged = staged_of(guest.ask("stage", parameters, patience.STAGE_PATIENCE))
    where = "in the bucket" if source == "bucket" else "on the server"
    looked = f" ({' or '.join(places(plan.owner, plan.instance_id))})" if source == "bucket" else ""
    notes = [*plan.notes, *staged_notes(staged, f"{where}{looked}")]
    # Inventory may have been unreadable, or have come a moment too early.
    overdue = dict.fromkeys([*plan.overdue, *map(str, staged.overdue)])
    return plan.model_copy(update={"notes": notes, "overdue": list(overdue)})


def _links(bucket: Bucket, plan: Plan) -> dict[Stage, str]:
    """Return a link to each script that the bucket has."""
    keys = bucket.list_scripts(places(plan.owner, plan.instance_id))
    found = choose(keys, owner=plan.owner, instance_id=plan.instance_id, policy=plan.policy)
    return {stage: bucket.link_to_script(key) for stage, key in found.items() if key}


def _shadow_script(plan: Plan) -> str:
    if plan.shadow is None or plan.settings.vss == "off":
        return NO_SCRIPT
    volumes = [volume.volume_guid for volume in plan.shadow.volumes]
    copy_only, excluded = plan.settings.vss.backup_type == "copy", plan.shadow.excluded_writers
    lines = script.session_script(volumes, copy_only=copy_only, excluded=excluded)
    return script.script_parameter(lines)
