"""Policies for many servers: the policy machine with the real backup machine behind it."""

import json

import pytest

from tests.support.environment import ACCOUNT, BUCKET, REGION
from tests.support.factories.policy import a_policy
from tests.support.machine import ended_event
from tests.support.project import definition
from tests.support.wire import refused

BY_TAGS = [{"tags": {"Backup": "nightly"}, "vss": "off"}]


def a_fleet(cloud, *names, **tags):
    """Start servers that all have the tag ``Backup`` = ``nightly``."""
    servers = sorted((cloud.add_server(name) for name in names), key=lambda server: server.instance_id)
    for server in servers:
        tag(cloud, server, Backup="nightly", **tags)
    return servers


def tag(cloud, server, **tags):
    pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
    cloud.ec2.create_tags(Resources=[server.instance_id], Tags=pairs)


def all_of(cloud, summary):
    """Return the outcome of every server, by id, as the file in the bucket has it."""
    key = summary["all"].removeprefix(f"s3://{BUCKET}/")
    listed = json.loads(cloud.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())["targets"]
    return {end["instance_id"]: end["status"] for end in listed}


def subjects(cloud):
    return [subject for subject, _ in cloud.mails()]


@pytest.fixture
def nightly(cloud):
    """The input of a policy run by a policy by tags."""
    return {"policy": cloud.put_policy(a_policy(targets=BY_TAGS))}


def test_all_servers_of_a_policy_are_backed_up_and_counted_and_nobody_is_told(machine, cloud, nightly):
    servers = a_fleet(cloud, "SERVER1", "SERVER2", "SERVER3")
    cloud.add_server("OTHER")
    run = machine.run_policy(nightly)
    assert run.status == "SUCCEEDED", (run.error, run.cause)
    summary = run.output
    assert (summary["status"], summary["reason"]) == ("Successful", "all 3 servers are backed up")
    assert (summary["by_status"], summary["by_consistency"]) == ({"Successful": 3}, {"crash": 3})
    assert {record["instance_id"] for record in cloud.records().values()} == {s.instance_id for s in servers}
    assert all_of(cloud, summary) == {server.instance_id: "Successful" for server in servers}
    assert cloud.mails() == []
    # The runs' names hold the policy run's.
    assert {r["run_id"] for r in cloud.records().values()} == {f"{run.name}-{s.instance_id}" for s in servers}


def test_no_end_of_one_servers_backup_can_end_the_map():
    # Both hold by themselves: the Map tolerates every failure, and a child has none.
    each = definition("PolicyMachine")["States"]["BackUp"]
    assert each["ToleratedFailurePercentage"] == 100
    children = each["ItemProcessor"]["States"]
    assert "Fail" not in {state["Type"] for state in children.values()}
    for state in children.values():
        assert state["Type"] != "Task" or state["Catch"][-1]["ErrorEquals"] == ["States.ALL"]


def test_settings_of_the_entry_that_a_server_belongs_to_hold_for_its_backup(machine, cloud):
    plain, special = a_fleet(cloud, "SERVER1", "SERVER2")
    tag(cloud, special, Role="data")
    targets = [
        *BY_TAGS,
        {"tags": {"Backup": "nightly", "Role": "data"}, "vss": "off", "volumes": {"exclude": ["root"]}},
    ]
    summary = machine.run_policy({"policy": cloud.put_policy(a_policy(targets=targets))}).output
    taken = {record["instance_id"]: len(record["snapshots"]) for record in cloud.records().values()}
    assert taken == {plain.instance_id: 3, special.instance_id: 2}
    assert summary["notes"] == [f"targets[1] counts, not targets[0], as it asks for more tags: {special.instance_id}"]


def test_one_server_that_a_policy_names_by_tags_is_backed_up_alone_as_ever(machine, cloud, nightly):
    [server] = a_fleet(cloud, "SERVER1")
    other = cloud.add_server("OTHER")
    run = machine.start({**nightly, "instance_id": server.instance_id})
    assert run.output["status"] == "Successful"
    refused = machine.start({**nightly, "instance_id": other.instance_id})
    assert refused.error == "PolicyRefused"
    assert (
        f"{other.instance_id} is no target of policy 'files-nightly' (its targets: tags Backup=nightly)"
        in refused.cause
    )
    by_name = machine.start({**nightly, "instance_id": "SERVER1"})
    assert f"'SERVER1' is the Name tag of {server.instance_id}" in by_name.cause


def test_one_bad_server_ends_no_other_and_one_mail_tells_of_it(machine, cloud, nightly):
    good, bad, last = a_fleet(cloud, "SERVER1", "SERVER2", "SERVER3")
    cloud.hold(bad.instance_id, "another-run", machine.clock.now_s + 86_400)
    run = machine.run_policy(nightly)
    assert run.status == "SUCCEEDED"
    assert run.output["status"] == "PartiallySuccessful"
    outcomes = {good.instance_id: "Successful", bad.instance_id: "Failed", last.instance_id: "Successful"}
    assert all_of(cloud, run.output) == outcomes
    [(subject, text)] = cloud.mails()
    assert subject == "PartiallySuccessful: policy files-nightly"
    assert f"SERVER2 ({bad.instance_id}): Failed" in text or f"{bad.instance_id}: Failed" in text
    assert "another-run" in text
    assert good.instance_id not in text


def test_the_first_good_policy_run_after_a_bad_one_is_told_and_the_next_is_not(machine, cloud, nightly):
    [server] = a_fleet(cloud, "SERVER1")
    cloud.hold(server.instance_id, "another-run", machine.clock.now_s + 86_400)
    assert machine.run_policy(nightly).error == "PolicyRunFailed"
    cloud.free(server.instance_id)
    for _ in range(2):
        assert machine.run_policy(nightly).output["status"] == "Successful"
    assert subjects(cloud) == ["Failed: policy files-nightly", "Successful again: policy files-nightly"]


def test_a_policy_that_means_no_server_is_skipped_and_told_and_never_called_successful(machine, cloud, nightly):
    cloud.add_server("OTHER")
    run = machine.run_policy(nightly)
    assert (run.status, run.output["status"]) == ("SUCCEEDED", "Skipped")
    assert run.output["warnings"] == ["the policy means no server that can be backed up"]
    assert subjects(cloud) == ["Skipped, with a warning: policy files-nightly"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"policy": "weekly"}, "policies/weekly.yaml does not exist"),
        ({"policy": "files-nightly", "instance_id": "i-01234567"}, "input: is that of a backup of one server"),
        ({"policy": {"name": "x"}}, "input: is that of a backup of one server"),
        ({"polcy": "x"}, "polcy: is not a field that quiesce knows (and 1 more). Remedy: write 'policy'"),
        ([], "input: is list, not a JSON object"),
        ({"policy": "files-nightly", "scheduled_time": "now"}, "scheduled_time: 'now': must be a time in UTC"),
    ],
)
@pytest.mark.usefixtures("nightly")
def test_an_input_that_makes_no_sense_is_told_by_mail_and_backs_up_nothing(machine, cloud, data, words):
    a_fleet(cloud, "SERVER1")
    run = machine.run_policy(data)
    assert run.error == "PolicyRunFailed"
    assert words in run.cause
    [(subject, text)] = cloud.mails()
    assert subject.startswith("Failed: policy ")
    assert words in text
    assert cloud.snapshots() == []


def test_a_name_that_leaves_no_room_for_the_servers_is_refused(machine, cloud, nightly):
    a_fleet(cloud, "SERVER1")
    assert machine.run_policy(nightly, "x" * 60).status == "SUCCEEDED"
    refused = machine.run_policy(nightly, "x" * 61)
    assert "start it under another name: at most 60 letters" in refused.cause


def test_the_same_scheduled_time_runs_once_and_its_summary_stays(machine, cloud, nightly, clock):
    [server] = a_fleet(cloud, "SERVER1")
    at = clock.now()
    time, written = f"{at:%Y%m%dT%H%M%SZ}", f"{at:%Y-%m-%dT%H:%M:%SZ}"
    scheduled = {**nightly, "scheduled_time": written, "schedule": "files-nightly.1"}
    first = machine.run_policy(scheduled)
    assert first.output["run_id"] == f"files-nightly-{time}"
    assert (first.output["scheduled_time"], first.output["schedule"]) == (written, "files-nightly.1")
    [record] = cloud.records().values()
    assert record["run_id"] == f"files-nightly-{server.instance_id}-{time}"
    again = machine.run_policy(scheduled)
    assert again.error == "RunAlreadyStarted"
    assert first.arn in again.cause
    # The event of its end changes nothing either.
    followed = machine.run_policy(event_of(machine, again))
    assert (followed.status, followed.output) == ("SUCCEEDED", None)
    assert cloud.snapshot_sets() == 1


def event_of(machine, run):
    described = machine.cloud.stepfunctions.describe_execution(executionArn=run.arn)
    return ended_event(run.arn, run.status, described["input"], machine.clock.now_s, described)


@pytest.mark.parametrize("step", ["resolve", "summarize"])
@pytest.mark.parametrize("after_the_call", [False, True])
def test_a_step_of_a_policy_run_may_be_repeated(machine, cloud, nightly, step, after_the_call):
    a_fleet(cloud, "SERVER1", "SERVER2")
    machine.lambda_fails(step, "Lambda.ServiceException", "Sandbox.Timedout", after_the_call=after_the_call)
    run = machine.run_policy(nightly)
    assert run.output["by_status"] == {"Successful": 2}
    assert cloud.snapshot_sets() == 1


def test_all_servers_go_by_the_policy_as_it_was_resolved(machine, cloud, nightly):
    """The file and the servers' tags change in between."""
    a_fleet(cloud, "SERVER1", "SERVER2")

    def change():
        cloud.put_policy(a_policy(targets=[{"tags": {"Backup": "weekly"}, "volumes": {"exclude": ["root"]}}]))
        cloud.ec2.delete_tags(Resources=cloud.server_ids(), Tags=[{"Key": "Backup"}])

    machine.before("plan", change)
    run = machine.run_policy(nightly)
    assert run.output["by_status"] == {"Successful": 2}
    assert {len(record["snapshots"]) for record in cloud.records().values()} == {3}


def test_what_a_policy_run_can_not_back_up_is_noted_or_told(machine, cloud):
    [server] = a_fleet(cloud, "SERVER1")
    gone = "i-0fedcba9876543210"
    targets = [*BY_TAGS, {"instance_id": gone, "vss": "off"}]
    note = f"left out, EC2 does not know it: {gone}"
    noted = machine.run_policy({"policy": cloud.put_policy(a_policy(targets=targets))}).output
    assert (noted["notes"], noted["warnings"]) == ([note], [])
    assert cloud.mails() == []
    told = machine.run_policy({"policy": cloud.put_policy(a_policy(targets=targets, missing="alert"))}).output
    assert (told["notes"], told["warnings"]) == ([], [note])
    assert list(all_of(cloud, told)) == [server.instance_id]
    assert subjects(cloud) == ["Successful, with a warning: policy files-nightly"]


def test_a_run_that_step_functions_does_not_start_is_told_as_not_started(machine, cloud, nightly):
    taken, other = a_fleet(cloud, "SERVER1", "SERVER2")
    machine.start({"policy": a_policy(taken.instance_id), "instance_id": taken.instance_id}, "warm-up")
    states = cloud.stepfunctions
    arn = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:BackupMachine"
    states.start_execution(stateMachineArn=arn, name=f"night-{taken.instance_id}", input="{}")
    run = machine.run_policy(nightly, "night")
    assert all_of(cloud, run.output) == {taken.instance_id: "NotStarted", other.instance_id: "Successful"}
    assert "no run of it began in this policy run" in cloud.mails()[-1][1]


def test_a_policy_run_that_was_cut_off_is_summed_up_by_another_execution(machine, cloud, nightly):
    """Stopped between Resolve and the Map: no server's turn had come."""
    servers = a_fleet(cloud, "SERVER1", "SERVER2")
    machine.stop_in("Servers?")
    stopped = machine.run_policy(nightly)
    machine.stop_in("")
    assert (stopped.status, cloud.mails()) == ("ABORTED", [])
    followed = machine.run_policy(event_of(machine, stopped))
    assert followed.error == "PolicyRunFailed"
    [(subject, text)] = cloud.mails()
    assert subject == "Failed: policy files-nightly"
    assert "ExecutionStopped: the execution was stopped by hand or by its parent" in text
    assert text.count("NotStarted") >= len(servers)
    # The event of that execution's end starts nothing more.
    last = machine.run_policy(event_of(machine, followed))
    assert (last.status, last.output) == ("SUCCEEDED", None)
    assert len(cloud.mails()) == 1


def test_a_policy_run_that_was_cut_off_after_its_map_is_summed_up_as_it_was(machine, cloud, nightly):
    servers = a_fleet(cloud, "SERVER1", "SERVER2")
    machine.stop_in("Summarize")
    stopped = machine.run_policy(nightly)
    machine.stop_in("")
    assert stopped.status == "ABORTED"
    # Summarize's function ran on, and ended the policy run.
    summary = json.loads(cloud.items()[f"policy-run#{stopped.name}", "run"]["summary"])
    assert all_of(cloud, summary) == {server.instance_id: "Successful" for server in servers}
    followed = machine.run_policy(event_of(machine, stopped))
    assert (followed.status, followed.output) == ("SUCCEEDED", None)


def test_a_run_in_a_policy_run_that_ended_without_report_is_waited_for_and_then_called_unreported(
    machine, cloud, nightly
):
    """Neither Report nor Sweep ended it; its execution has ended."""
    lost, good = a_fleet(cloud, "SERVER1", "SERVER2")
    machine.lambda_fails("report", *["Lambda.ServiceException"] * 7)
    looks = []

    def look():
        looks.append(machine.clock.now_s)
        machine.clock.now_s += 1800
        machine.before("summarize", look)

    machine.before("summarize", look)
    run = machine.run_policy(nightly)
    assert all_of(cloud, run.output) == {lost.instance_id: "Unreported", good.instance_id: "Successful"}
    assert len(looks) > 2, "it did not wait for Sweep"
    assert "neither Report nor Sweep ended its run" in cloud.mails()[-1][1]


def test_sweep_ends_a_run_while_its_policy_run_waits(machine, cloud, nightly):
    lost, good = a_fleet(cloud, "SERVER1", "SERVER2")
    machine.lambda_fails("report", *["Lambda.ServiceException"] * 7)

    def sweep():
        arn = f"arn:aws:states:{REGION}:{ACCOUNT}:execution:BackupMachine:night-{lost.instance_id}"
        described = cloud.stepfunctions.describe_execution(executionArn=arn)
        machine.sweep_by_event(ended_event(arn, "FAILED", described["input"], machine.clock.now_s, described))

    machine.before("summarize", lambda: machine.before("summarize", sweep))
    run = machine.run_policy(nightly, "night")
    outcomes = all_of(cloud, run.output)
    assert outcomes[good.instance_id] == "Successful"
    assert outcomes[lost.instance_id] in ("PartiallySuccessful", "Failed", "Successful")
    assert len(cloud.records()) == 2


def test_a_mail_that_can_not_be_sent_ends_no_policy_run(machine, cloud, wire, nightly):
    [server] = a_fleet(cloud, "SERVER1")
    cloud.hold(server.instance_id, "another-run", machine.clock.now_s + 86_400)
    machine.before("summarize", lambda: wire.on("sns:Publish", refused("KMS.DisabledException")))
    assert machine.run_policy(nightly, "night").error == "PolicyRunFailed"
    assert cloud.mails() == []
    summary = json.loads(cloud.items()["policy-run#night", "run"]["summary"])
    assert any(note.startswith("the mail was not sent: ") for note in summary["notes"])


def test_retention_of_its_servers_is_started_under_the_policy_runs_name(machine, cloud):
    [server] = a_fleet(cloud, "SERVER1")
    other = cloud.add_server("OTHER")
    machine.retains = True
    run = machine.run_policy({"policy": cloud.put_policy(a_policy(targets=BY_TAGS, keep={"last": 1}))})
    states = cloud.stepfunctions
    [arn] = [m["stateMachineArn"] for m in states.list_state_machines()["stateMachines"] if "Retention" in m["name"]]
    [started] = states.list_executions(stateMachineArn=arn)["executions"]
    told = json.loads(states.describe_execution(executionArn=started["executionArn"])["output"])
    assert (started["name"], told["servers"], told["problems"]) == (run.name, 1, [])
    listed = cloud.s3.get_object(Bucket=BUCKET, Key=f"retention/{run.name}/servers.json")["Body"].read()
    assert json.loads(listed) == [{"server": server.instance_id}]
    assert other.instance_id not in str(listed)
    assert run.output["notes"] == []


def test_a_retention_that_cannot_be_started_is_a_note_and_fails_no_policy_run(machine, cloud, nightly):
    a_fleet(cloud, "SERVER1")
    machine.retention_fails("StepFunctions.StateMachineDoesNotExistException")
    assert machine.run_policy(nightly).output["notes"] == []
    run = machine.run_policy({"policy": cloud.put_policy(a_policy(targets=BY_TAGS, keep={"last": 1}))})
    assert (run.status, run.output["status"]) == ("SUCCEEDED", "Successful")
    [note] = run.output["notes"]
    assert note.startswith("retention of these servers was not started (StepFunctions.")
    assert note.endswith("; the daily one looks after them")
    assert cloud.mails() == []


def test_a_policy_run_without_servers_or_without_a_rule_starts_no_retention():
    states = definition("PolicyMachine")["States"]
    assert [name for name, state in states.items() if state.get("Next") == "Rule?"] == ["BackUp"]
    [choice] = states["Rule?"]["Choices"]
    assert choice == {"Variable": "$.resolve.has_rule", "BooleanEquals": True, "Next": "StartRetention"}
    assert states["Rule?"]["Default"] == "Summarize"
    start = states["StartRetention"]
    assert start["Resource"].endswith(":states:startExecution")
    catch = {"ErrorEquals": ["States.ALL"], "ResultPath": "$.retention_failure", "Next": "Summarize"}
    assert (start["Catch"], start["Next"]) == ([catch], "Summarize")
