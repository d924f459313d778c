"""The functions have exactly the rights that they need: AWS denied them nothing, and the tour uses every right."""

import json
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

from sandbox.aws.keys import KEYS
from sandbox.aws.snapshot_use import LOCKS
from sandbox.aws.snapshots import RULES
from sandbox.executions import wait_for
from sandbox.windows.examination import DISABLED
from tests.support.old_months import archived, change_much, put_back, put_policy
from tests.support.reverting import request_of

HELD = {"run_id": {"S": "another-run"}, "execution": {"S": "another-execution"}, "expires_at": {"N": "4102444800"}}

KEY = "arn:aws:kms:eu-central-1:210987654321:key/11111111-1111-1111-1111-111111111111"
OTHER_KEY = "arn:aws:kms:eu-central-1:123456789012:key/22222222-2222-2222-2222-222222222222"
HOURLY = 'name: hourly\nschedules: [{{cron: "0 * * * ? *"}}, {{every: 6h}}]\ntargets: [{{instance_id: {}}}]\n'
NIGHTLY = "name: nightly\nowner: tests\ntargets: [{{instance_id: {}, scripts: {{from: bucket}}}}]\n"


def input_of(aws, execution_arn, state):
    history = aws.client("stepfunctions").get_execution_history(executionArn=execution_arn, maxResults=1000)
    entered = (event.get("stateEnteredEventDetails", {}) for event in history["events"])
    return next(details["input"] for details in entered if details.get("name") == state)


def stop_while_held(aws, quiesce, request, monkeypatch):
    """Start a backup, and stop its execution at the instant of CreateSnapshots."""
    started = []

    def stop(_instance_id, _snapshots):
        aws.client("stepfunctions").stop_execution(executionArn=started[0])

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(RULES, "captured", [*RULES.captured, stop])
        started.append(quiesce.start(request))
        assert wait_for(aws, started[0])["status"] == "ABORTED"
    return started[0]


def invoked(aws, quiesce, function, payload):
    answer = aws.client("lambda").invoke(FunctionName=quiesce.function_name(function), Payload=payload)
    return json.loads(answer["Payload"].read())


def policy_runs(aws, quiesce, server, monkeypatch):
    """Run the policy and stop its only backup at the instant of CreateSnapshots, and one that does not exist."""
    backup = quiesce.outputs["BackupMachineArn"].replace(":stateMachine:", ":execution:")

    def stop(_instance_id, _snapshots):
        aws.client("stepfunctions").stop_execution(executionArn=f"{backup}:tour-{server.instance_id}")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(RULES, "captured", [*RULES.captured, stop])
        stopped = wait_for(aws, quiesce.start_policy({"policy": "nightly"}, name="tour"))
    scheduled = {"policy": "weekly", "scheduled_time": "2026-11-29T01:30:00Z"}
    missing, again = (wait_for(aws, quiesce.start_policy(scheduled)) for _ in range(2))
    return {"policy run": stopped, "no policy to run": missing, "again": again}


def recovered_without_a_snapshot(aws, quiesce, record):
    aws.client("ec2").delete_snapshot(SnapshotId=record["snapshots"][0]["snapshot_id"])
    return quiesce.recover(record, mode="dry-run")


def discard(aws, quiesce, record):
    execution = {"id": "arn", "name": "by-hand", "started_at": "2026-11-29T00:00:00Z"}
    event = {"step": "discard", "document": {"execution": execution, "input": {"request": request_of(record)}}}
    answer = aws.client("lambda").invoke(
        FunctionName=quiesce.function_name("RevertFunction"), Payload=json.dumps(event).encode()
    )
    return json.loads(answer["Payload"].read())


def schedules_kept(aws, quiesce, instance_id):
    """Have a policy's file looked at as it comes, changes, goes bad and goes; return the answers."""
    place = {"Bucket": quiesce.outputs["BucketName"], "Key": "policies/hourly.yaml"}
    file = HOURLY.format(instance_id)
    answers = []
    for text in (file, file.replace('? *"', '? *", enabled: false'), "name: hourly\n", file, None):
        if text is None:
            aws.client("s3").delete_object(**place)
        else:
            aws.client("s3").put_object(**place, Body=text.encode())
        answers.append(invoked(aws, quiesce, "ScheduleFunction", b"{}"))
    return answers


def made_by_aws(aws, quiesce):
    """Have AWS's document make the snapshots, and let another try of that state join the command."""
    server = aws.servers.add("BY-AWS")
    by_aws = {"vss": {"engine": "aws-vss"}, "revert": "off"}
    ended = quiesce.back_up(server, defaults=by_aws)
    record = json.loads(ended["output"])
    lease = {**HELD, "run_id": {"S": record["run_id"]}, "document_token": {"S": "an earlier try's"}}
    key = {"pk": {"S": server.instance_id}, "sk": {"S": "lease"}}
    aws.client("dynamodb").put_item(TableName=quiesce.outputs["TableName"], Item=key | lease)
    again = invoked(aws, quiesce, "SnapshotByAwsFunction", input_of(aws, ended["executionArn"], "SnapshotByAws"))
    aws.client("dynamodb").delete_item(TableName=quiesce.outputs["TableName"], Key=key)
    return record, again, len(server.windows.aws_vss.ran)


def assert_made_by_aws(record, again, times):
    assert (record["status"], record["consistency"]["level"]) == ("Successful", "application"), record
    assert (len(again["snapshots"]), times) == (len(record["snapshots"]), 1), again


def built(aws, quiesce, record):
    return {
        "built": quiesce.build(record),
        "discarded": discard(aws, quiesce, record),
        "copied first": built_of_a_server_without_encryption(aws, quiesce),
    }


def built_of_a_server_without_encryption(aws, quiesce):
    """Back it up, then let the account encrypt by default, and build: its snapshots are copied first."""
    server = aws.servers.add("PLAIN")
    record = json.loads(quiesce.back_up(server, defaults={"vss": {}})["output"])
    before, KEYS.default = KEYS.default, KEY
    try:
        return quiesce.build(record, built_for="drill-8", on_failure="clean-up")
    finally:
        KEYS.default = before


def examined(aws, quiesce, server):
    """Examine all policies' servers while one lacks its services, and when it has them again, and one by its id."""
    condition = server.windows.guest.condition
    services, condition.services = condition.services, {}
    fallen = quiesce.examine()
    condition.services = services
    return [
        fallen,
        quiesce.examine(),
        quiesce.examine(instance_id=server.instance_id),
        quiesce.examine(policy="weekly"),
    ]


def mended(aws, quiesce):
    """Mend a server that lacks everything, and give it back what it was."""
    server = aws.servers.add("BARE")
    aws.servers.bare(server, "3.0.100.0")
    server.windows.guest.condition.services["VSS"] = DISABLED
    server.windows.guest.condition.aws_components = None
    allowed = [{"Key": "quiesce:may-be-changed", "Value": "yes"}]
    aws.client("ec2").create_tags(Resources=[server.instance_id], Tags=allowed)
    fixed = json.loads(quiesce.examine(instance_id=server.instance_id, fix=True)["output"])
    return fixed, json.loads(quiesce.examine(undo=fixed["fix"])["output"])


def assert_examined(fallen, well, one, missing, fixed, undone):
    assert fixed["diagnosis"]["best"] == "vss", fixed
    assert [line.rpartition(": ")[2] for line in undone["changes"]] == ["given back"] * 4, undone
    assert "wants vss, and it lacks: service VSS" in json.loads(fallen["output"])["below"][0], fallen
    assert json.loads(well["output"])["below"] == [], well
    assert json.loads(one["output"])["diagnosis"]["best"] == "vss", one
    assert missing["error"] == "PolicyRefused"


def recovered_where_no_way_leads_out(aws, quiesce, record):
    ec2 = aws.client("ec2")
    [table] = ec2.describe_route_tables()["RouteTables"]
    ec2.delete_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock="0.0.0.0/0")
    return quiesce.recover(record, mode="dry-run")


def recovered_without_an_image(aws, quiesce, record):
    for image_id in list(aws.servers.backend().amis):
        aws.client("ec2").deregister_image(ImageId=image_id)
    return quiesce.recover(record, mode="dry-run", image_id=None)


def removed(aws, quiesce, server):
    """Remove recovery points by their ids, one of them with built snapshots, and an image; one is held, one locked."""
    images = sorted((i for i in aws.servers.backend().amis.values() if i.instance_id), key=lambda i: i.creation_date)
    for days, image in zip((30, 20), images, strict=False):
        image.creation_date -= timedelta(days=days)
    quiesce.put_policy("nightly", NIGHTLY.format(server.instance_id) + "keep: {daily: 3}\n")
    record, with_built = json.loads(quiesce.back_up(server)["output"]), aws.servers.add("BUILT")
    whole = json.loads(quiesce.back_up(with_built, defaults={"vss": {}, "revert": "at-backup"})["output"])
    assert whole["built"]
    lock = "name: files-nightly\nlock: {{mode: governance, days: 1}}\ntargets: [{{instance_id: {}}}]\n"
    quiesce.put_policy("files-nightly", lock.format(with_built.instance_id))
    assert json.loads(quiesce.retain(instance_id=with_built.instance_id)["output"])["locked"] == 1
    assert {snapshot_id for snapshot_id, *_ in LOCKS.asked} == {
        each["snapshot_id"] for each in [*whole["snapshots"], *whole["built"]]
    }
    aws.client("s3").delete_object(Bucket=quiesce.outputs["BucketName"], Key="policies/files-nightly.yaml")
    LOCKS.reset()  # A person ends them.

    def remove(of, run_id):
        return quiesce.retain(instance_id=of.instance_id, remove=run_id, confirm=run_id)

    ends = [json.loads(remove(with_built, whole["run_id"])["output"])]
    held = [{"Key": "quiesce:hold", "Value": "anna"}]
    snapshot_id = record["snapshots"][0]["snapshot_id"]
    aws.client("ec2").create_tags(Resources=[snapshot_id], Tags=held)
    ends.append(json.loads(remove(server, record["run_id"])["output"]))
    aws.client("ec2").delete_tags(Resources=[snapshot_id], Tags=held)
    return [*ends, json.loads(remove(server, record["run_id"])["output"])]


def archived_and_recovered(aws, quiesce):
    """Archive a recovery point of a server under the organization's key, with built snapshots, and recover from it."""
    server = aws.servers.add("OLD")
    aws.servers.encrypt(server, KEY)
    put_policy(quiesce, server)
    made = []
    for days in (200, 0):
        change_much(quiesce, server)
        ended = quiesce.back_up(
            server, name="months", defaults={"vss": {}, "revert": "at-backup", "initial_image": "off"}
        )
        made.append(put_back(quiesce, json.loads(ended["output"]), days))
    told = archived(quiesce, server)
    return told, quiesce.recover({"run_id": made[0].run_id})


def assert_archived(told, recovered):
    assert ([each["problems"] for each in told], told[1]["archived"]) == ([[], []], 1), told
    assert recovered["status"] == "SUCCEEDED", recovered


def looked_at(aws, quiesce):
    """Have the posture looked at while people believe a policy to be behind that is gone, and the weekly list made."""
    told = {"pk": "posture", "sk": "told#gone", "policy": "gone", "behind": "i-0123456789abcdef0", "sending": ""}
    item = {
        name: {"S": value} for name, value in {**told, "version": "look-1", "at": "2026-11-29T00:00:00+00:00"}.items()
    }
    aws.client("dynamodb").put_item(TableName=quiesce.outputs["TableName"], Item=item)
    return [invoked(aws, quiesce, "PostureFunction", event) for event in (b"{}", b'{"list": "unclaimed"}')]


@pytest.fixture
def tour(aws, quiesce, monkeypatch):
    """Go where each right is needed: good runs, one that is stopped while the application is held, and failures."""
    monkeypatch.setattr(RULES, "volume_interval_s", 0.0)
    server = aws.servers.add("SERVER1")
    # Of an account that has the organization's keys.
    aws.servers.encrypt(server, KEY)
    KEYS.customers.add(OTHER_KEY)
    quiesce.put_scripts("nightly")
    quiesce.put_policy("nightly", NIGHTLY.format(server.instance_id))
    request = {"policy": "nightly", "instance_id": server.instance_id}
    good = quiesce.start(request)
    ends = {"good": wait_for(aws, good)}
    [image] = [i for i in aws.servers.backend().amis.values() if i.instance_id]
    image.creation_date -= timedelta(days=2)
    for _ in ("renewed", "the old one goes"):
        ends["renewed"] = quiesce.back_up(server, defaults={"vss": "off", "initial_image": {"every_days": 1}})
    # boto3 sends it four times.
    aws.faults.refuse("ec2:DescribeSnapshots", "UnauthorizedOperation", times=4)
    ends["not awaited"] = quiesce.back_up(server, defaults={"vss": "off"})
    ends["no policy"] = wait_for(aws, quiesce.start(request | {"policy": "weekly"}))
    ends["late"] = invoked(aws, quiesce, "SnapshotFunction", input_of(aws, good, "Snapshot"))
    key = {"pk": {"S": server.instance_id}, "sk": {"S": "lease"}}
    aws.client("dynamodb").put_item(TableName=quiesce.outputs["TableName"], Item=key | HELD)
    ends["busy"] = wait_for(aws, quiesce.start(request))
    aws.client("dynamodb").delete_item(TableName=quiesce.outputs["TableName"], Key=key)
    ends["stopped"] = quiesce.record_of(server, stop_while_held(aws, quiesce, request, monkeypatch))
    record = json.loads(ends["good"]["output"])
    ends |= {"recovered": quiesce.recover(record), **policy_runs(aws, quiesce, server, monkeypatch)}
    ends["without an agent"] = quiesce.recover(record, agent="none", overrides={"kms_key_id": OTHER_KEY})
    # What is missing may be in the Recycle Bin.
    ends["deleted"] = recovered_without_a_snapshot(aws, quiesce, json.loads(ends["renewed"]["output"]))
    aws.faults.refuse("ec2:StartInstances", "InsufficientInstanceCapacity", times=4)
    ends |= {"cleaned up": quiesce.recover(record, on_failure="clean-up"), **built(aws, quiesce, record)}
    # An endpoint of Systems Manager may be the way, and AWS's public image may stand in.
    ends |= {
        "pruned": removed(aws, quiesce, server),
        "archived": archived_and_recovered(aws, quiesce),
        # As the policy machine starts it, where a policy has a rule.
        "after the policy run": quiesce.retain(policy="nightly", policy_run="tour", mode="dry-run"),
        "schedules": schedules_kept(aws, quiesce, server.instance_id),
        "posture": looked_at(aws, quiesce),
        "by aws": made_by_aws(aws, quiesce),
        "examined": examined(aws, quiesce, server),
        "mended": mended(aws, quiesce),
    }
    ends["closed"] = recovered_where_no_way_leads_out(aws, quiesce, record)
    return ends | {"no image": recovered_without_an_image(aws, quiesce, record)}


def test_the_functions_may_do_what_they_need_and_nothing_more(aws, tour):
    assert tour["good"]["status"] == "SUCCEEDED"
    assert json.loads(tour["renewed"]["output"])["notes"] == []
    # AwaitSnapshots gave up, and Report looked.
    assert "AccessDenied" in str(tour["not awaited"])
    assert tour["no policy"]["error"] == "PolicyRefused"
    assert tour["late"]["errorType"] == "LeaseLost"
    assert tour["busy"]["error"] == "ServerBusy"
    # Sweep read the history, found the snapshots completed, and named the image.
    assert "(ExecutionStopped: " in " ".join(tour["stopped"]["notes"])
    assert tour["stopped"]["consistency"]["level"] != "none"
    assert tour["stopped"]["initial_image"]
    # Summarize looked at the stopped backup until Sweep had ended its run, and told of it.
    assert "of 1 server: 1 " in str(tour["policy run"])
    assert "policies/weekly.yaml does not exist" in tour["no policy to run"]["cause"]
    assert tour["again"]["error"] == "RunAlreadyStarted"
    assert {tour[name]["status"] for name in ("recovered", "without an agent")} == {"SUCCEEDED"}
    assert {name: tour[name]["status"] for name in ("built", "copied first")} == {
        "built": "SUCCEEDED",
        "copied first": "SUCCEEDED",
    }
    assert len(tour["discarded"]["deleted"]) == len(json.loads(tour["built"]["output"])["children"]) > 0
    assert tour["deleted"]["status"] == "SUCCEEDED"
    assert [len(look["outcomes"]) >= 1 for look in tour["schedules"]] == [True] * 5, tour["schedules"]
    assert "has no way to Systems Manager" in tour["closed"]["output"]
    assert "image_id: the server has no initial AMI (any more)" in tour["no image"]["cause"]
    assert tour["cleaned up"]["cause"].endswith("Nothing that it made exists.")
    assert [end["removed"] for end in tour["pruned"]] == [1, 0, 1], tour["pruned"]
    assert_archived(*tour["archived"])
    assert json.loads(tour["after the policy run"]["output"])["servers"] == 1, tour["after the policy run"]
    assert [look["unknown"] for look in tour["posture"]] == [[], []], tour["posture"]
    assert_examined(*tour["examined"], *tour["mended"])
    assert_made_by_aws(*tour["by aws"])
    assert aws.decisions.denied("quiesce") == []
    # Simulated servers have no instance profile, whose role would be passed; a test of the template looks at it.
    # SAM attaches AWS's policy for functions in a network, which is Lambda's to use; the stack denies it to the code.
    grants = [
        grant for grant in aws.decisions.unused("quiesce") if grant[1] != "AWSLambdaVPCAccessExecutionPermissions"
    ]
    unused = {(role.split("-")[1], sid, action) for role, sid, action in grants if action != "iam:PassRole"}
    assert not unused, sorted(unused)


@pytest.mark.usefixtures("set_aside")
def test_a_function_asks_by_our_document_alone_and_not_at_all_without_the_managed_policy(aws, quiesce):
    def refusal(document):
        with pytest.raises(ClientError) as refused:
            thaw.send_command(DocumentName=document, InstanceIds=[server.instance_id], Parameters={"No": ["such"]})
        return refused.value.response["Error"]["Code"]

    server, thaw, iam = aws.servers.add("SERVER1"), quiesce.client_of("ThawFunction", "ssm"), aws.client("iam")
    ours, role, policy = map(quiesce.function_name, ("ActDocument", "ThawFunctionRole", "MayActOnServers"))
    assert refusal(ours) == "InvalidParameters"  # allowed, and read
    assert refusal("AWS-RunPowerShellScript") == "AccessDeniedException"
    assert refusal(quiesce.function_name("LookDocument")) == "AccessDeniedException"
    iam.detach_role_policy(RoleName=role, PolicyArn=policy)
    try:
        assert refusal(ours) == "AccessDeniedException"
    finally:
        iam.attach_role_policy(RoleName=role, PolicyArn=policy)
    assert refusal(ours) == "InvalidParameters"


@pytest.mark.usefixtures("set_aside")
def test_the_pruner_locks_what_a_run_or_its_build_made_and_is_not_going_and_ends_no_lock(aws, quiesce):
    server = aws.servers.add("SERVER1")
    pruner, ec2 = quiesce.client_of("RetentionFunction", "ec2"), aws.client("ec2")

    def is_denied(tags):
        pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
        given = {"TagSpecifications": [{"ResourceType": "snapshot", "Tags": pairs}]} if pairs else {}
        snapshot_id = ec2.create_snapshot(VolumeId=server.volumes["C:"], **given)["SnapshotId"]
        try:
            pruner.lock_snapshot(SnapshotId=snapshot_id, LockMode="governance", LockDuration=1)
        except ClientError as error:
            return error.response["Error"]["Code"] == "UnauthorizedOperation"
        with pytest.raises(ClientError, match="UnauthorizedOperation"):
            pruner.unlock_snapshot(SnapshotId=snapshot_id)
        return False

    stack, run = {"quiesce:stack": "quiesce"}, {"quiesce:run": "run-1"}
    built = {"quiesce:built-for": "run-1"}
    for tags in (
        {},
        stack,
        run,
        {"quiesce:stack": "other", **run},
        {**stack, **run, "quiesce:removing": "yes"},
        {**stack, **built, "quiesce:recovery": "drill-7"},
        {**stack, **built, "quiesce:removing": "yes"},
    ):
        assert is_denied(tags), tags
    assert not is_denied({**stack, **run})
    assert not is_denied({**stack, **built})


@pytest.mark.usefixtures("set_aside")
def test_the_pruner_is_denied_what_is_not_a_marked_recovery_point_of_this_stack_that_nobody_holds(aws, quiesce):
    server = aws.servers.add("SERVER1")
    pruner, ec2 = quiesce.client_of("RetentionFunction", "ec2"), aws.client("ec2")
    ours = {"quiesce:stack": "quiesce", "quiesce:run": "run-1"}
    mark = [{"Key": "quiesce:removing", "Value": "yes"}]

    def made(tags):
        pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
        specification = [{"ResourceType": "snapshot", "Tags": pairs}] if pairs else []
        volume = server.volumes["C:"]
        return ec2.create_snapshot(VolumeId=volume, TagSpecifications=specification)["SnapshotId"]

    def is_denied(call, **request):
        try:
            call(**request)
        except ClientError as error:
            return error.response["Error"]["Code"] == "UnauthorizedOperation"
        return False

    for tags in (
        {},
        {"quiesce:stack": "quiesce"},
        {**ours, "quiesce:stack": "other"},
        {"quiesce:run": "run-1"},
        {**ours, "quiesce:hold": "anna, the audit, until 2027-01-31"},
        {"quiesce:stack": "quiesce", "quiesce:built-for": "drill-7", "quiesce:recovery": "drill-7"},
    ):
        snapshot_id = made(tags)
        assert is_denied(pruner.create_tags, Resources=[snapshot_id], Tags=mark), tags
        ec2.create_tags(Resources=[snapshot_id], Tags=mark)
        # What has no run's tag may be an image's own snapshot, and goes with its image.
        if tags != {"quiesce:stack": "quiesce"}:
            assert is_denied(pruner.delete_snapshot, SnapshotId=snapshot_id), tags
    for tags in (ours, {"quiesce:stack": "quiesce", "quiesce:built-for": "run-1"}):
        snapshot_id = made(tags)
        assert is_denied(pruner.delete_snapshot, SnapshotId=snapshot_id), "not marked"
        assert is_denied(pruner.create_tags, Resources=[snapshot_id], Tags=[{"Key": "quiesce:hold", "Value": ""}])
        assert not is_denied(pruner.create_tags, Resources=[snapshot_id], Tags=mark)
        assert not is_denied(pruner.delete_snapshot, SnapshotId=snapshot_id)
