"""Plan's last part: check whether the server can be asked to freeze, and stage the files that its session needs."""

from collections.abc import Sequence
from dataclasses import dataclass

from quiesce.aws.bucket import Bucket, package_key
from quiesce.aws.ssm import Guest
from quiesce.backup.drives import remarks, with_drives
from quiesce.backup.parameters import inventory_parameters, stage_parameters
from quiesce.backup.planning import with_document, with_required_writers, with_role, without_asking
from quiesce.backup.shadow_plan import plan_shadow_copies
from quiesce.backup.state import Plan
from quiesce.backup.volumes import AttachedVolume, joined
from quiesce.doctor.inventoried import words_before
from quiesce.errors import AgentUnreachable, AnswerUnreadable, CommandRefused, GuestRefused
from quiesce.guest import patience
from quiesce.guest.agent import obstacle
from quiesce.guest.answers import INVENTORY_UNREADABLE, staged_of
from quiesce.guest.cluster import node_of
from quiesce.guest.cluster_node import not_known
from quiesce.guest.inventory import inventory_of
from quiesce.guest.package import pack
from quiesce.guest.scripts import Script, choose, places
from quiesce.guest.staging import overdue_notes, staged_notes, strange_notes
from quiesce.steps.backup.writers_files import with_servers_files
from quiesce.vss import script


@dataclass(frozen=True)
class Looked:
    """What Plan found before it asks the server.

    ``attached`` are the server's EBS volumes: one that the policy leaves out is in the plan if shadow copies have their
    storage there. ``writers`` are the names of those that took part in the policy's last good run on this server.
    ``keys`` are those in the bucket's folders of scripts, None if nobody has looked.
    """

    attached: Sequence[AttachedVolume] = ()
    writers: Sequence[str] = ()
    keys: Sequence[str] | None = None


NOTHING = Looked()


def prepare(guest: Guest, bucket: Bucket, plan: Plan, looked: Looked = NOTHING) -> Plan:
    """Stage a run on its server, or plan a crash-consistent backup where that can't be done.

    On a node of a cluster that the policy does not mean, nothing is staged: the plan says why it is skipped.

    Raises:
        ServerRefused: it can't be done, and the policy requires application consistency.
        PolicyRefused: the bucket has a script twice, or one of the server's files of writers can't be taken.
    """
    agent = guest.describe_agent() if plan.instance_state == "running" else None
    reason = obstacle(plan.instance_state, plan.platform, agent)
    if reason:
        return _unasked(plan, reason)
    known = plan
    try:
        guest = guest.with_latest_documents()
        known = plan.model_copy(update={"documents": dict(guest.documents.versions)})
        known = _known(guest, known, looked)
        if known.skipped:
            return known
        if known.no_shadow and (known.settings.scripts == "off" or known.settings.consistency == "application"):
            return without_asking(known, known.no_shadow)
        return _staged(guest, bucket, known, looked.keys)
    except (AgentUnreachable, AnswerUnreadable, CommandRefused) as error:
        return _unasked(known, str(error))
    except GuestRefused as error:
        return _unasked(known, f"the server refused: {error}")


def _unasked(plan: Plan, obstacle: str) -> Plan:
    """Plan a crash-consistent backup of a server that may not have said its role, either."""
    return without_asking(plan if plan.cluster else with_role(plan, not_known(obstacle)), obstacle)


def _known(guest: Guest, plan: Plan, looked: Looked) -> Plan:
    """Add the server's inventory; a server that can't report one is backed up all the same."""
    parameters = inventory_parameters(plan)
    answer = guest.ask("inventory", parameters, patience.INVENTORY_PATIENCE)
    if not answer.ok and answer.error_name == INVENTORY_UNREADABLE:
        words = f"the server can't report its inventory: {answer.error}"
        no_shadow = words if plan.settings.vss != "off" else ""
        noted = plan.model_copy(update={"notes": [*plan.notes, words], "no_shadow": no_shadow})
        return with_role(noted, not_known(words))
    inventory = inventory_of(answer)
    windows = f"{inventory.windows.name or 'Windows'} {inventory.windows.version or ''}".strip()
    overdue = inventory.overdue
    strange = strange_notes(inventory.strange) if inventory.strange else []
    notes = [*plan.notes, *overdue_notes(overdue), *strange, *remarks(plan.volumes, plan.excluded, inventory)]
    found = {"windows": windows, "notes": notes, "overdue": [str(each) for each in overdue]}
    known = with_role(plan.model_copy(update=found), node_of(inventory.cluster))
    if known.skipped:
        return known
    known = with_servers_files(known, inventory)
    if plan.settings.aws_vss:
        known = with_document(known, inventory)
    if plan.settings.disk_shadow:
        shadow = plan_shadow_copies(known, inventory, looked.writers)
        update = {"shadow": shadow.plan, "no_shadow": shadow.obstacle, "notes": [*known.notes, *shadow.notes]}
        known = joined(known.model_copy(update=update), looked.attached, shadow.joining)
        known = known if known.no_shadow else with_required_writers(known, inventory)
    copied = [volume.volume_guid for volume in known.shadow.volumes] if known.shadow else []
    notes = [*known.notes, *words_before(inventory, known.settings, copied)]
    return known.model_copy(update={"notes": notes, "volumes": with_drives(known.volumes, inventory)})


def _staged(guest: Guest, bucket: Bucket, plan: Plan, keys: Sequence[str] | None) -> Plan:
    """Pack what the run's sessions need on the server, and have the server fetch it."""
    scripts = plan.settings.scripts
    source, account = ("off", "") if scripts == "off" else (scripts.source, scripts.run_as or "")
    found = _scripts(bucket, plan, keys) if source == "bucket" else {}
    package = pack(plan.policy, found, _shadow_script(plan), account=account)
    key = package_key(plan.instance_id, plan.run_id, package.sha256)
    bucket.write_package(key, package.content)
    parameters = stage_parameters(plan, bucket.link_to_package(key), package.sha256)
    answer = guest.ask("stage", parameters, patience.STAGE_PATIENCE)
    staged = staged_of(answer)
    if account and staged.scripts.get("session"):
        return without_asking(plan, f"a session script can't run under another account, and run_as is {account}")
    where = "in the bucket" if source == "bucket" else "on the server"
    looked = f" ({' or '.join(places(plan.owner, plan.instance_id))})" if source == "bucket" else ""
    notes = list(dict.fromkeys([*plan.notes, *staged_notes(staged, f"{where}{looked}")]))
    # Inventory may have been unreadable, or have come a moment too early.
    overdue = dict.fromkeys([*plan.overdue, *map(str, staged.overdue)])
    return plan.model_copy(update={"notes": notes, "overdue": list(overdue), "nonce": answer.nonce or ""})


def _scripts(bucket: Bucket, plan: Plan, keys: Sequence[str] | None) -> dict[Script, bytes]:
    """Return the content of each script that the bucket has."""
    if keys is None:
        keys = bucket.list_scripts(places(plan.owner, plan.instance_id))
    found = choose(keys, owner=plan.owner, instance_id=plan.instance_id, policy=plan.policy)
    return {stage: bucket.read_script(key) for stage, key in found.items() if key}


def _shadow_script(plan: Plan) -> Sequence[str]:
    shadow, vss = plan.shadow, plan.settings.disk_shadow
    if shadow is None or vss is None:
        return ()
    volumes, copy_only = [volume.volume_guid for volume in shadow.volumes], vss.backup_type == "copy"
    return script.session_script(
        volumes, copy_only=copy_only, excluded=shadow.excluded_writers, no_writers=shadow.no_writers
    )
