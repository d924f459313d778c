"""Plan: check everything that can be checked before anything is created, and take the server's lease."""

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from quiesce.aws.bucket import Bucket
from quiesce.aws.runs import LEASE_S, Runs
from quiesce.aws.servers import describe_server, describe_volumes, server_of
from quiesce.aws.snapshots import try_create_snapshots
from quiesce.aws.ssm import Guest
from quiesce.backup import planning
from quiesce.backup.input import BackupRequest, choose_target, read_request
from quiesce.backup.requests import snapshots_request
from quiesce.backup.run import check_run_id
from quiesce.backup.volumes import select
from quiesce.clock import Clock
from quiesce.policy.file import read_policy, read_policy_file
from quiesce.policy.policy import Policy
from quiesce.settings import Settings
from quiesce.steps.backup.entry import enter, leave
from quiesce.steps.backup.prepare import prepare
from quiesce.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_ssm import SSMClient


@dataclass(frozen=True)
class PlanStep:
    """What Plan needs; ``links`` is a client of S3 whose links name the bucket's own host."""

    ec2: "EC2Client"
    s3: "S3Client"
    links: "S3Client"
    ssm: "SSMClient"
    dynamodb: "DynamoDBClient"
    settings: Settings
    clock: Clock

    def take(self, document: dict[str, Any]) -> dict[str, Any]:
        """Plan a run: what is backed up, how good it can be, and why.

        Returns:
            The ``Plan``, which the table also keeps, for sweep.

        Raises:
            PolicyRefused, ServerRefused: the input, the policy or the server do not allow the backup; not retried.
            RunAlreadyStarted: another execution has this run id; not retried.
            ServerBusy: another run holds the server; retried for a bounded time.
        """
        state, run = enter("plan", document)
        now, execution = self.clock.now(), state.execution.id
        runs, bucket = Runs(self.dynamodb, self.settings.table_name), self._bucket()
        check_run_id(run.run_id)
        request = read_request(state.input)
        policy = _read(request, bucket)
        settings = choose_target(policy, request)
        runs.claim_run(run, execution, now)
        instance = describe_server(self.ec2, run.instance_id, self.ec2.meta.region_name)
        server = server_of(instance)
        selection = select(describe_volumes(self.ec2, instance), settings.volumes)
        origin = planning.Origin(self.settings.stack_name, now)
        plan = planning.decide(run, policy, settings, server, selection, origin)
        try_create_snapshots(self.ec2, snapshots_request(plan, vss=plan.freezes))
        # After all cheap checks: a refused run must not hold the server (docs/decisions/0005-lease-last.md).
        runs.take_lease(run, execution, now, now + timedelta(seconds=LEASE_S))
        if plan.freezes:
            guest = Guest(self.ssm, self.settings.document_name, run.instance_id, self.clock)
            writers = [] if settings.vss == "off" else runs.last_writers(run)
            plan = prepare(guest, bucket, plan, writers)
        runs.keep_plan(run, execution, plan.model_dump_json())
        logger.info("planned", volumes=len(plan.volumes), reason=plan.consistency.reason)
        return leave(plan)

    def _bucket(self) -> Bucket:
        return Bucket(self.s3, self.links, self.settings.bucket_name)


def _read(request: BackupRequest, bucket: Bucket) -> Policy:
    """Read the policy that the input names or contains."""
    if not isinstance(request.policy, str):
        return read_policy(request.policy, "policy")
    content, where = bucket.read_policy(request.policy)
    return read_policy_file(content, request.policy, where)
