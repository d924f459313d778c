"""The parameters of each verb that the server is asked for, as guest/look.yaml and guest/act.yaml name them."""

from quiesce.backup.planning import requires_writers
from quiesce.backup.state import Plan

# Above the backup machine's own limit: when the server ends a session by itself, the execution has certainly ended.
SESSION_LIMIT_S = 172800
# How many bytes of DiskShadow's log a session's answers have; one of 64 volumes and a server's writers has fewer. An
# answer that is too long all the same is asked for again with less of it (aws.ssm).
LOG_BYTES = 400_000


def inventory_parameters(plan: Plan) -> dict[str, str]:
    """Return what inventory needs."""
    settings = plan.settings
    on_server = settings.vss != "off" and settings.scripts != "off" and settings.scripts.source == "server"
    writers_of = f"{plan.owner}/{plan.policy}" if on_server else "none"
    cluster = str(settings.role != "any").lower()
    writers = str(requires_writers(plan) or writers_of != "none").lower()
    return {
        "RunId": plan.run_id,
        "InstanceId": plan.instance_id,
        "WritersOf": writers_of,
        "Writers": writers,
        "Cluster": cluster,
    }


def stage_parameters(plan: Plan, link: str, sha256: str) -> dict[str, str]:
    """Return what stage needs; ``link`` is where the server gets the run's package with this hash."""
    limits, scripts = plan.settings.limits, plan.settings.scripts
    return {
        "RunId": plan.run_id,
        "InstanceId": plan.instance_id,
        "Policy": plan.policy,
        "Owner": plan.owner,
        "Scripts": "off" if scripts == "off" else scripts.source,
        "PackageLink": link,
        "PackageHash": sha256,
        "BeforeTimeoutSeconds": str(limits.before_s),
        "CreateTimeoutSeconds": str(limits.create_s or 1),
        "AfterTimeoutSeconds": str(limits.after_s),
        "CompleteTimeoutSeconds": str(limits.complete_s),
        "FreezeLimitSeconds": str(plan.settings.freeze_limit_s),
        "SessionLimitSeconds": str(SESSION_LIMIT_S),
    }


def session_parameters(plan: Plan, attempt: int, wait_s: int) -> dict[str, str]:
    """Return what freeze, thaw and complete need; ``wait_s`` is how long the server waits for its session."""
    return {"RunId": plan.run_id, "Attempt": str(attempt), "WaitSeconds": str(wait_s), "LogBytes": str(LOG_BYTES)}


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
