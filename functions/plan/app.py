"""Plan: check everything that can be checked before anything is created, and take the server's lease."""

from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from aws_lambda_powertools.utilities.typing import LambdaContext

from quiesce.aws import snapshots
from quiesce.aws.bucket import read_policy_bytes
from quiesce.aws.clients import HASTY, LINKS, REPEATABLE
from quiesce.aws.runs import LEASE_S, Table
from quiesce.aws.ssm import Guest
from quiesce.backup import planning
from quiesce.backup.run import check_run_id, identity_of
from quiesce.backup.state import RunState
from quiesce.backup.volumes import select
from quiesce.calls import counted, take_calls
from quiesce.policy.file import choose_target, read_policy, read_policy_file, read_request
from quiesce.settings import Settings
from quiesce.steps.backup.prepare import ScriptStore, prepare
from quiesce.telemetry import begin, logger

settings = Settings.from_env()
ec2_client = counted(boto3.client("ec2", config=REPEATABLE))
s3_client = counted(boto3.client("s3", config=REPEATABLE))
ssm_client = counted(boto3.client("ssm", config=HASTY))
scripts = ScriptStore(s3_client, boto3.client("s3", config=LINKS), settings.bucket_name)
table = Table(counted(boto3.client("dynamodb", config=REPEATABLE)), settings.table_name)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    take_calls()
    state, now = RunState.model_validate(event), datetime.now(UTC)
    run = identity_of(state)
    begin("plan", run)
    check_run_id(run.run_id)
    request = read_request(state.input)
    if isinstance(request.policy, str):
        content, where = read_policy_bytes(s3_client, settings.bucket_name, request.policy)
        policy = read_policy_file(content, request.policy, where)
    else:
        policy = read_policy(request.policy, "policy")
    chosen = choose_target(policy, request)
    table.claim_run(run, state.execution.id, now)
    instance = snapshots.describe_server(ec2_client, run.instance_id, ec2_client.meta.region_name)
    server = snapshots.server_of(instance)
    selection = select(snapshots.describe_volumes(ec2_client, instance), chosen.volumes)
    plan = planning.decide(run, policy, chosen, server, selection, planning.Origin(settings.stack_name, now))
    snapshots.try_create_snapshots(ec2_client, snapshots.request_of(plan, vss=plan.freezes))
    table.take_lease(run, state.execution.id, now, now + timedelta(seconds=LEASE_S))
    if plan.freezes:
        plan = prepare(Guest(ssm_client, settings.document_name, run.instance_id), scripts, plan)
    table.keep_plan(run, state.execution.id, plan.model_dump_json())
    logger.info("planned", volumes=len(plan.volumes), reason=plan.consistency.reason)
    return plan.model_copy(update={"calls": take_calls()}).model_dump(mode="json")
