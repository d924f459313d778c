"""What is asked of the server: each verb's parameters, in the words of guest/document.yaml, and how long to wait."""

from collections.abc import Mapping
from dataclasses import dataclass

from quiesce.backup.state import Plan
from quiesce.guest.scripts import STAGES, Stage
from quiesce.policy.policy import DELIVERY_S, SessionLimits

# Above the backup machine's own limit: the server ends a session by itself when AWS certainly has ended.
SESSION_LIMIT_S = 169200
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
NO_LINK = NO_SCRIPT = "none"


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


def stage_parameters(plan: Plan, links: Mapping[Stage, str], shadow_script: str = NO_SCRIPT) -> dict[str, str]:
    """Return what stage needs.

    Args:
        plan: of the run.
        links: presigned, empty for scripts that lie on the server.
        shadow_script: DiskShadow's, as diskshadow_script has it for a parameter.
    """
    limits, scripts = plan.settings.limits, plan.settings.scripts
    link_of = {f"{stage.capitalize()}Link": links.get(stage, NO_LINK) for stage in STAGES}
    return {
        "RunId": plan.run_id,
        "InstanceId": plan.instance_id,
        "Policy": plan.policy,
        "Scripts": "off" if scripts == "off" else scripts.source,
        **link_of,
        "ShadowScript": shadow_script,
        "BeforeTimeoutSeconds": str(limits.before_s),
        "CreateTimeoutSeconds": str(limits.create_s or 1),
        "AfterTimeoutSeconds": str(limits.after_s),
        "CompleteTimeoutSeconds": str(limits.complete_s),
        "FreezeLimitSeconds": str(plan.settings.freeze_limit_s),
        "SessionLimitSeconds": str(SESSION_LIMIT_S),
    }


def session_parameters(plan: Plan, attempt: int, wait_s: int) -> dict[str, str]:
    """Return what freeze, thaw and complete need; ``wait_s`` is how long the server waits for its session."""
    return {"RunId": plan.run_id, "Attempt": str(attempt), "WaitSeconds": str(wait_s)}


def collect_parameters(plan: Plan, attempt: int, link: str) -> dict[str, str]:
    """Return what collect needs; ``link`` is where the server puts the files."""
    scripts = plan.settings.scripts
    output = scripts != "off" and scripts.collect_output
    return {
        "RunId": plan.run_id,
        "Attempt": str(attempt),
        "UploadLink": link,
        "CollectOutput": str(output).lower(),
    }


def freeze_wait(limits: SessionLimits) -> tuple[int, Patience]:
    """Return how long the server and AWS wait for freeze: the before script, the shadow copies, and delivery."""
    return _wait(limits.before_s + limits.create_s, FREEZE_LOOK_S)


def thaw_wait(limits: SessionLimits) -> tuple[int, Patience]:
    """Return how long they wait for thaw: the freeze may have to end first, an aborted attempt's copies go after it.

    The server thaws before we hear of it.
    """
    return _wait(limits.before_s + limits.create_s + limits.after_s + limits.ending_s, LAZY_LOOK_S)


def complete_wait(limits: SessionLimits) -> tuple[int, Patience]:
    """Return how long they wait for complete: everything before it may have to end first."""
    return _wait(sum(limits), LAZY_LOOK_S)


def sweep_wait(limits: SessionLimits) -> tuple[int, Patience]:
    """Return how long sweep waits for complete: as above, but it must have time left to report."""
    wait_s, patience = complete_wait(limits)
    return min(wait_s, SWEEP_S), Patience(min(patience.limit_s, SWEEP_S + DELIVERY_S), LAZY_LOOK_S)


def _wait(limit_s: int, look_every_s: float) -> tuple[int, Patience]:
    return limit_s + 30, Patience(limit_s + DELIVERY_S, look_every_s)
