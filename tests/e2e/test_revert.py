"""Volumes as of their shadow copies, built by the deployed machine, with least privilege enforced."""

import json

import pytest

from sandbox.aws.snapshots import RULES
from sandbox.executions import wait_for


@pytest.fixture
def record(aws, quiesce, monkeypatch):
    """The recovery point of a busy shop, which has worked on since."""
    monkeypatch.setattr(RULES, "volume_interval_s", 0.0)
    server = aws.servers.add("SHOP")
    record = json.loads(quiesce.back_up(server, defaults={"vss": {}})["output"])
    assert record["consistency"]["level"] == "application"
    return record


def examined(aws, record, snapshots):
    return aws.servers.examine({each["volume_id"]: snapshots[each["snapshot_id"]] for each in record["snapshots"]})


def test_a_shop_is_built_as_of_its_shadow_copies_without_windows(aws, quiesce, record):
    ended = quiesce.build(record)
    assert ended["status"] == "SUCCEEDED", ended
    built = json.loads(ended["output"])
    children = {child["snapshot_id"]: child["child_id"] for child in built["children"]}
    as_built = examined(aws, record, children)
    assert not as_built.torn
    assert as_built == aws.servers.examine_shadow_copies(record)
    described = aws.client("ec2").describe_snapshots(SnapshotIds=list(children.values()))["Snapshots"]
    assert {snapshot["State"] for snapshot in described} == {"completed"}
    assert all(snapshot["Description"].startswith("quiesce built of snap-") for snapshot in described)
    assert aws.decisions.denied("quiesce") == []


def test_another_machine_starts_a_build_waits_for_it_and_hears_its_error(aws, quiesce, record):
    """As a backup and a recovery do, by ``startExecution.sync:2``."""
    from tests.support.reverting import request_of

    states, revert = aws.client("stepfunctions"), quiesce.function_name("RevertMachine")
    role = states.describe_state_machine(stateMachineArn=revert)["roleArn"]
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Parameters": {"StateMachineArn": revert, "Input": {"request.$": "$.request"}},
        "ResultSelector": {"built.$": "$.Output"},
        "ResultPath": "$.revert",
        "End": True,
    }
    definition = json.dumps({"StartAt": "Revert", "States": {"Revert": task}})
    parent = states.create_state_machine(name="parent", definition=definition, roleArn=role)["stateMachineArn"]

    def run(**changes):
        data = json.dumps({"request": request_of(record, **changes)})
        return wait_for(aws, states.start_execution(stateMachineArn=parent, input=data)["executionArn"])

    good = run()
    assert good["status"] == "SUCCEEDED", good
    assert len(json.loads(good["output"])["revert"]["built"]["children"]) == 3
    copies = [{**copy, "shadow_id": "{00000000-0000-0000-0000-000000000001}"} for copy in request_of(record)["copies"]]
    bad = run(copies=copies, built_for="drill-8")
    assert bad["status"] == "FAILED"
    assert "is not buildable as of its shadow copy" in str(bad), bad
    states.delete_state_machine(stateMachineArn=parent)
