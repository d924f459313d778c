"""Recoveries from the archive: told beforehand, restored for some days, waited for, and gone on with."""

from datetime import timedelta

import pytest

from quiesce.aws.retention.archivings import Archivings
from quiesce.aws.retention.points import Points
from quiesce.points.restoring import NEEDED, RESTORED_DAYS
from sandbox.aws.snapshot_tiers import DAY_S, TIERS, Archived
from tests.statemachine.builds import BackedShop, recovering
from tests.statemachine.recoveries import assert_recovered, made
from tests.support.cloud import backend
from tests.support.environment import BUCKET, TABLE
from tests.support.factories.policy import a_policy
from tests.support.wire import answer_lost, connection_closed, dies_after, dies_before, refused

HOUR_S = 3600
RESTORING_S = 70 * HOUR_S
NOTHING = {"servers": [], "volumes": [], "groups": []}


@pytest.fixture
def archived(backed):
    """The recovery point of a server, of which the archive has all three snapshots; restoring takes EBS 70 hours."""
    archive(backed)
    TIERS.restoring_s = RESTORING_S
    return backed


def archive(backed):
    for snapshot_id in ids(backed):
        backend().snapshots[snapshot_id].storage_tier = "archive"


def ids(backed):
    return [each["snapshot_id"] for each in backed.record["snapshots"]]


def tiers(backed):
    return {backend().snapshots[each].storage_tier for each in ids(backed)}


def restored():
    return [each[1:] for each in TIERS.asked if each[0] == "RestoreSnapshotTier"]


def item(backed):
    return backed.cloud.items()[backed.server.instance_id, f"run#{backed.record['run_id']}"]


def test_it_is_restored_for_some_days_and_recovered_with_all_data_and_goes_back_by_itself(archived):
    began_s = archived.machine.clock.now_s
    run = archived.recover()
    assert_recovered(archived, run)
    assert [state for state in run.states if "?" not in state][:4] == ["Begin", "Plan", "Restore", "Launch"]
    assert RESTORING_S < archived.machine.clock.now_s - began_s < RESTORING_S + 2 * HOUR_S
    assert sorted(restored()) == sorted((each, RESTORED_DAYS) for each in ids(archived))
    assert tiers(archived) == {"standard"}
    archived.machine.clock.now_s += RESTORED_DAYS * DAY_S
    assert tiers(archived) == {"archive"}
    assert "3 snapshots are archived: EBS restores " in str(run.output["notes"])
    assert "Restore 70." in run.output["took"]


def test_the_waiting_takes_few_looks(archived):
    archived.recover()
    assert archived.machine.wire.count("ec2:RestoreSnapshotTier") == 3
    assert 140 < len(archived.machine.clock.waits) < 200


def test_a_dry_run_says_hours_dollars_and_days_and_restores_nothing(archived, monkeypatch):
    monkeypatch.setattr(TIERS, "full_bytes", lambda _: 50 * 2**30)
    run = archived.recover(mode="dry-run")
    assert run.status == "SUCCEEDED"
    assert (run.output["possible"], run.output["problems"]) == (True, [])
    words = (
        f"3 snapshots are archived: EBS restores 150.0 GiB for {RESTORED_DAYS} days, which takes up to 72 h and costs "
        "about $5.50; afterwards they go back into the archive by themselves"
    )
    assert words in run.output["notes"]
    assert run.output["steps"][0] == f"1. Wait: {words}."
    assert restored() == []
    assert tiers(archived) == {"archive"}


def test_without_a_size_in_full_the_volumes_sizes_are_the_bound(archived):
    gib = sum(each["size_gib"] for each in archived.record["snapshots"])
    assert f"EBS restores {gib:.1f} GiB" in str(archived.recover(mode="dry-run").output["notes"])


def test_one_archived_snapshot_among_others_is_restored_alone(backed):
    [first, *_] = ids(backed)
    backend().snapshots[first].storage_tier = "archive"
    run = backed.recover()
    assert_recovered(backed, run)
    assert [each for each, _ in restored()] == [first]
    assert "1 snapshot is archived" in str(run.output["notes"])


def test_what_was_never_archived_asks_for_no_tier(backed):
    run = backed.recover()
    assert_recovered(backed, run)
    assert "Restore" not in run.states
    assert backed.machine.wire.count("ec2:DescribeSnapshotTierStatus") == 0


def test_progress_says_what_it_waits_for(archived):
    texts = []

    def look():
        with archived.machine.wire.listen(on=False):
            found = archived.cloud.s3.get_object(Bucket=BUCKET, Key="recoveries/drill-7/progress.txt")
            texts.append(found["Body"].read().decode())

    archived.machine.clock.at_next_wait(*[look] * 30)
    archived.recover()
    assert "Now:       Restore, state 2 of " in texts[-1]
    assert "0 of 3 snapshots can be used; snap-" in texts[-1]
    assert "is being restored (" in texts[-1]


def test_the_recovery_point_is_held_as_long_as_the_recovery_may_take(archived):
    archived.recover()
    assert float(item(archived)["leased_until"]) > archived.machine.clock.now_s + 24 * HOUR_S
    assert float(item(archived)["leased_until"]) < archived.machine.clock.now_s + NEEDED.total_seconds() + 1


def test_it_stays_held_while_ebs_restores_whatever_a_retention_wants(archived):
    points = Points(archived.cloud.dynamodb, TABLE)
    begun = []

    def remove():
        with archived.machine.wire.listen(on=False):
            [point] = points.listed(archived.server.instance_id)
            begun.append(points.begin_removal(point, "no rule keeps it", archived.machine.clock.now()))

    archived.machine.clock.at_next_wait(*[lambda: None] * 100, remove)
    assert_recovered(archived, archived.recover())
    assert begun == [False]


def test_another_execution_under_the_same_id_adopts_what_is_being_restored(archived):
    archived.machine.stop_in("Restore")
    archived.recover()
    archived.machine.stop_in("")
    assert len(restored()) == 3
    archived.machine.clock.now_s += 40 * HOUR_S
    run = archived.recover()
    assert_recovered(archived, run)
    assert len(restored()) == 3


def test_two_recoveries_of_one_recovery_point_restore_it_once(archived):
    archived.machine.stop_in("Restore")
    archived.recover(recovery_id="drill-6")
    archived.machine.stop_in("")
    assert_recovered(archived, archived.recover())
    assert len(restored()) == 3


def test_what_is_restored_for_too_short_is_asked_for_once_more(archived):
    """A person may have restored it for a day."""
    for snapshot_id in ids(archived):
        archived.cloud.ec2.restore_snapshot_tier(SnapshotId=snapshot_id, TemporaryRestoreDays=1)
    archived.machine.clock.now_s += RESTORING_S + 10
    del TIERS.asked[:]
    run = archived.recover()
    assert_recovered(archived, run)
    assert sorted(restored()) == sorted((each, RESTORED_DAYS) for each in ids(archived))
    assert all(TIERS.held[each].expires_s > archived.machine.clock.now_s + 3 * DAY_S for each in ids(archived))


def test_what_is_restored_for_long_enough_or_for_good_is_not_waited_for(archived):
    first, *others = ids(archived)
    archived.cloud.ec2.restore_snapshot_tier(SnapshotId=first, PermanentRestore=True)
    for snapshot_id in others:
        archived.cloud.ec2.restore_snapshot_tier(SnapshotId=snapshot_id, TemporaryRestoreDays=9)
    archived.machine.clock.now_s += RESTORING_S + 10
    run = archived.recover()
    assert_recovered(archived, run)
    assert "Restore" not in run.states


def test_one_that_retention_is_just_archiving_is_waited_for_and_restored(backed):
    """Its move was begun before the recovery had the recovery point, and a move can't be cancelled."""
    points, archivings = Points(backed.cloud.dynamodb, TABLE), Archivings(backed.cloud.dynamodb, TABLE)
    [point] = points.listed(backed.server.instance_id)
    now = backed.machine.clock.now()
    assert archivings.begin(point, now, now + timedelta(minutes=30))
    TIERS.archiving_s = 2 * HOUR_S

    def move():
        for snapshot_id in ids(backed):
            backed.cloud.ec2.modify_snapshot_tier(SnapshotId=snapshot_id, StorageTier="archive")

    backed.machine.clock.at_next_wait(move)
    run = backed.recover()
    assert_recovered(backed, run)
    assert "Restore" in run.states
    assert len(restored()) == 3


def test_one_whose_move_retention_only_said_and_never_asked_for_is_not_restored(backed):
    """It died in between: when its time is over nothing has moved."""
    points, archivings = Points(backed.cloud.dynamodb, TABLE), Archivings(backed.cloud.dynamodb, TABLE)
    [point] = points.listed(backed.server.instance_id)
    now = backed.machine.clock.now()
    archivings.begin(point, now, now + timedelta(minutes=30))
    run = backed.recover()
    assert_recovered(backed, run)
    assert restored() == []
    assert backed.machine.clock.now_s > now.timestamp() + 1800


def test_a_recovery_that_has_it_is_not_archived_beneath(backed):
    backed.recover()
    [point] = Points(backed.cloud.dynamodb, TABLE).listed(backed.server.instance_id)
    now = backed.machine.clock.now()
    assert not Archivings(backed.cloud.dynamodb, TABLE).begin(point, now, now + timedelta(minutes=30))


@pytest.mark.grid
@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("fault", [answer_lost, connection_closed, dies_before, dies_after])
@pytest.mark.parametrize("call", ["ec2:RestoreSnapshotTier", "ec2:DescribeSnapshotTierStatus", "dynamodb:UpdateItem"])
def test_a_restore_that_was_cut_off_anywhere_is_made_once(archived, call, fault, nth):
    archived.machine.wire.on(call, fault, nth=nth)
    assert_recovered(archived, archived.recover())
    assert sorted(each for each, _ in restored()) == sorted(ids(archived))


def test_more_than_ebs_restores_at_a_time_wait_for_their_turn(archived):
    for number in range(4):
        TIERS.held[f"snap-{number}"] = Archived(
            0, 0, archived.machine.clock.now_s + 30 * HOUR_S, archived.machine.clock.now_s + DAY_S * 99
        )
        stranger(archived, f"snap-{number}")
    archived.machine.wire.forget()
    run = archived.recover()
    assert_recovered(archived, run)
    assert len(restored()) == 3
    assert archived.machine.clock.now_s < TIERS.held[ids(archived)[0]].expires_s


def stranger(backed, snapshot_id):
    """Add a snapshot to the account that has nothing to do with the stack."""
    volume = backed.cloud.ec2.create_volume(Size=1, AvailabilityZone="eu-central-1a")["VolumeId"]
    made_one = backed.cloud.ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    backend().snapshots[snapshot_id] = backend().snapshots.pop(made_one)
    backend().snapshots[snapshot_id].id = snapshot_id


@pytest.mark.parametrize("code", ["UnauthorizedOperation", "InvalidSnapshot.NotFound", "IncorrectState"])
def test_what_ec2_refuses_for_good_ends_the_recovery_with_its_words_before_anything_is_created(archived, code):
    archived.machine.wire.on("ec2:RestoreSnapshotTier", refused(code, 403))
    run = archived.recover()
    assert run.status == "FAILED"
    assert run.error == ("AccessDenied" if code == "UnauthorizedOperation" else "RecoveryRefused")
    assert code in run.cause
    assert made(archived.cloud) == NOTHING
    assert_recovered(archived, archived.recover())


def test_a_restore_that_ebs_could_not_do_is_told_and_tried_again_by_the_next_execution(archived):
    TIERS.failing[ids(archived)[1]] = "Internal error."
    run = archived.recover()
    assert (run.status, run.error) == ("FAILED", "RecoveryRefused")
    assert f"EBS could not restore {ids(archived)[1]}: Internal error." in run.cause
    assert "under the same recovery_id" in run.cause
    assert made(archived.cloud) == NOTHING
    assert_recovered(archived, archived.recover())
    assert [each for each, _ in restored()].count(ids(archived)[1]) == 2


def test_what_went_back_into_the_archive_before_its_volumes_were_made_is_restored_again(archived):
    """The recovery was stopped, and started again a week later."""
    archived.machine.stop_in("Launch")
    archived.recover()
    archived.machine.stop_in("")
    archived.machine.clock.now_s += 7 * DAY_S
    run = archived.recover()
    assert_recovered(archived, run)
    assert len(restored()) == 6


def test_volumes_that_exist_need_no_snapshot_any_more(archived):
    archived.machine.stop_in("Swap")
    archived.recover()
    archived.machine.stop_in("")
    archived.machine.clock.now_s += 7 * DAY_S
    run = archived.recover()
    assert_recovered(archived, run)
    assert len(restored()) == 3


def test_archived_recovery_points_are_named_with_their_hours_where_there_is_a_choice(archived):
    run = archived.machine.recover(
        archived.request(recovery_point="nothing-like-it", instance_id=archived.server.instance_id)
    )
    assert run.status == "FAILED"
    assert ", archived: up to 72 h)" in run.cause


def test_what_is_built_as_of_the_shadow_copies_is_read_after_the_restore(backed_shop):
    for each in backed_shop.record["snapshots"]:
        backend().snapshots[each["snapshot_id"]].storage_tier = "archive"
    TIERS.restoring_s = RESTORING_S
    recover = recovering(backed_shop)
    dry = recover(mode="dry-run")
    assert (dry.output["possible"], dry.output["to_look"]) == (True, False)
    assert "What can be built as of the shadow copies shows once they are restored" in str(dry.output["steps"])
    assert "Look" not in dry.states
    run = recover()
    assert run.status == "SUCCEEDED", run.cause
    assert [state for state in run.states if "?" not in state][2:6] == ["Restore", "Look", "Weigh", "Revert"]
    assert "application-consistent, as of the shadow copies" in run.output["consistency"]


def test_what_the_backup_built_is_restored_and_used_and_its_raw_snapshots_stay_archived(machine, cloud, torn_shop):
    policy = a_policy(torn_shop.instance_id, name="orders", vss={}, defaults={"revert": "at-backup"})
    ended = machine.start({"policy": cloud.put_policy(policy), "instance_id": torn_shop.instance_id})
    record = ended.output
    shop = BackedShop(cloud, machine, torn_shop, record)
    built = {each["snapshot_id"] for each in record["built"]}
    raw = {each["snapshot_id"] for each in record["snapshots"]} - {each["built_from"] for each in record["built"]}
    for each in [*built, *(each["snapshot_id"] for each in record["snapshots"])]:
        backend().snapshots[each].storage_tier = "archive"
    TIERS.restoring_s = RESTORING_S
    run = recovering(shop)()
    assert run.status == "SUCCEEDED", run.cause
    assert {each for each, _ in restored()} == built | raw
    assert "they are built again" not in str(run.output["notes"])
