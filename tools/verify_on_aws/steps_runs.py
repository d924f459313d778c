"""Steps that run the product: backups, a stopped one, one without its policy, and a recovery."""

import json
from typing import Any

from tools.verify_on_aws.calls import ACCEPTED, Whatever
from tools.verify_on_aws.session import Seen, Step, Verification, seen
from tools.verify_on_aws.steps_ec2 import server_of

SWEEP_LIMIT_S, STATE_LIMIT_S, HISTORY_LIMIT_S, RUN_LIMIT_S = 1200.0, 900.0, 120.0, 3600.0
# With them an inline policy is nearly as large as a run takes it: 65,536 bytes (backup.input).
OTHER_TARGETS = 1_000
SCRIPT = b'param($argument)\nWrite-Output "verify-on-aws: $argument"\nexit 0\n'
KNOWN_LIMIT_MS, THAW_LIMIT_MS = 5_000, 10_000


def _status(record: Any) -> str:
    """Return how a run ended, in a few words."""
    if isinstance(record, Whatever):
        return str(record)
    if "Error" in record:
        return f"{record['Error']}: {record['Cause'][:300]}"
    return f"{record['status']}, {record['consistency']['level']}: {record['reason']}"


def first_run(it: Verification) -> Seen:
    """Back the server up without VSS and scripts."""
    record = it.run("first-run", {"policy": it.policy(vss="off"), "instance_id": it.instance_id})
    return seen(record.get("status") == "Successful", _status(record))


def vss_run(it: Verification) -> Seen:
    """Back the server up with VSS and scripts out of the bucket; keep DiskShadow's files."""
    bucket = str(it.outputs["BucketName"])
    for stage in ("before", "after", "complete"):
        it.calls("s3:PutObject", Bucket=bucket, Key=f"scripts/verify/{stage}_verify.ps1", Body=SCRIPT)
    policy = it.policy(scripts={"from": "bucket"}, consistency="application")
    record = it.run("vss-run", {"policy": policy, "instance_id": it.instance_id})
    logs = record.get("logs") or {}
    folder = str(logs.get("place") or "").removeprefix(f"s3://{bucket}/")
    for name in logs.get("files") or []:
        found = it.calls("s3:GetObject", Bucket=bucket, Key=f"{folder}{name}")
        it.raw[str(name)] = found["Body"].read()
    window, evidence = record.get("freeze_window") or {}, record.get("evidence") or {}
    it.measured["freeze_window"] = window
    words = f"{_status(record)}; evidence {evidence.get('verdict')}; files {len(it.raw)}"
    words += f"; known_ms {window.get('known_ms')}, thaw_ms {window.get('thaw_ms')}"
    if isinstance(record, Whatever):
        return Seen("not run", words)
    in_time = (window.get("known_ms") or 0) <= KNOWN_LIMIT_MS and (window.get("thaw_ms") or 0) <= THAW_LIMIT_MS
    good = record.get("status") == "Successful" and record["consistency"]["level"] == "application"
    return seen(good and in_time and evidence.get("verdict") == "present" and bool(it.raw), words)


def missing_policy(it: Verification) -> Seen:
    """Start a run whose policy is not in the bucket, and redrive it."""
    record = it.run("missing-policy", {"policy": "no-such-policy", "instance_id": it.instance_id})
    arn = it.executions["missing-policy"]
    before = _entered(it, arn)
    _await_record(it, arn)
    redriven = it.calls.code_of("stepfunctions:RedriveExecution", executionArn=arn)
    it.end_of(arn)
    more = _entered(it, arn)[len(before) :]
    words = f"{_status(record)}; RedriveExecution: {redriven}, then states {', '.join(more) or 'none'}"
    if isinstance(record, Whatever):
        return Seen("not run", words)
    refused = record.get("Error") == "PolicyRefused" and "does not exist" in record.get("Cause", "")
    if refused and redriven != ACCEPTED:
        return Seen("not seen", words)
    return seen(refused and set(more) <= {"BackupFailed"}, words)


def _entered(it: Verification, arn: str) -> list[str]:
    events = it.calls("stepfunctions:GetExecutionHistory", executionArn=arn, maxResults=1000)["events"]
    return _names(events)


def stopped_run(it: Verification) -> Seen:
    """Stop a run while it works; look at its history at once, and for the record that sweep writes."""
    arn = it.start("stopped-run", {"policy": it.policy(vss="off"), "instance_id": it.instance_id})
    it.calls.until(
        "stepfunctions:GetExecutionHistory",
        lambda found: any(
            "taskStateExited" in str(e["type"]) or e["type"] == "TaskStateExited" for e in found["events"]
        ),
        limit_s=HISTORY_LIMIT_S,
        every_s=min(0.5, it.calls.look_every_s),
        executionArn=arn,
        maxResults=1000,
    )
    it.calls("stepfunctions:StopExecution", executionArn=arn, error="VerifyOnAws", cause="stopped by verify-on-aws")
    at_once = len(_entered(it, arn))
    bucket, key = str(it.outputs["BucketName"]), _await_record(it, arn)
    record = json.loads(it.calls("s3:GetObject", Bucket=bucket, Key=key)["Body"].read())
    later = len(_entered(it, arn))
    words = f"the history had {at_once} states at once and {later} later; sweep's record: {record.get('status')}"
    words += f", policy {record.get('policy')}"
    return seen(at_once == later and record.get("policy") == "verify", words)


def _await_record(it: Verification, arn: str) -> str:
    """Wait for the record that sweep writes of a stopped run; return its key."""
    key = f"records/{it.instance_id}/{arn.rpartition(':')[2]}.json"
    it.calls.until(
        "s3:ListObjectsV2",
        lambda found: found["KeyCount"] > 0,
        limit_s=SWEEP_LIMIT_S,
        Bucket=str(it.outputs["BucketName"]),
        Prefix=key,
    )
    return key


def policy_run(it: Verification) -> Seen:
    """Back the server up by a policy in the bucket, through the machine that runs policies."""
    # JSON is YAML.
    body = json.dumps(it.policy(vss="off")).encode()
    it.calls("s3:PutObject", Bucket=str(it.outputs["BucketName"]), Key="policies/verify.yaml", Body=body)
    summary = it.run("policy-run", {"policy": "verify"}, "PolicyMachineArn")
    if isinstance(summary, Whatever) or "Error" in summary:
        return Seen("otherwise", str(summary)[:800])
    words = f"{summary['status']}, {summary['servers']} server: {summary['reason']}"
    return seen(summary["status"] == "Successful" and summary["servers"] == 1, words)


def large_input(it: Verification) -> Seen:
    """Start a run with the largest input that it takes, stop it, and look whether sweep knows its policy."""
    policy = it.policy(vss="off")
    policy["targets"] += [{"instance_id": f"i-{number:017x}", "vss": "off"} for number in range(OTHER_TARGETS)]
    request = {"policy": policy, "instance_id": it.instance_id}
    size = len(json.dumps(request))
    arn = it.start("large-input", request)
    it.calls("stepfunctions:StopExecution", executionArn=arn, error="VerifyOnAws", cause="stopped by verify-on-aws")
    name = arn.rpartition(":")[2]
    # Under the server's id if the event has the input, else under "unknown".
    found = it.calls.until(
        "s3:ListObjectsV2",
        lambda found: any(str(each["Key"]).endswith(f"/{name}.json") for each in found.get("Contents") or []),
        limit_s=SWEEP_LIMIT_S,
        Bucket=str(it.outputs["BucketName"]),
        Prefix="records/",
    )
    keys = [str(each["Key"]) for each in found.get("Contents") or []]
    known = any(key == f"records/{it.instance_id}/{name}.json" for key in keys)
    return seen(known, f"an input of {size} bytes: sweep {'knew' if known else 'did not know'} its server and policy")


def redriven_run(it: Verification) -> Seen:
    """Stop a run after its thaw, and redrive it: nothing is frozen and no snapshot created a second time."""
    policy = it.policy(scripts={"from": "bucket"}, vss="off")
    arn = it.start("redriven-run", {"policy": policy, "instance_id": it.instance_id})
    it.calls.until(
        "stepfunctions:GetExecutionHistory",
        lambda found: "AwaitSnapshots" in _names(found["events"]),
        limit_s=RUN_LIMIT_S,
        every_s=min(0.5, it.calls.look_every_s),
        executionArn=arn,
        maxResults=1000,
    )
    it.calls("stepfunctions:StopExecution", executionArn=arn, error="VerifyOnAws", cause="stopped by verify-on-aws")
    before = _entered(it, arn)
    _await_record(it, arn)
    redriven = it.calls.code_of("stepfunctions:RedriveExecution", executionArn=arn)
    ended = it.end_of(arn)
    more = _entered(it, arn)[len(before) :]
    words = f"RedriveExecution: {redriven}, then states {', '.join(more) or 'none'}, {ended['status']}"
    if redriven != ACCEPTED:
        return Seen("not seen", words)
    return seen(not {"Freeze", "Snapshot"} & set(more), words)


def _names(events: Any) -> list[str]:
    return [str(e["stateEnteredEventDetails"]["name"]) for e in events if "stateEnteredEventDetails" in e]


def stopped_server(it: Verification) -> Seen:
    """Stop the server, back it up, and start it again."""
    it.calls("ec2:StopInstances", InstanceIds=[it.instance_id])
    _await_state(it, it.instance_id, "stopped")
    record = it.run("stopped-server", {"policy": it.policy(vss="off"), "instance_id": it.instance_id})
    it.calls("ec2:StartInstances", InstanceIds=[it.instance_id])
    _await_state(it, it.instance_id, "running")
    return seen(record.get("status") == "Successful", _status(record))


def _await_state(it: Verification, instance_id: str, state: str) -> None:
    it.calls.until(
        "ec2:DescribeInstances",
        lambda found: found["Reservations"][0]["Instances"][0]["State"]["Name"] == state,
        limit_s=STATE_LIMIT_S,
        InstanceIds=[instance_id],
    )


def recovery(it: Verification) -> Seen:
    """Recover the server beside the old one, first as a dry run."""
    request = {"instance_id": it.instance_id, "at": "latest whole", "beside_the_old_one": True}
    tried = it.run("dry-run", {**request, "mode": "dry-run"}, "RecoverMachineArn")
    account = it.run("recovery", request, "RecoverMachineArn")
    if isinstance(account, Whatever) or "Error" in account:
        return Seen("otherwise", f"dry run: {_problems(tried)}; recovery: {str(account)[:800]}")
    server = it.calls("ec2:DescribeInstances", InstanceIds=[account["instance_id"]])
    new, old = server["Reservations"][0]["Instances"][0], server_of(it)
    keep = {name: new.get(name) for name in ("PlatformDetails", "UsageOperation", "Platform")}
    same = all(new.get(name) == old.get(name) for name in ("PlatformDetails", "UsageOperation"))
    same = same and str(new.get("Platform")).lower() == "windows"
    words = f"dry run: {_problems(tried)}; recovered, {keep}"
    if not new.get("UsageOperation"):
        return Seen("not seen", f"{words}: EC2 does not say how it is billed")
    return seen(same and _problems(tried) == "no problem", words)


def _problems(tried: Any) -> str:
    """Return what a dry run would refuse."""
    if isinstance(tried, Whatever) or "Error" in tried:
        return str(tried)[:300]
    return "; ".join(tried["problems"]) or "no problem"


STEPS = (
    Step(
        "first-run",
        "the functions' rights and the conditions on our tags are enough for a backup; its DryRun passes",
        "Successful",
        first_run,
    ),
    Step(
        "vss-run",
        "shadow copies are in the snapshots; a link takes an upload; known_ms up to 5 s, thaw_ms up to 10 s",
        "Successful, application, evidence present, the session's files in the bucket",
        vss_run,
    ),
    Step(
        "missing-policy",
        "S3 answers NoSuchKey for a missing policy; after a redrive from the Fail state nothing else runs",
        "PolicyRefused: ... does not exist; no state but BackupFailed",
        missing_policy,
    ),
    Step(
        "stopped-run",
        "EventBridge's event starts sweep with the execution's input; the history is complete at once",
        "a record with the policy's name; as many states at once as later",
        stopped_run,
    ),
    Step(
        "policy-run",
        "Step Functions takes the definition of the policy machine, whose Distributed Map backs a server up",
        "Successful, 1 server",
        policy_run,
    ),
    Step(
        "large-input",
        "EventBridge's event of an ended execution carries the largest input that a run takes",
        "sweep knows the server and the policy",
        large_input,
    ),
    Step(
        "redriven-run",
        "a redrive of a run that was stopped after its thaw freezes nothing and creates no snapshots again",
        "neither Freeze nor Snapshot",
        redriven_run,
    ),
    Step(
        "stopped-server",
        "EC2 takes snapshots of a stopped server as it does of a running one",
        "Successful",
        stopped_server,
        changes_server=True,
    ),
    Step(
        "recovery",
        "a server launched from the initial AMI boots from volumes of the snapshots, and is billed as Windows",
        "no problem in the dry run; recovered, the same platform and billing as the old server",
        recovery,
        servers=1,
    ),
)
