"""The conditions of the cases' servers: for the model as they are, for the stand-ins in a file."""

import json
from dataclasses import replace
from pathlib import Path

from sandbox.windows.cluster import ONLINE, Cluster, Role, sql_cluster
from sandbox.windows.examination import DISABLED, FAILED, RUNNING, SERVICES, SYSTEM_WRITER, Condition, Writer

SQL_WRITER = Writer("SqlServerWriter", "{a65faa63-5ea8-4ebc-9dbd-a0c4db26912a}", FAILED)
CONDITIONS = {
    # The stand-in for the components' program has no version.
    "ready": Condition(aws_components="", folder=(True, True)),
    "wanting": Condition(
        services=SERVICES | {"VSS": DISABLED, "swprv": DISABLED, "ClusSvc": RUNNING},
        providers={"{0a1b2c3d-0000-4000-8000-00000000aaaa}": "Array's hardware provider"},
        encrypted={"C:": 1, "D:": 0},
        defender=({"d1e49aac-8f56-4280-b9ba-993a6d77406c": 1}, 1),
        group_policy="AllSigned",
        pending_reboot=("RebootPending", "RebootRequired", "PendingFileRenameOperations"),
        writers=(SYSTEM_WRITER, SQL_WRITER),
        aws_components=None,
    ),
    "stopped events": Condition(services=SERVICES | {"EventSystem": ("Stopped", "Auto")}, aws_components=""),
    "without features": Condition(services={}, providers={}, defender=None, writers=(), aws_components=None),
    "node": Condition(cluster=sql_cluster(), aws_components=""),
    "strange cluster": Condition(
        cluster=Cluster(
            "Zürich",
            ("SQL-A",),
            [Role("no owner", None, None, None), Role("of ' $( a name", "SQL-C", 2**32 - 1, ONLINE)],
        ),
        aws_components="",
    ),
    "cluster that nobody has made": Condition(cluster=Cluster("", ()), aws_components=""),
}


def condition(name: str, folder: tuple[bool, bool] | None) -> Condition:
    """Return the condition of this name, for one server alone, with the state of quiesce's folder on it."""
    known = CONDITIONS[name]
    own = {"services": known.services.copy(), "unanswered": set[str]()}
    return replace(known, **own, folder=folder, lists_applications=False)


def install(home: Path, name: str) -> None:
    """Let a machine be in the condition of this name."""
    condition = CONDITIONS[name]
    content = {
        "instances": condition.instances(),
        "registry": condition.registry(),
        "writers": condition.writers_text(),
    }
    (home / "condition.json").write_text(json.dumps(content))
    program = home / "ProgramFiles" / "Amazon" / "AwsVssComponents" / "ec2-vss-agent.exe"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.unlink(missing_ok=True)
    if condition.aws_components is not None:
        program.write_text("a program")
