"""Plan's decision: what is backed up, how good it can be, and why. Nothing here changes anything."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from quiesce import tags
from quiesce.policy import Policy, TargetSettings
from quiesce.run import RunIdentity
from quiesce.state import Consistency, Plan
from quiesce.volumes import Selection


@dataclass(frozen=True)
class Server:
    """What EC2 says of the server."""

    name: str
    state: Literal["running", "stopped"]
    platform: str


@dataclass(frozen=True)
class Origin:
    """Which stack plans, and when."""

    stack: str
    planned_at: datetime


def possible_consistency(state: Literal["running", "stopped"]) -> Consistency:
    """Say how good this backup can be, and why not better."""
    if state == "stopped":
        return Consistency(
            level="crash", reason="the server was stopped: nothing was writing, and no application was asked"
        )
    return Consistency(
        level="crash", reason="the server was running and no application was asked: what a power failure would leave"
    )


def decide(
    run: RunIdentity, policy: Policy, settings: TargetSettings, server: Server, selection: Selection, origin: Origin
) -> Plan:
    """Put together what was found and decided; the step adds the calls it made."""
    return Plan(
        run_id=run.run_id,
        policy=policy.name,
        owner=policy.owner,
        instance_id=run.instance_id,
        instance_name=server.name,
        instance_state=server.state,
        platform=server.platform,
        settings=settings,
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
        consistency=possible_consistency(server.state),
        notes=selection.notes,
        planned_at=origin.planned_at,
        calls={},
    )
