"""Which recovery point a whole recovery takes, and what dry run, account and mail say of it."""

import pytest

from sandbox.aws.recycle_bin import BIN
from tests.statemachine.recoveries import made
from tests.support.cloud import backend
from tests.support.factories.policy import a_policy
from tests.support.wire import refused


@pytest.fixture
def twice(backed, machine):
    """The same server, backed up a second time a day later; returns the second record."""
    machine.clock.now_s += 86_400
    request = {"policy": a_policy(backed.server.instance_id), "instance_id": backed.server.instance_id}
    run = machine.start(request, "night-2")
    assert run.status == "SUCCEEDED", run.cause
    return run.output


def latest(backed, **fields):
    request = {"instance_id": backed.server.instance_id, "at": "latest", "image_id": backed.image_id}
    return backed.machine.recover({"recovery_id": "drill-7", "beside_the_old_one": True, **request, **fields})


def delete(snapshot_id):
    backend().delete_snapshot(snapshot_id)


def throw_away(snapshot_id):
    BIN.retains = True
    delete(snapshot_id)


def mark(snapshot_id):
    backend().create_tags([snapshot_id], {"quiesce:removing": "2026-03-14"})


@pytest.mark.parametrize(
    ("lose", "words"),
    [
        (delete, "was deleted: it does not exist any more"),
        (throw_away, "is in the Recycle Bin"),
        (mark, "is marked as being removed"),
    ],
)
def test_a_recovery_point_that_lost_a_snapshot_is_passed_over_and_the_one_before_it_is_recovered(
    backed, twice, lose, words
):
    lost = twice["snapshots"][1]
    lose(lost["snapshot_id"])
    run = latest(backed)
    assert run.status == "SUCCEEDED", run.cause
    assert run.output["recovery_point"] == "night-1"
    [over] = run.output["passed_over"]
    assert over.startswith("night-2 (")
    assert over.endswith(f": the snapshot {lost['snapshot_id']} of {lost['device']} {words}")


def test_a_snapshot_in_the_recycle_bin_is_told_with_the_command_that_takes_it_out(backed):
    lost = backed.record["snapshots"][1]["snapshot_id"]
    throw_away(lost)
    run = backed.recover(mode="dry-run")
    [problem] = run.output["problems"]
    assert "is in the Recycle Bin. Remedy: take it out again " in problem
    assert f"(aws ec2 restore-snapshot-from-recycle-bin --snapshot-id {lost})" in problem


def test_where_the_right_to_look_into_the_recycle_bin_is_missing_the_rest_is_said_all_the_same(backed, machine):
    throw_away(backed.record["snapshots"][1]["snapshot_id"])
    machine.wire.on("ec2:ListSnapshotsInRecycleBin", refused("UnauthorizedOperation", 403), times=2)
    [problem] = backed.recover(mode="dry-run").output["problems"]
    assert "was deleted: it does not exist any more" in problem


def test_dry_run_account_and_mail_say_the_same_of_consistency_and_time(backed, twice, cloud):
    told = latest(backed, mode="dry-run").output
    account = latest(backed).output
    at = twice["snapshots_at"].replace("T", " ")[:19]
    assert told["consistency"] == account["consistency"]
    assert account["consistency"].startswith(f"crash-consistent, as after a power failure, as of {at} UTC (")
    [mail] = [text for subject, text in cloud.mails() if subject.startswith("Recovered")]
    assert f"Consistency: {account['consistency']}" in mail.splitlines()
    assert made(cloud)["servers"]


def test_no_recovery_point_at_all_is_told_with_every_reason(backed, twice):
    for record in (backed.record, twice):
        delete(record["snapshots"][0]["snapshot_id"])
    run = latest(backed)
    assert (run.status, run.error) == ("FAILED", "RecoveryRefused")
    assert "has no recovery point for 'latest' from which it can be recovered (passed over: night-2 (" in run.cause
    assert "; night-1 (" in run.cause


@pytest.mark.parametrize("typed", ["SERVER1", " server1 "])
@pytest.mark.parametrize("gone", [False, True])
def test_a_server_is_found_by_its_name_also_when_it_is_gone(backed, typed, gone):
    if gone:
        backend().terminate_instances([backed.server.instance_id])
        backend().get_instance(backed.server.instance_id)
        for reservation in backend().reservations.values():
            reservation.instances[:] = [i for i in reservation.instances if i.id != backed.server.instance_id]
    run = latest(backed, instance_id=typed, mode="dry-run")
    assert run.status == "SUCCEEDED", run.cause
    assert run.output["plan"]["from_instance_id"] == backed.server.instance_id
    assert any(f"the old server SERVER1 ({backed.server.instance_id}) " in note for note in run.output["notes"])


def test_a_record_may_be_named_by_its_url(backed):
    url = f"s3://quiesce-bucket/records/{backed.server.instance_id}/night-1.json"
    run = backed.recover(recovery_point=url, mode="dry-run")
    assert run.output["plan"]["recovery_point"] == "night-1"


def test_a_recovery_point_may_be_named_by_its_beginning_alone(backed):
    assert backed.recover(recovery_point="nigh", mode="dry-run").output["plan"]["recovery_point"] == "night-1"


@pytest.mark.parametrize(
    "which",
    [
        {"recovery_point": "noon"},
        {"instance_id": "i-0fedcba9876543210", "at": "latest"},
        {"instance_id": "X", "at": "latest"},
    ],
)
def test_an_unknown_id_is_answered_with_what_there_is(backed, which):
    run = backed.machine.recover({"recovery_id": "drill-7", **which})
    assert (run.status, run.error) == ("FAILED", "RecoveryRefused")
    assert f"Remedy: name one of SERVER1 ({backed.server.instance_id})." in run.cause
