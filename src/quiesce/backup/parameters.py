"""The parameters of each verb that the server is asked for, as guest/document.yaml names them."""

from collections.abc import Mapping

from quiesce.backup.state import Plan
from quiesce.guest.scripts import STAGES, Stage

# Above the backup machine's own limit: when the server ends a session by itself, the execution has certainly ended.
SESSION_LIMIT_S = 169200
NO_LINK = NO_SCRIPT = "none"


def inventory_parameters(plan: Plan) -> dict[str, str]:
    """Return what inventory needs."""
    return {"RunId": plan.run_id, "InstanceId": plan.instance_id}


def stage_parameters(plan: Plan, links: Mapping[Stage, str], shadow_script: str = NO_SCRIPT) -> dict[str, str]:
    """Return what stage needs.

    Args:
        plan: the run's.
        links: presigned, empty for scripts that lie on the server.
        shadow_script: DiskShadow's, as ``vss.script.script_parameter`` returns it.
    """
    limits, scripts = plan.settings.limits, plan.settings.scripts
    link_parameters = {f"{stage.capitalize()}Link": links.get(stage, NO_LINK) for stage in STAGES}
    return {
        "RunId": plan.run_id,
        "InstanceId": plan.instance_id,
        "Policy": plan.policy,
        "Scripts": "off" if scripts == "off" else scripts.source,
        **link_parameters,
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
