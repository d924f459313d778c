"""What is asked of the server: each verb's parameters, in the words of guest/document.yaml, and how long to wait."""

from collections.abc import Mapping
from dataclasses import dataclass

from quiesce.policy import DELIVERY_S, Scripts
from quiesce.scripts import STAGES, Stage
from quiesce.state import Plan

# One attempt a run: nothing on the server is tried again yet.
ATTEMPT = "1"
# Above the backup machine's own limit: the server ends a session by itself when AWS certainly has ended.
SESSION_LIMIT_S = 118800
# Windows answers six questions about itself within 20 s each; then there is the metadata service.
INVENTORY_S = 130
# Three small objects to fetch.
STAGE_S = 90
# A few files to pack and put.
COLLECT_S = 90
# Sweep has a function's 900 s for this, for the session's files and for its report.
SWEEP_S = 480
# Inside the freeze each look counts; outside of it nobody waits for us.
FREEZE_LOOK_S, LAZY_LOOK_S = 0.3, 2.0
NO_LINK = "none"


@dataclass(frozen=True)
class Patience:
    """How long to wait for an answer, and how often to look, both in seconds."""

    limit_s: float
    look_every_s: float


INVENTORY_PATIENCE = Patience(INVENTORY_S + DELIVERY_S, LAZY_LOOK_S)

STAGE_PATIENCE = Patience(STAGE_S + DELIVERY_S, LAZY_LOOK_S)

COLLECT_PATIENCE = Patience(COLLECT_S + DELIVERY_S, LAZY_LOOK_S)


def inventory_parameters(plan: Plan) -> dict[str, str]:
    """Return what inventory needs."""
    return {"RunId": plan.run_id, "InstanceId": plan.instance_id}


def stage_parameters(plan: Plan, scripts: Scripts, links: Mapping[Stage, str]) -> dict[str, str]:
    """Return what stage needs; ``links`` are presigned, empty for scripts that lie on the server."""
    link_of = {f"{stage.capitalize()}Link": links.get(stage, NO_LINK) for stage in STAGES}
    return {
        "RunId": plan.run_id,
        "InstanceId": plan.instance_id,
        "Policy": plan.policy,
        "Scripts": scripts.source,
        **link_of,
        "BeforeTimeoutSeconds": str(scripts.before_limit_s),
        "AfterTimeoutSeconds": str(scripts.after_limit_s),
        "CompleteTimeoutSeconds": str(scripts.complete_limit_s),
        "FreezeLimitSeconds": str(plan.settings.freeze_limit_s),
        "SessionLimitSeconds": str(SESSION_LIMIT_S),
    }


def session_parameters(plan: Plan, wait_s: int) -> dict[str, str]:
    """Return what freeze and thaw need; ``wait_s`` is how long the server waits for its session."""
    return {"RunId": plan.run_id, "Attempt": ATTEMPT, "WaitSeconds": str(wait_s)}


def collect_parameters(plan: Plan, link: str) -> dict[str, str]:
    """Return what collect needs; ``link`` is where the server puts the files."""
    output = plan.needed_scripts().collect_output
    return {"RunId": plan.run_id, "Attempt": ATTEMPT, "UploadLink": link, "CollectOutput": str(output).lower()}


def freeze_wait(scripts: Scripts) -> tuple[int, Patience]:
    """Return how long the server and AWS wait for freeze: the before script, and delivery."""
    return scripts.before_limit_s + 30, Patience(scripts.before_limit_s + DELIVERY_S, FREEZE_LOOK_S)


def thaw_wait(scripts: Scripts) -> tuple[int, Patience]:
    """Return how long they wait for thaw: before may have to end first. The server thaws before we hear of it."""
    limit_s = scripts.before_limit_s + scripts.after_limit_s
    return limit_s + 30, Patience(limit_s + DELIVERY_S, LAZY_LOOK_S)


def complete_wait(scripts: Scripts) -> tuple[int, Patience]:
    """Return how long they wait for complete: before and after may have to end first."""
    limit_s = scripts.before_limit_s + scripts.after_limit_s + scripts.complete_limit_s
    return limit_s + 30, Patience(limit_s + DELIVERY_S, LAZY_LOOK_S)


def sweep_wait(scripts: Scripts) -> tuple[int, Patience]:
    """Return how long sweep waits for complete: as above, but it must have time left to report."""
    wait_s, patience = complete_wait(scripts)
    return min(wait_s, SWEEP_S), Patience(min(patience.limit_s, SWEEP_S + DELIVERY_S), LAZY_LOOK_S)
