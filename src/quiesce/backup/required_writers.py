"""The writers that a policy requires, looked at before anything is held: DiskShadow tells only once it has frozen."""

from quiesce.backup.state import Plan
from quiesce.guest.examination import FAILED_FROM, writers_in
from quiesce.guest.inventory import Inventory
from quiesce.vss.known_writers import name_of

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
