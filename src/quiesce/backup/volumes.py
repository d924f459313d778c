"""Which of a server's volumes a policy selects: a pure decision, with the reason for each volume that is left out."""

from collections.abc import Sequence
from dataclasses import dataclass

from quiesce.backup.state import Plan
from quiesce.errors import PolicyRefused, ServerRefused
from quiesce.points.parts import Excluded, Volume
from quiesce.policy.parts import VolumeChoice

# CreateSnapshots takes at most this many ExcludeDataVolumeIds (EC2 API reference).
MAX_EXCLUDED_DATA_VOLUMES = 40


@dataclass(frozen=True)
class AttachedVolume:
    """A volume that is attached to the server, with its tags."""

    volume: Volume
    tags: dict[str, str]


@dataclass(frozen=True)
class Selection:
    """The volumes to back up, those left out, and notes for the record."""

    chosen: list[Volume]
    excluded: list[Excluded]
    notes: list[str]


def select(attached: Sequence[AttachedVolume], choice: VolumeChoice) -> Selection:
    """Choose the volumes to back up.

    An ``include`` selector that fits no volume is refused: the policy's author counts on that volume's backup.
    An ``exclude`` selector that fits none is only noted: it leaves more to back up, not less.

    Raises:
        ServerRefused: the server has no EBS volume.
        PolicyRefused: no volume is left, an ``include`` fits none, or more are excluded than EC2 can exclude.
    """
    if not attached:
        raise ServerRefused("instance_id", "the server has no EBS volume", "choose a server with EBS volumes")
    field = "include" if choice.include is not None else "exclude"
    selectors = choice.include if choice.include is not None else choice.exclude or []
    unmatched = [s for s in selectors if not any(_fits(s, a) for a in attached)]
    if choice.include is not None and unmatched:
        raise PolicyRefused(
            "volumes.include", f"{', '.join(unmatched)} fits no volume of the server ({_list(attached)})", "correct it"
        )
    excluded = [e for a in attached if (e := _excluded(a, choice))]
    left_out = {e.volume_id for e in excluded}
    chosen = [a.volume for a in attached if a.volume.volume_id not in left_out]
    _check(chosen, excluded, field, _list(attached))
    notes = [f"volumes.exclude: {s} fits no volume of the server; nothing was left out for it" for s in unmatched]
    return Selection(chosen, excluded, notes)


def joined(plan: Plan, attached: Sequence[AttachedVolume], volume_ids: Sequence[str]) -> Plan:
    """Return a plan that also backs up these volumes, which the policy leaves out."""
    if not volume_ids:
        return plan
    there = {volume.volume_id: volume for volume in plan.volumes}
    volumes = [a.volume for a in attached if a.volume.volume_id in {*there, *volume_ids}]
    return plan.model_copy(
        update={
            "volumes": [there.get(volume.volume_id, volume) for volume in volumes],
            "excluded": [volume for volume in plan.excluded if volume.volume_id not in volume_ids],
        }
    )


def _check(chosen: list[Volume], excluded: list[Excluded], field: str, all_volumes: str) -> None:
    if not chosen:
        raise PolicyRefused(
            f"volumes.{field}", f"leaves no volume of {all_volumes} to back up", "leave at least one volume in"
        )
    data = sum(not e.root for e in excluded)
    if data > MAX_EXCLUDED_DATA_VOLUMES:
        raise PolicyRefused(
            f"volumes.{field}",
            f"leaves out {data} data volumes; EC2 can leave out {MAX_EXCLUDED_DATA_VOLUMES} of one server",
            "leave out fewer, or move them to another server",
        )


def _excluded(attached: AttachedVolume, choice: VolumeChoice) -> Excluded | None:
    volume = attached.volume
    reason = None
    if choice.include is not None and not any(_fits(s, attached) for s in choice.include):
        reason = "not in volumes.include"
    for selector in choice.exclude or []:
        if _fits(selector, attached):
            reason = f"volumes.exclude: {selector}"
            break
    if reason is None:
        return None
    return Excluded(volume_id=volume.volume_id, device=volume.device, root=volume.root, reason=reason)


def _fits(selector: str, attached: AttachedVolume) -> bool:
    if selector == "root":
        return attached.volume.root
    if selector.startswith("tag:"):
        key, _, value = selector.removeprefix("tag:").partition("=")
        return attached.tags.get(key) == value
    return selector in (attached.volume.volume_id, attached.volume.device)


def _list(attached: Sequence[AttachedVolume]) -> str:
    return ", ".join(f"{a.volume.device} {a.volume.volume_id}" for a in attached)
