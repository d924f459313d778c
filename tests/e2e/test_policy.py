"""Policies for many servers, deployed to the local AWS: the policy machine with its Distributed Map."""

import json

import pytest

from sandbox.aws.snapshots import RULES
from sandbox.executions import wait_for

NIGHTLY = """
name: nightly
owner: tests
max_concurrency: {at_once}
defaults: {{vss: {vss}, initial_image: "off"}}
targets:
  - tags: {{Backup: nightly}}
{rule}"""
MANY = 100
# Characters, of one that has no notes.
LARGEST_SUMMARY = 2_000


def a_fleet(aws, *names):
    servers = [aws.servers.add(name) for name in names]
    ids = [server.instance_id for server in servers]
    aws.client("ec2").create_tags(Resources=ids, Tags=[{"Key": "Backup", "Value": "nightly"}])
    return sorted(servers, key=lambda server: server.instance_id)


def put_nightly(quiesce, *, at_once=20, vss="'off'", rule=""):
    quiesce.put_policy("nightly", NIGHTLY.format(at_once=at_once, vss=vss, rule=rule))
    return {"policy": "nightly"}


def summary_of(quiesce, name):
    """Return the summary in the bucket, once it is there."""
    place = {"Bucket": quiesce.outputs["BucketName"], "Key": f"policy-runs/nightly/{name}/summary.json"}
    s3 = quiesce.aws.client("s3")
    s3.get_waiter("object_exists").wait(**place, WaiterConfig={"Delay": 0.2, "MaxAttempts": 300})
    return json.loads(s3.get_object(**place)["Body"].read())


def outcomes(summary):
    return {end["instance_id"]: end["status"] for end in summary["targets"]}


def backup_of(quiesce, name, server):
    """Return the ARN of a server's run in a policy run."""
    machine = quiesce.outputs["BackupMachineArn"].replace(":stateMachine:", ":execution:")
    return f"{machine}:{name}-{server.instance_id}"


@pytest.fixture
def stop_at_snapshot(aws, monkeypatch):
    """Stop an execution at the instant of a server's CreateSnapshots."""
    monkeypatch.setattr(RULES, "volume_interval_s", 0.0)

    def order(server, arn):
        def stop(instance_id, _snapshots):
            if instance_id == server.instance_id:
                aws.client("stepfunctions").stop_execution(executionArn=arn)

        monkeypatch.setattr(RULES, "captured", [*RULES.captured, stop])

    return order


def test_a_policy_backs_up_its_servers_by_tag_sums_up_what_came_of_them_and_starts_their_retention(aws, quiesce):
    servers = a_fleet(aws, "SERVER1", "SERVER2", "SERVER3")
    aws.servers.add("OTHER")
    ended = wait_for(aws, quiesce.start_policy(put_nightly(quiesce, rule="keep: {last: 1}"), name="good"))
    assert ended["status"] == "SUCCEEDED", ended
    assert json.loads(ended["output"])["by_status"] == {"Successful": 3}
    assert outcomes(summary_of(quiesce, "good")) == {server.instance_id: "Successful" for server in servers}
    retention = quiesce.outputs["RetentionMachineArn"].replace(":stateMachine:", ":execution:")
    told = json.loads(wait_for(aws, f"{retention}:good")["output"])
    assert (told["servers"], told["removed"], told["problems"], told["notes"]) == (3, 0, [], [])
    assert aws.decisions.denied("quiesce") == []


def test_a_stopped_run_of_one_server_ends_no_other_and_the_summary_waits_for_sweep(aws, quiesce, stop_at_snapshot):
    """It is stopped while its application is held, and Sweep thaws it."""
    stopped, *others = a_fleet(aws, "SERVER1", "SERVER2", "SERVER3")
    stop_at_snapshot(stopped, backup_of(quiesce, "one-stopped", stopped))
    ended = wait_for(aws, quiesce.start_policy(put_nightly(quiesce, vss="{}"), name="one-stopped"))
    assert ended["status"] == "SUCCEEDED", ended
    record = swept_record(quiesce, "one-stopped", stopped)
    assert record["session"]["auto_thawed"] is False
    assert outcomes(summary_of(quiesce, "one-stopped")) == {
        stopped.instance_id: record["status"],
        **{server.instance_id: "Successful" for server in others},
    }


def test_a_stopped_policy_run_is_summed_up_as_it_truly_is(aws, quiesce, stop_at_snapshot):
    """Of the second server: the first has its recovery point, and the third's turn never comes."""
    first, second, third = a_fleet(aws, "SERVER1", "SERVER2", "SERVER3")
    request = put_nightly(quiesce, at_once=1, vss="{}")
    policy_run = quiesce.outputs["PolicyMachineArn"].replace(":stateMachine:", ":execution:") + ":cut-off"
    stop_at_snapshot(second, policy_run)
    assert wait_for(aws, quiesce.start_policy(request, name="cut-off"))["status"] == "ABORTED"
    summary, record = summary_of(quiesce, "cut-off"), swept_record(quiesce, "cut-off", second)
    assert outcomes(summary) == {
        first.instance_id: "Successful",
        second.instance_id: record["status"],
        third.instance_id: "NotStarted",
    }
    assert (summary["failure"], summary["servers"]) == ("ExecutionStopped", 3)


def swept_record(quiesce, name, server):
    record = quiesce.record_of(server, backup_of(quiesce, name, server))
    assert "sweep ended the run" in " ".join(record["notes"])
    return record


def test_a_hundred_servers_of_one_policy_are_backed_up_and_none_is_lost(aws, quiesce):
    """Half a minute on two cores."""
    servers = a_fleet(aws, *(f"SERVER{number}" for number in range(MANY)))
    ended = wait_for(aws, quiesce.start_policy(put_nightly(quiesce), name="hundred"))
    assert ended["status"] == "SUCCEEDED", ended
    summary = summary_of(quiesce, "hundred")
    assert [end for end in summary["targets"] if end["status"] != "Successful"] == []
    assert json.loads(ended["output"])["by_status"] == {"Successful": MANY}
    assert outcomes(summary) == {server.instance_id: "Successful" for server in servers}
    # What a state passes on does not grow with the servers.
    assert len(ended["output"]) < LARGEST_SUMMARY
