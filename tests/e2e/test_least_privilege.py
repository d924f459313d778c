"""The functions have exactly the rights that they need: AWS denied them nothing, and the tour uses every right."""

import json
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

from sandbox.aws.snapshots import RULES
from sandbox.executions import wait_for

HELD = {"run_id": {"S": "another-run"}, "execution": {"S": "another-execution"}, "expires_at": {"N": "4102444800"}}

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


@pytest.fixture
def tour(aws, quiesce, monkeypatch):
    """Go where each right is needed: good runs, one that is stopped while the application is held, and failures."""
    monkeypatch.setattr(RULES, "volume_interval_s", 0.0)
    server = aws.servers.add("SERVER1")
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
    late = aws.client("lambda").invoke(
        FunctionName=quiesce.function_name("SnapshotFunction"), Payload=input_of(aws, good, "Snapshot")
    )
    ends["late"] = json.loads(late["Payload"].read())
    key = {"pk": {"S": server.instance_id}, "sk": {"S": "lease"}}
    aws.client("dynamodb").put_item(TableName=quiesce.outputs["TableName"], Item=key | HELD)
    ends["busy"] = wait_for(aws, quiesce.start(request))
    aws.client("dynamodb").delete_item(TableName=quiesce.outputs["TableName"], Key=key)
    ends["stopped"] = quiesce.record_of(server, stop_while_held(aws, quiesce, request, monkeypatch))
    record = json.loads(ends["good"]["output"])
    ends["recovered"] = quiesce.recover(record)
    ends["without an agent"] = quiesce.recover(record, agent="none")
    aws.faults.refuse("ec2:StartInstances", "InsufficientInstanceCapacity", times=4)
    ends["cleaned up"] = quiesce.recover(record, on_failure="clean-up")
    return ends


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
    assert tour["recovered"]["status"] == "SUCCEEDED"
    assert tour["without an agent"]["status"] == "SUCCEEDED"
    assert tour["cleaned up"]["cause"].endswith("Nothing that it made exists.")
    assert aws.decisions.denied("quiesce") == []
    # Simulated servers have no instance profile, whose role would be passed; a test of the template looks at it.
    assert [grant for grant in aws.decisions.unused("quiesce") if grant[2] != "iam:PassRole"] == []


@pytest.mark.usefixtures("set_aside")
def test_a_function_asks_by_our_document_alone_and_not_at_all_without_the_managed_policy(aws, quiesce):
    def refusal(document):
        with pytest.raises(ClientError) as refused:
            thaw.send_command(DocumentName=document, InstanceIds=[server.instance_id], Parameters={"No": ["such"]})
        return refused.value.response["Error"]["Code"]

    server, thaw, iam = aws.servers.add("SERVER1"), quiesce.client_of("ThawFunction", "ssm"), aws.client("iam")
    ours, role, policy = map(quiesce.function_name, ("GuestDocument", "ThawFunctionRole", "MayAskServers"))
    assert refusal(ours) == "InvalidParameters"  # allowed, and read
    assert refusal("AWS-RunPowerShellScript") == "AccessDeniedException"
    iam.detach_role_policy(RoleName=role, PolicyArn=policy)
    try:
        assert refusal(ours) == "AccessDeniedException"
    finally:
        iam.attach_role_policy(RoleName=role, PolicyArn=policy)
    assert refusal(ours) == "InvalidParameters"
