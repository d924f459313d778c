"""Resolve: read the policy, find the servers that it means now, and write the list for the Distributed Map."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from quiesce.aws.bucket import Bucket
from quiesce.aws.policies.policies_in_force import PoliciesInForce
from quiesce.aws.policies.policy_run_files import PolicyRunFiles
from quiesce.aws.policies.policy_runs import PolicyRuns
from quiesce.aws.servers import find_candidates
from quiesce.clock import Clock
from quiesce.policy.policy import Policy
from quiesce.policy_run.input import PolicyRequest, PolicyRunIdentity, check_run_id, identify, read_policy_request
from quiesce.policy_run.resolving import items_of, resolve
from quiesce.policy_run.state import Found, PolicyRunState, Resolve
from quiesce.schedules.starts import Start, judge_start
from quiesce.settings import Settings
from quiesce.steps.policy_in_force import InForce, policy_in_force
from quiesce.telemetry import begin, logger

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class ResolveStep:
    """What Resolve needs."""

    ec2: "EC2Client"
    s3: "S3Client"
    dynamodb: "DynamoDBClient"
    settings: Settings
    clock: Clock

    def take(self, document: dict[str, Any]) -> dict[str, Any]:
        """Find the servers of a policy run, and keep the policy and the list of them in the bucket.

        Returns:
            The ``Resolve``.

        Raises:
            PolicyRefused: the input or the policy is not usable; not retried.
            RunAlreadyStarted: another execution has this policy run's id; not retried.
        """
        state = PolicyRunState.model_validate(document)
        run = identify(state.execution, state.input)
        begin("resolve", run_id=run.run_id, policy=run.policy)
        check_run_id(run)
        request = read_policy_request(state.input)
        runs = PolicyRuns(self.dynamodb, self.settings.table_name)
        runs.claim(run, self.clock.now())
        files = PolicyRunFiles(self.s3, self.settings.bucket_name, run.policy, run.run_id)
        in_force = self._in_force(request)
        policy = in_force.policy
        start = self._judge(policy, request, state.execution.started_at)
        if start.skipped:
            warnings = [start.skipped] if start.told else []
            runs.keep_found(run, Found(servers=0, notes=[], warnings=warnings, skipped=start.skipped))
            logger.info("skipped", reason=start.skipped)
            return self._resolved(run, policy, skipped=start.skipped)
        resolved = resolve(policy, find_candidates(self.ec2))
        # The servers' runs read this text, so that all of them go by the same policy.
        files.write_policy(in_force.content)
        files.write_items(items_of(resolved, policy, request, run))
        servers = len(resolved.targets)
        warnings = [*([in_force.note] if in_force.note else []), *resolved.warnings]
        runs.keep_found(run, Found(servers=servers, notes=[*start.notes, *resolved.notes], warnings=warnings))
        logger.info("resolved", servers=servers, warnings=warnings)
        return self._resolved(run, policy, servers=servers, items=files.key("items.json"))

    def _resolved(
        self, run: PolicyRunIdentity, policy: Policy, *, servers: int = 0, items: str = "", skipped: str = ""
    ) -> dict[str, Any]:
        return Resolve(
            servers=servers,
            max_concurrency=policy.max_concurrency,
            items=items,
            policy=run.policy,
            policy_run=run.run_id,
            has_rule=policy.retention is not None,
            skipped=skipped,
        ).model_dump(mode="json")

    def _in_force(self, request: PolicyRequest) -> InForce:
        bucket = Bucket(self.s3, self.s3, self.settings.bucket_name)
        kept = PoliciesInForce(self.dynamodb, self.settings.table_name)
        return policy_in_force(bucket, kept, request.policy, scheduled=request.scheduled_time is not None)

    def _judge(self, policy: Policy, request: PolicyRequest, started_at: datetime) -> Start:
        """Judge a scheduled start by when the execution began, so that a repeated Resolve judges as the first one."""
        if request.scheduled_time is None:
            return Start()
        return judge_start(policy, request.schedule, request.scheduled_time, started_at)
