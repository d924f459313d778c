"""What to try on the deployed stack, as commands to type."""

import json
from pathlib import Path
from typing import Any

TRY = "try-1"


def commands(outputs: dict[str, str], instance_id: str) -> list[str]:
    """Return a backup, a look at what it left, a dry run, a recovery and its progress, for a stack's outputs."""
    backup, recover = outputs["BackupMachineArn"], outputs["RecoverMachineArn"]
    point = {"instance_id": instance_id, "at": "latest", "beside_the_old_one": True}
    return [
        _start(backup, {"policy": "files-nightly", "instance_id": instance_id}),
        f"aws s3 ls s3://{outputs['BucketName']}/records/{instance_id}/",
        _start(recover, {**point, "mode": "dry-run"}),
        _start(recover, {**point, "recovery_id": TRY}),
        f"aws s3 cp s3://{outputs['BucketName']}/recoveries/{TRY}/progress.txt -",
        f"aws stepfunctions list-executions --state-machine-arn {recover}",
    ]


def to_look(python: str, project: Path) -> list[str]:
    """Return how to look at the stack with the project's own command line, in the terminal and in a browser."""
    quiesce = f"{python} -m quiesce_cli"
    return [
        f"export PYTHONPATH={project}/src:{project}/cli",
        f"{quiesce} status",
        f"{quiesce} serve --allow-start",
    ]


def _start(machine: str, request: dict[str, Any]) -> str:
    return f"aws stepfunctions start-execution --state-machine-arn {machine} --input '{json.dumps(request)}'"
