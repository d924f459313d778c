"""A policy for four servers, chosen by their tag: a busy one, one with scripts only, a stopped one and a broken one."""

import json
from datetime import UTC, datetime
from typing import Any

from sandbox.demo.terminal import BOLD, DIM, GREEN, RED, YELLOW, paint, say, table
from sandbox.executions import follow, until
from sandbox.gateway import Sandbox
from sandbox.servers import Server

POLICY = """\
name: nightly
owner: demo
timezone: UTC
schedules: [{{cron: "{cron}"}}]
defaults: {{vss: {{create_limit_s: 60, retries: 0}}}}
targets:
  - tags: {{Backup: nightly}}
  - tags: {{Backup: nightly, Method: scripts}}
    scripts: {{from: bucket}}
    vss: off
missing: alert
"""
NAMES = ("BUSY", "SCRIPTS", "STOPPED", "BROKEN")
COLOURS = {"Successful": GREEN, "Failed": RED}


def play_policy(aws: Sandbox, outputs: dict[str, str]) -> None:
    """Put the policy as a file, let its schedule fire, and show what came of each server."""
    bucket, machine = outputs["BucketName"], outputs["PolicyMachineArn"]
    names = {server.instance_id: server.name for server in _fleet(aws)}
    due = datetime.now(UTC).replace(second=0, microsecond=0)
    put(aws, bucket, due)
    group, name = _schedule(aws)
    expression = aws.scheduler.schedules[group, name].given["ScheduleExpression"]
    say(f"\n{paint('Schedule', BOLD)} made of policies/nightly.yaml: {expression}")
    aws.scheduler.fire(group, name, due)
    states = aws.client("stepfunctions")
    [arn] = until(lambda: [e["executionArn"] for e in states.list_executions(stateMachineArn=machine)["executions"]])
    request = json.dumps(json.loads(states.describe_execution(executionArn=arn)["input"]))
    say(f"{paint('Policy', BOLD)} started with {request}")
    say(paint(f"  {', '.join(names.values())} have the tag Backup = nightly", DIM))
    for state, seconds in follow(aws, arn):
        say(f"  {paint(f'{seconds:5.1f} s', DIM)}  {state}")
    summary = json.loads(states.describe_execution(executionArn=arn)["output"])
    key = summary["all"].removeprefix(f"s3://{bucket}/")
    _show(summary, json.loads(aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())["targets"])


def put(aws: Sandbox, bucket: str, due: datetime) -> None:
    """Put the policy into the bucket, due at a time of each day, and scripts for the servers that have scripts only."""
    s3 = aws.client("s3")
    for stage in ("before", "after", "complete"):
        s3.put_object(Bucket=bucket, Key=f"scripts/demo/{stage}_nightly.ps1", Body=b"# a script of the owner\n")
    text = POLICY.format(cron=f"{due.minute} {due.hour} * * ? *")
    s3.put_object(Bucket=bucket, Key="policies/nightly.yaml", Body=text.encode())


def _schedule(aws: Sandbox) -> tuple[str, str]:
    """Wait for the policy's schedule, which the stack's function makes of the file; return its group and name."""
    return until(lambda: [key for key in list(aws.scheduler.schedules) if key[1].startswith("nightly.")])[0]


def _fleet(aws: Sandbox) -> list[Server]:
    def add(name: str, *, application: bool, **more: str) -> Server:
        return aws.servers.add(name, application=application, tags={"Backup": "nightly", **more})

    busy, scripts = add("BUSY", application=True), add("SCRIPTS", application=True, Method="scripts")
    stopped, broken = add("STOPPED", application=False), add("BROKEN", application=False)
    aws.servers.stop(stopped)
    # Its agent has never registered with Systems Manager.
    del aws.servers.managed[broken.instance_id]
    return [busy, scripts, stopped, broken]


def _show(summary: dict[str, Any], servers: list[dict[str, Any]]) -> None:
    say(f"\n{paint('Summary', BOLD)} {summary['all']}")
    colour = COLOURS.get(summary["status"], YELLOW)
    say(f"  status       {paint(summary['status'], BOLD, colour)}: {summary['reason']}")
    servers = sorted(servers, key=lambda each: NAMES.index(each["instance_name"]))
    rows = [["server", "status", "consistency"]]
    table(rows + [[each["instance_name"], each["status"], each["consistency"]] for each in servers])
    for each in servers:
        say(f"  {each['instance_name'].ljust(12)} {each['reason']}")
