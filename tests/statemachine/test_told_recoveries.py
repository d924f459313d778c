"""A recovery's account in the bucket and by mail, also after an execution that was cut off."""

import json

import pytest

from tests.statemachine.recoveries import ACCOUNT_IS_PUT, assert_recovered, made
from tests.statemachine.test_lost_recoveries import ON_THE_WAY
from tests.support.environment import ACCOUNT, BUCKET, REGION
from tests.support.machine import ended_event
from tests.support.wire import dies_after, dies_before, refused

TELLING = ["s3:PutObject", "sns:Publish", "dynamodb:PutItem"]
NTH = {"dynamodb:PutItem": 2, "s3:PutObject": ACCOUNT_IS_PUT}  # the first item is the plan


def key_of(run, recovery_id="drill-7"):
    return f"recoveries/{recovery_id}/{run.name}.json"


def mails_of_recoveries(cloud):
    return [(subject, text) for subject, text in cloud.mails() if subject.startswith("Recover")]


def ids_of(exists):
    names = {"servers": "InstanceId", "volumes": "VolumeId", "groups": "GroupId"}
    return {found[names[kind]] for kind, all_of_it in exists.items() for found in all_of_it}


def test_a_recovery_is_kept_and_told_with_all_that_it_made(backed, cloud):
    run = backed.recover()
    assert cloud.accounts() == {key_of(run): run.output}
    assert run.output["account"] == f"s3://{BUCKET}/{key_of(run)}"
    assert (run.output["from_instance_id"], run.output["execution"]) == (backed.server.instance_id, run.arn)
    assert run.output["snapshots_at"] == backed.record["snapshots_at"]
    assert run.output["started_at"] <= run.output["ended_at"]
    assert run.output["untold"] == ""
    [(subject, text)] = mails_of_recoveries(cloud)
    assert subject == "Recovered: drill-7"
    assert all(f"Exists:      {r['kind']} {r['resource_id']}" in text for r in run.output["exists"])


def test_a_failure_is_kept_and_told_with_all_that_exists(backed, machine, cloud):
    machine.wire.on("ec2:StartInstances", refused("UnauthorizedOperation", 403))
    run = backed.recover()
    [account] = cloud.accounts().values()
    assert (account["status"], account["reason"]) == ("Failed", run.cause)
    assert {r["resource_id"] for r in account["exists"]} == ids_of(made(cloud))
    [(subject, text)] = mails_of_recoveries(cloud)
    assert subject == "Recovery failed: drill-7"
    assert run.cause in text
    # In the place and the words of a recovery that succeeded.
    assert account["consistency"].startswith("crash-consistent, as after a power failure, as of ")
    assert f"Consistency: {account['consistency']}" in text.splitlines()


def test_an_input_that_is_refused_is_told_under_the_executions_name(backed, machine, cloud):
    run = machine.recover({"recovery_id": "../records/x", "recovery_point": "night-1"})
    assert run.error == "RecoveryRefused"
    assert list(cloud.accounts()) == [key_of(run, run.name)]
    assert [subject for subject, _ in mails_of_recoveries(cloud)] == [f"Recovery failed: {run.name}"]


@pytest.mark.parametrize("fields", [{}, {"recovery_point": "night-9"}], ids=["possible", "refused"])
def test_a_dry_run_leaves_no_account_and_no_mail(backed, cloud, fields):
    backed.recover(mode="dry-run", **fields)
    assert cloud.accounts() == {}
    assert mails_of_recoveries(cloud) == []


def test_each_execution_of_a_recovery_has_an_account_and_what_was_recovered_is_told_once(backed, machine, cloud):
    machine.wire.on("ec2:StartInstances", refused("UnauthorizedOperation", 403))
    failed, first, second = backed.recover(), backed.recover(), backed.recover()
    assert second.output == first.output
    assert cloud.accounts().keys() == {key_of(failed), key_of(first)}
    assert [s for s, _ in mails_of_recoveries(cloud)] == ["Recovery failed: drill-7", "Recovered: drill-7"]


def test_a_second_recovery_that_fails_is_told_beside_the_first(backed, cloud):
    first, second = backed.recover(), backed.recover(overrides={"instance_type": "t3.small"})
    assert {key: a["status"] for key, a in cloud.accounts().items()} == {
        key_of(first): "Recovered",
        key_of(second): "Failed",
    }


@pytest.mark.parametrize("call", TELLING)
@pytest.mark.parametrize("die", [dies_before, dies_after])
def test_a_function_that_dies_while_it_tells_tells_twice_and_never_not_at_all(backed, machine, cloud, call, die):
    machine.wire.on(call, die, nth=NTH.get(call, 1))
    run = backed.recover()
    assert_recovered(backed, run)
    [account] = cloud.accounts().values()
    assert account["status"] == "Recovered"
    assert {subject for subject, _ in mails_of_recoveries(cloud)} == {"Recovered: drill-7"}
    assert [key for key in cloud.items() if key[1].startswith("account#")] == [
        ("recovery#drill-7", f"account#{run.name}")
    ]


@pytest.mark.parametrize("call", TELLING)
@pytest.mark.parametrize("code", ["AccessDeniedException", "KMS.DisabledException"])
def test_that_nobody_could_be_told_is_a_note_and_the_server_is_recovered(backed, machine, call, code):
    machine.wire.on(call, refused(code), nth=NTH.get(call, 1))
    run = backed.recover()
    assert_recovered(backed, run)
    assert run.output["untold"].startswith("the account was not kept or not mailed")
    assert code in run.output["untold"]


def test_that_nobody_could_be_told_of_a_failure_keeps_its_error_and_its_cause(backed, machine):
    machine.wire.on("ec2:StartInstances", refused("UnauthorizedOperation", 403))
    machine.wire.on("sns:Publish", refused("KMS.DisabledException"))
    run = backed.recover()
    assert (run.error, run.states[-1]) == ("AccessDenied", "RecoveryFailed")
    assert "This exists: server i-" in run.cause


# ---- Executions that end without their account -----------------------------------------------------------------------


@pytest.mark.grid
@pytest.mark.parametrize("on_failure", ["keep", "clean-up"])
@pytest.mark.parametrize("state", ["Begin", *ON_THE_WAY, "Account"])
def test_stopped_anywhere_it_is_accounted_for_and_nothing_is_deleted(backed, slow, machine, cloud, state, on_failure):
    if state == "Account":
        machine.wire.on("ec2:StartInstances", refused("UnauthorizedOperation", 403))
    machine.stop_in(state)
    run = backed.recover(on_failure=on_failure)
    left = ids_of(made(cloud))
    mailed = [subject for subject, _ in mails_of_recoveries(cloud)]
    machine.sweep_recovery(run)
    machine.sweep_recovery(run)  # EventBridge may deliver an event twice
    assert ids_of(made(cloud)) == left
    [account] = cloud.accounts().values()
    # A function that runs during the stop runs on, and may have reported the end itself.
    if not mailed:
        assert account["status"] == "Failed"
        assert account["reason"].startswith("ExecutionStopped: " if run.status == "ABORTED" else f"{run.error}: ")
        assert {r["resource_id"] for r in account["exists"]} == left
        assert all(resource_id in account["reason"] for resource_id in left)
        assert "to go on, start it again under recovery_id 'drill-7'" in account["reason"]
    assert len(mails_of_recoveries(cloud)) == 1
    if state not in ("Finish", "Account"):
        machine.stop_in("")
        assert_recovered(backed, backed.recover())


def test_what_told_its_end_itself_is_not_swept(backed, machine, cloud):
    machine.wire.on("ec2:StartInstances", refused("UnauthorizedOperation", 403))
    run = backed.recover()
    before = cloud.accounts(), cloud.mails()
    machine.sweep_recovery(run)
    assert (cloud.accounts(), cloud.mails()) == before


def test_an_account_that_could_not_be_given_is_given_by_sweep(backed, machine, cloud):
    machine.wire.on("ec2:StartInstances", refused("UnauthorizedOperation", 403))
    machine.wire.on("ec2:TerminateInstances", refused("OperationNotPermitted"))
    run = backed.recover(on_failure="clean-up")
    assert (run.states[-1], cloud.accounts()) == ("AccountFailed", {})
    machine.sweep_recovery(run)
    [account] = cloud.accounts().values()
    assert {r["resource_id"] for r in account["exists"]} == ids_of(made(cloud))
    assert account["reason"].startswith("AccessDenied: ec2:StartInstances")


def test_a_dry_run_that_is_stopped_is_not_accounted_for(backed, machine, cloud):
    machine.stop_in("Plan")
    machine.sweep_recovery(backed.recover(mode="dry-run"))
    assert (cloud.accounts(), mails_of_recoveries(cloud)) == ({}, [])


@pytest.mark.parametrize("data", [None, json.dumps(["no object"])], ids=["too large for the event", "no object"])
def test_an_event_without_a_readable_input_is_accounted_for_under_the_executions_name(machine, cloud, data):
    arn = f"arn:aws:states:{REGION}:{ACCOUNT}:execution:recover:by-hand"
    machine.sweep_by_event(ended_event(arn, "TIMED_OUT", data, machine.clock.now_s), "recover")
    [(key, account)] = cloud.accounts().items()
    assert key == "recoveries/by-hand/by-hand.json"
    assert account["reason"].startswith("ExecutionTimedOut: ")
    assert "EC2 lists nothing that it made" in account["reason"]


def test_a_sweep_that_cannot_tell_fails_and_is_started_again(backed, slow, machine, cloud):
    machine.stop_in("Swap")
    run = backed.recover()
    machine.wire.on("sns:Publish", refused("KMS.DisabledException"))
    with pytest.raises(Exception, match=r"KMS\.DisabledException"):
        machine.sweep_recovery(run)
    machine.sweep_recovery(run)
    assert len(mails_of_recoveries(cloud)) == 1
