"""Backups and recoveries from the command line: what a person types, sees and gets, on the deployed product."""

import json

import pytest
from quiesce_cli.answers import shapes

from sandbox.aws.snapshots import RULES
from sandbox.executions import wait_for
from tests.support.command_line import type_command

NIGHTLY = "name: {name}\ntargets: [{{instance_id: {server}, vss: off}}]\n"


@pytest.fixture
def server(aws, quiesce, monkeypatch):
    """A server with a policy of its own, in the bucket."""
    monkeypatch.setattr(RULES, "volume_interval_s", 0.0)
    server = aws.servers.add("TYPED")
    quiesce.put_policy("typed", NIGHTLY.format(name="typed", server=server.instance_id))
    yield server
    aws.client("s3").delete_object(Bucket=quiesce.outputs["BucketName"], Key="policies/typed.yaml")


def test_a_backup_is_followed_state_by_state_and_recovered_from_after_its_plan(aws, server):
    ran = type_command("run", "typed")
    assert ran.code == 0, ran.err
    assert ran.out.startswith("Successful: every chosen volume has a completed snapshot\n")
    states = [line.split()[-1] for line in ran.err.splitlines()[1:]]
    # Without shadow copies there is nothing to verify.
    passed = [state for state in states if state in ("Plan", "Snapshot", "Verify", "Report")]
    assert passed == ["Plan", "Snapshot", "Report"]
    record = type_command("show", ran.out.split("run ")[1].split()[0], "--json").data
    assert record["started_by"] == aws.client("sts").get_caller_identity()["Arn"]
    [point] = type_command("points", "--server", server.instance_id, "--json").data["points"]
    assert point["recommended"]

    plan = type_command(*point["recover"].split()[1:], "--dry-run", "--json")
    planned = shapes.Recovered.model_validate_json(plan.out)
    assert (plan.code, planned.status, planned.possible) == (1, "Planned", False)
    assert any("beside_the_old_one" in problem for problem in planned.problems), planned.problems
    narrow = type_command(*point["recover"].split()[1:], "--dry-run", width=60)
    assert "It can't be carried out:" in narrow.out
    assert narrow.width <= 60

    before = set(aws.servers.backend().instances if hasattr(aws.servers.backend(), "instances") else ())
    recovered = type_command(*point["recover"].split()[1:], "--yes", "--beside-the-old-one", "--json")
    answer = shapes.Recovered.model_validate_json(recovered.out)
    assert (recovered.code, answer.status) == (0, "Recovered"), recovered.out
    assert answer.instance_id not in ("", server.instance_id, *before)
    end = aws.client("stepfunctions").describe_execution(executionArn=answer.execution)
    assert json.loads(end["output"])["started_by"] == record["started_by"]
    again = type_command("follow", answer.recovery_id)
    assert (again.code, again.out.splitlines()[0][:10]) == (0, "Recovered:")


def test_ctrl_c_leaves_the_run_alone_and_says_how_to_look_again(aws, server):
    def interrupt(_seconds):
        raise KeyboardInterrupt

    ran = type_command("run", "typed", sleep=interrupt)
    assert (ran.code, ran.out) == (130, "")
    error, remedy = ran.err.splitlines()[-2:]
    assert error == "error: you stopped looking; the run goes on without you"
    name = remedy.split()[3]
    assert remedy == f"remedy: quiesce follow {name} looks again"
    looked = type_command("follow", name, "--json")
    assert (looked.code, looked.data["status"], looked.data["run_id"]) == (0, "Successful", name)
    assert wait_for(aws, looked.data["execution"])["status"] == "SUCCEEDED"


def test_a_run_can_be_started_without_looking_on(aws, server):
    started = type_command("run", "typed", server.instance_id, "--detach", "--json")
    assert (started.code, started.data["status"]) == (0, "Running")
    assert wait_for(aws, started.data["execution"])["status"] == "SUCCEEDED"


def test_a_run_that_is_refused_is_not_good_and_says_why(server):
    ran = type_command("run", "typed", "i-0123456789abcdef9")
    assert ran.code == 1
    assert "is no target of policy 'typed'" in ran.out


def test_a_recovery_that_nobody_confirms_is_not_started(aws, server, quiesce):
    unasked = type_command("recover", "--server", server.instance_id)
    assert (unasked.code, unasked.out) == (2, "")
    assert "add --yes to recover, or --dry-run" in unasked.err
    none = type_command("recover", "--server", server.instance_id, "--yes")
    assert (none.code, none.out) == (1, "")
    assert none.err.startswith("error: there is no plan: ")


def test_all_servers_of_a_policy_are_backed_up_where_none_is_named(aws, quiesce, server):
    other = aws.servers.add("OTHER")
    text = "name: typed\ndefaults: {vss: off}\ntargets:\n"
    quiesce.put_policy("typed", text + "".join(f"- instance_id: {s.instance_id}\n" for s in (server, other)))
    ran = type_command("run", "typed", "--json")
    assert (ran.code, ran.data["status"]) == (0, "Successful"), ran.out + ran.err
    assert "2" in ran.data["reason"]
    # Who typed it stands in the policy run's summary, and in the record of each server.
    person = aws.client("sts").get_caller_identity()["Arn"]
    end = aws.client("stepfunctions").describe_execution(executionArn=ran.data["execution"])
    assert json.loads(end["output"])["started_by"] == person
    for each in (server, other):
        [point] = type_command("points", "--server", each.instance_id, "--json").data["points"]
        assert type_command("show", point["run_id"], "--json").data["started_by"] == person
