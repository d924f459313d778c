"""Plan: check everything that can be checked before anything is created, and take the server's lease."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from quiesce.aws.bucket import Bucket
from quiesce.aws.point_looks import find_names
from quiesce.aws.policies.policy_run_files import PolicyRunFiles
from quiesce.aws.policies.policy_runs import PolicyRuns
from quiesce.aws.runs import LEASE_S, Runs
from quiesce.aws.servers import describe_server, describe_volumes, find_candidates, server_of
from quiesce.aws.snapshots import try_create_snapshots
from quiesce.aws.ssm import Guest
from quiesce.backup import planning
from quiesce.backup.input import BackupRequest, choose_by_tags, choose_target, is_name, read_request
from quiesce.backup.requests import snapshots_request
from quiesce.backup.run import RunIdentity, check_run_id
from quiesce.backup.state import Plan
from quiesce.backup.volumes import select
from quiesce.clock import Clock
from quiesce.errors import PolicyRefused
from quiesce.guest.documents import documents_of
from quiesce.guest.scripts import places
from quiesce.policy.file import read_policy, read_policy_file
from quiesce.policy.policy import Policy
from quiesce.policy.selection import Candidate
from quiesce.recovery.servers import named
from quiesce.settings import Settings
from quiesce.steps.backup.entry import enter, leave
from quiesce.steps.backup.prepare import Looked, prepare
from quiesce.steps.backup.writers_files import with_writers_files
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
        policy = self._read(request, bucket)
        if is_name(request):
            self._refuse_name(request.instance_id or "", policy)
        settings = choose_target(policy, request)
        if request.policy_run:
            PolicyRuns(self.dynamodb, self.settings.table_name).begin_target(run.policy_run, run.instance_id, execution)
        instance = describe_server(self.ec2, run.instance_id, self.ec2.meta.region_name)
        settings = settings or choose_by_tags(policy, Candidate(instance.instance_id, instance.tags))
        server = server_of(instance)
        attached = describe_volumes(self.ec2, instance)
        selection = select(attached, settings.volumes)
        keys = None
        if settings.freezes and settings.vss != "off":
            keys = bucket.list_scripts(places(policy.owner, run.instance_id))
            settings, notes = with_writers_files(settings, bucket, policy, run.instance_id, keys)
            selection.notes.extend(notes)
        origin = planning.Origin(self.settings.stack_name, now)
        plan = planning.decide(run, policy, settings, server, selection, origin)
        if plan.freezes:
            # Where nothing is frozen, EC2's refusal of the set itself costs as little.
            try_create_snapshots(self.ec2, snapshots_request(plan, vss=True))
        # After all cheap checks: a refused run must not hold the server (docs/decisions/0005-lease-last.md).
        runs.claim(run, execution, plan.model_dump_json(), now, now + timedelta(seconds=LEASE_S))
        if plan.freezes:
            # Freeze keeps the plan that comes of it, with its attempt: until then Sweep has nothing to thaw.
            plan = self._prepared(plan, run, Looked(attached=attached, keys=keys))
        logger.info("planned", volumes=len(plan.volumes), reason=plan.consistency.reason)
        return leave(plan)

    def _prepared(self, plan: Plan, run: RunIdentity, looked: Looked) -> Plan:
        """Prepare the server; if more volumes are in the backup then, try once more whether EC2 would take it."""
        guest = Guest(self.ssm, documents_of(self.settings), run.instance_id, self.clock)
        runs = Runs(self.dynamodb, self.settings.table_name)
        writers = runs.last_writers(run) if plan.settings.disk_shadow else []
        prepared = prepare(guest, self._bucket(), plan, replace(looked, writers=writers))
        if prepared.excluded != plan.excluded:
            try_create_snapshots(self.ec2, snapshots_request(prepared, vss=True))
        return prepared

    def _refuse_name(self, name: str, policy: Policy) -> None:
        """Refuse a Name tag with the id of the policy's target that has it: only by its id a stopped run finds it."""
        ids = [target.instance_id for target in policy.targets if target.instance_id]
        names = find_names(self.ec2, ids)
        if len(ids) < len(policy.targets):
            by_tags = [each for each in find_candidates(self.ec2) if policy.entries_for(each)]
            names |= {each.instance_id: each.tags.get("Name", "") for each in by_tags}
        found = named(name, names, PolicyRefused)
        problem = f"'{name}' is the Name tag of {found}, and a run needs its server's id from its first state on"
        raise PolicyRefused("instance_id", problem, f"write {found}")

    def _bucket(self) -> Bucket:
        return Bucket(self.s3, self.links, self.settings.bucket_name)

    def _read(self, request: BackupRequest, bucket: Bucket) -> Policy:
        """Read the policy that the input names or contains; within a policy run, the text that Resolve has kept."""
        if not isinstance(request.policy, str):
            return read_policy(request.policy, "policy")
        if request.policy_run is None:
            content, where = bucket.read_policy(request.policy)
        else:
            files = PolicyRunFiles(self.s3, bucket.name, request.policy, request.policy_run.id)
            content, where = files.read_policy()
        return read_policy_file(content, request.policy, where)
