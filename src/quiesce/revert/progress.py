"""How far a build is, as a person reads it while it runs. Pure."""

from datetime import datetime

from quiesce.executions import Crossing
from quiesce.revert.state import PartOf, RevertState

BLOCKS_A_GIB = 2048
# What comes after a step, in words; parts are built and read back five at a time, and not always in their order.
NEXT = {
    "start": "Build: the blocks that differ are put into the snapshots",
    "complete": "Await: EBS completes the snapshots",
    "await": "Check: every snapshot is read back",
    "finish": "the snapshots are built and read back",
}
OF_PART = {"build": "Build", "check": "Check"}


def build_text(state: RevertState, answer: Crossing | None, waits: str, now: datetime) -> str:
    """Return how far a build is; empty after a step of which there is nothing to tell.

    Args:
        state: with which a step was taken.
        answer: the step's, None if it waits.
        waits: what it waits for, empty if it has answered.
        now: UTC.
    """
    if not (doing := _doing(state, answer) if answer else _waiting(state, waits)):
        return ""
    looked, request = state.looked, state.input.request
    blocks = sum(child.blocks_written for child in looked.children)
    lines = [
        f"Build for: {request.built_for}, of the shadow copies of {request.instance_id}",
        f"Now:       {doing}",
        f"In all:    {len(looked.children)} snapshots, at most {blocks:,} blocks of 512 KiB that differ",
        f"As of:     {now:%Y-%m-%d %H:%M:%S} UTC",
        f"Execution: {state.execution.id}",
    ]
    return "\n".join(lines) + "\n"


def _doing(state: RevertState, answer: Crossing) -> str:
    if isinstance(answer, PartOf):
        return f"{OF_PART[state.step]}: {_part(state, answer)}"
    return NEXT.get(state.step, "")


def _waiting(state: RevertState, waits: str) -> str:
    if state.part and state.step in OF_PART:
        return f"{OF_PART[state.step]}: {_part(state, state.part)}; {waits}"
    return f"{state.step.title()}: {waits}" if state.step in NEXT else ""


def _part(state: RevertState, part: PartOf) -> str:
    """Say how far one part is, by its number among all."""
    parts, child = state.needed_start.parts, state.children[part.child]
    number = next(n for n, each in enumerate(parts, 1) if (each.child, each.after) == (part.child, part.after))
    size = max(each.after for each in child.parts)
    reached = f"{part.first / BLOCKS_A_GIB:.1f} of {size / BLOCKS_A_GIB:.1f} GiB of {child.device}"
    return f"part {number} of {len(parts)} has reached {reached} ({child.snapshot_id})"
