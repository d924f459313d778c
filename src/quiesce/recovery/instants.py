"""What a recovery gives, in plain words: its consistency, as of which instant each volume is, and what if it fails.

The same words stand for good and bad in the dry run, the account and the mail. Pure.
"""

import json
from collections.abc import Iterator
from datetime import datetime

from quiesce.errors import RecoveryRefused
from quiesce.points.point import PointBuilt
from quiesce.recovery.plan import PlannedVolume, RecoveryPlan
from quiesce.revert.built import LookedAt

WORDS = {
    "application": "application-consistent",
    "crash": "crash-consistent, as after a power failure",
    "none": "of unknown consistency",
}


def instants(plan: RecoveryPlan) -> list[str]:
    """Say of each volume as of which instant it is or will be, in the order of the devices.

    Once it is known what can be built, a volume that Windows had a path for is named by that.
    """
    looked = plan.looked.copies if plan.looked else []
    lines = [line for volume in plan.volumes for line in _of_volume(plan, volume, looked)]
    known = {volume.volume_id for volume in plan.volumes}
    return [*lines, *(f"{copy.path}: {_of_copy(plan, copy)}" for copy in looked if copy.volume_id not in known)]


def standing(plan: RecoveryPlan) -> str:
    """Return the consistency of a recovery's data, its point in time and why, then what is nearest or to be heeded.

    The dry run, the account and the mail have it in this form.
    """
    parts = [f"{_words(plan)} ({plan.consistency.reason.rstrip('.')})"]
    parts += [part for part in (plan.nearest, plan.caution) if part]
    return "; ".join(parts)


def refusal(plan: RecoveryPlan) -> RecoveryRefused | None:
    """Return why a recovery does not go on by itself: some of its volumes can't be built, and nobody accepted that."""
    if plan.build is None or plan.looked is None or plan.build.where_possible or not plan.looked.refusals:
        return None
    problem = f"the volumes would be of different instants or of none that is consistent: {'; '.join(instants(plan))}"
    remedy = (
        "under another recovery_id, write revert 'where-possible' to build those that can be, or 'off' for all volumes "
        "as after a power failure; docs/use/recover.md says how Windows itself reverts a volume"
    )
    return RecoveryRefused("revert", problem, remedy)


def fallback(plan: RecoveryPlan) -> str:
    """Say what to do if the server does not start from built volumes; empty if none are built."""
    if not plan.built and (plan.build is None or (plan.looked is not None and not plan.looked.children)):
        return ""
    again = json.dumps({"instance_id": plan.from_instance_id, "recovery_point": plan.recovery_point, "revert": "off"})
    return (
        "if it does not start from its built volumes, the snapshots as EC2 made them are there, unchanged; "
        f"to recover from them, as after a power failure, start a recovery with {again}"
    )


def at(time: datetime) -> str:
    """Write a time for a person."""
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def _words(plan: RecoveryPlan) -> str:
    if plan.caution:
        return f"{WORDS['crash']}, as of {at(plan.snapshots_at)}"
    if instants := sorted(each.as_of for each in plan.built if each.as_of):
        return f"{WORDS['application']}, as of the shadow copies of {at(instants[0])}"
    if plan.build is None or plan.looked is None:
        return f"{WORDS[plan.consistency.level]}, as of {at(plan.snapshots_at)}"
    built = sorted(copy.as_of for copy in plan.looked.copies if copy.verdict == "buildable" and copy.as_of)
    if not built:
        return f"{WORDS['crash']}, as of {at(plan.snapshots_at)}: no volume can be built as of its shadow copy"
    if plan.looked.refusals:
        return f"volumes of different instants: some as of {at(built[0])}, others as of {at(plan.snapshots_at)}"
    return f"{WORDS['application']}, as of the shadow copies of {at(built[0])}"


def _of_volume(plan: RecoveryPlan, volume: PlannedVolume, looked: list[LookedAt]) -> Iterator[str]:
    built = next((each for each in plan.built if each.snapshot_id == volume.snapshot_id), None)
    if built:
        yield from _of_built(plan, volume, built)
        return
    copies = [copy for copy in looked if copy.volume_id == volume.volume_id]
    for copy in copies:
        yield f"{copy.path or copy.shadow_id} ({volume.device}): {_of_copy(plan, copy)}"
    others = [drive for drive in volume.drives if drive not in {copy.path for copy in copies}]
    if others or not copies:
        name = f"{', '.join(others)} ({volume.device})" if others else volume.device
        none = "; no shadow copy was made of it" if plan.looked else ""
        yield f"{name}: {_raw(plan)}{none}"


def _of_built(plan: RecoveryPlan, volume: PlannedVolume, built: PointBuilt) -> Iterator[str]:
    if built.as_of:
        state = f"as of its shadow copy of {at(built.as_of)}, built by the backup ({built.snapshot_id})"
        yield from (f"{path or volume.volume_id} ({volume.device}): {state}" for path in built.paths)
    if others := [drive for drive in volume.drives if drive not in built.paths]:
        yield f"{', '.join(others)} ({volume.device}): {_raw(plan)}; no shadow copy was made of it"
    elif not built.paths:
        yield f"{volume.device}: {_raw(plan)}; no shadow copy was made of it"


def _of_copy(plan: RecoveryPlan, copy: LookedAt) -> str:
    if copy.verdict == "buildable" and copy.as_of:
        return f"as of its shadow copy of {at(copy.as_of)}"
    why = "it can't be built as of its shadow copy"
    if copy.verdict == "not known":
        why = "it is not known whether it can be built as of its shadow copy"
    return f"{_raw(plan)}, because {why}: {copy.reason}"


def _raw(plan: RecoveryPlan) -> str:
    if plan.consistency.level == "application" and not plan.shadow_copies:
        return f"as of {at(plan.snapshots_at)}, while the application was held"
    return f"as after a power failure of {at(plan.snapshots_at)}"
