"""What months and years alone keep goes into the archive of EBS, where that costs less, and nothing else does."""

from datetime import timedelta

import pytest

from quiesce.aws.retention.points import Points
from quiesce.steps.retention import archive
from sandbox.aws.snapshot_tiers import DAY_S, TIERS, Archived
from sandbox.aws.snapshot_use import LOCKS
from tests.statemachine.generations import Generations
from tests.support.environment import TABLE
from tests.support.wire import answer_lost, dies_after, dies_before, refused

ARCHIVE = {"after_days": 60, "keep_days": 90}
POLICY = {"keep": {"daily": 2, "monthly": 12}, "archive": ARCHIVE}
BLOCK_BYTES = 524_288
# So many files on each volume change from month to month: more than a quarter of what is on it.
FILES = 8


@pytest.fixture
def generations(machine, cloud, server, monkeypatch):
    monkeypatch.setattr("sandbox.aws.snapshots.RULES.duration_s", 0.0)
    monkeypatch.setattr(TIERS, "full_bytes", lambda i: i in cloud.servers.disks and len(blocks(cloud, i)) * BLOCK_BYTES)
    TIERS.archiving_s = 3600.0
    made = Generations(cloud, machine, server)
    made.begin()
    made.put_policy(**POLICY)
    return made


@pytest.fixture
def year(generations):
    """Five months with a night each, long after the rule was first seen: the first three are old enough."""
    months(generations, 5)
    generations.settle()
    return generations


def blocks(cloud, snapshot_id):
    return cloud.servers.disks[snapshot_id].written_blocks(BLOCK_BYTES)


def months(generations, count, files=FILES, **changes):
    """Let so many months pass, each with a night that holds what no other does, and return the runs."""
    made = []
    for _ in range(count):
        generations.machine.clock.now_s += 30 * DAY_S
        for volume_id in generations.server.volumes.values():
            for number in range(files):
                text = f"{generations.machine.clock.now_s} {number}"
                generations.cloud.servers.content(volume_id).write(f"of-month-{number}.txt", text)
        made.append(generations.night(**changes))
    return made


def pass_a_day(generations):
    generations.machine.clock.now_s += DAY_S
    return generations.prune().output


def archived(generations) -> set[str]:
    """Return the runs of which each snapshot is in the archive; none may be in part."""
    tiers = {
        s["SnapshotId"]: s["StorageTier"]
        for s in generations.cloud.ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    }
    found = {}
    for each in generations.cloud.snapshots():
        run_id = each["tags"].get("quiesce:run") or each["tags"].get("quiesce:built-for", "")
        found.setdefault(run_id, set()).add(tiers[each["id"]])
    assert all(len(states) == 1 for states in found.values()), found
    return {run_id for run_id, states in found.items() if states == {"archive"}}


def kept(generations, name) -> set[str]:
    """Return the runs whose items have an attribute."""
    return {sk.removeprefix("run#") for (_, sk), item in generations.cloud.items().items() if name in item}


def asked() -> list[str]:
    return [each[1] for each in TIERS.asked]


def test_old_months_are_archived_once_with_all_of_their_snapshots(year):
    first = year.prune().output
    assert (first["archived"], first["problems"]) == (0, [])
    assert sorted(asked()) == sorted(i for night in year.made[:3] for i in year.snapshot_ids(night))
    second = pass_a_day(year)
    assert (second["archived"], second["problems"], second["notes"]) == (3, [], [])
    assert archived(year) == set(year.made[:3]) == kept(year, "archived_at")
    assert [bool(year.record(night)["archived_at"]) for night in year.made] == [True] * 3 + [False] * 2
    calls = len(year.machine.wire.sent)
    assert pass_a_day(year)["archived"] == 0
    assert not {"ec2:ModifySnapshotTier", "ec2:DescribeSnapshotTierStatus", "ebs:ListChangedBlocks"} & {
        *year.machine.wire.sent[calls:]
    }
    assert len(asked()) == 9


def test_what_the_backup_built_is_archived_with_its_raw_snapshots(generations):
    first, *_ = months(generations, 5, built=True)
    generations.settle()
    generations.prune()
    assert pass_a_day(generations)["archived"] == 3
    assert first in archived(generations)
    assert len(asked()) == 18


def test_a_dry_run_says_what_would_be_archived_and_until_when_it_stays(year):
    server = year.server.instance_id
    [text] = year.prune(mode="dry-run", instance_id=server).output["plans"]
    assert f"{year.made[0]} goes into the archive, if that costs less than what it holds alone: it stays until " in text
    assert year.made[3] + " goes into" not in text
    assert TIERS.asked == []
    year.prune()
    pass_a_day(year)
    [text] = year.prune(mode="dry-run", instance_id=server).output["plans"]
    assert "keep, archived" in text
    assert "goes into the archive" not in text


def test_one_whose_full_copy_costs_more_than_it_saves_stays_and_is_weighed_again_after_a_week(generations):
    months(generations, 5, files=1)
    generations.settle()
    notes = generations.prune().output["notes"]
    assert len(notes) == 3
    assert "GiB in full are $0.0001 a month in the archive, and of these " in notes[0]
    assert "that nothing else holds are $0.0001 in the standard tier" in notes[0]
    lists = generations.machine.wire.count("ebs:ListChangedBlocks")
    assert [pass_a_day(generations)["notes"] for _ in range(6)] == [[]] * 6
    assert generations.machine.wire.count("ebs:ListChangedBlocks") == lists
    assert len(pass_a_day(generations)["notes"]) == 3
    assert TIERS.asked == []


def test_ages_count_from_the_newest_generation_so_a_server_that_is_off_keeps_its_last_ones_at_hand(generations):
    nights = months(generations, 3)
    generations.settle()
    generations.machine.clock.now_s += 150 * DAY_S
    generations.prune()
    assert set(asked()) == set(generations.snapshot_ids(nights[0]))


def test_what_has_less_than_its_days_to_stay_is_not_archived(generations):
    generations.put_policy(keep={"daily": 2, "monthly": 6}, archive=ARCHIVE)
    nights = months(generations, 6)
    generations.settle()
    generations.prune()
    left = generations.machine.clock.now() + timedelta(days=90)
    assert nights[0] not in archived(generations)
    for night in {run for run in nights if set(generations.snapshot_ids(run)) <= set(asked())}:
        position = 6 - nights.index(night)
        assert left < generations.machine.clock.now() + timedelta(days=31 * (7 - position))
    assert asked()


def test_what_is_held_leased_shared_or_in_an_image_stays_and_a_locked_one_goes(generations):
    held, leased, shared, used, locked = months(generations, 5)
    months(generations, 2)
    generations.settle()
    generations.tag(held, hold="Ada, the audit of 2027")
    points = Points(generations.cloud.dynamodb, TABLE)
    now = generations.machine.clock.now()
    points.lease(generations.server.instance_id, leased, "recovery drill", now, now + timedelta(days=1))
    generations.cloud.ec2.modify_snapshot_attribute(
        SnapshotId=generations.snapshot_ids(shared)[0],
        Attribute="createVolumePermission",
        OperationType="add",
        UserIds=["444455556666"],
    )
    image = generations.cloud.servers.backend().register_image("of a person", "")
    [taken, *_] = generations.snapshot_ids(used)
    image.devices = {"/dev/sda1": generations.cloud.servers.backend().snapshots[taken]}
    for snapshot_id in generations.snapshot_ids(locked):
        LOCKS.held[snapshot_id] = ("governance", generations.machine.clock.now_s + 900 * DAY_S)
    notes = generations.prune().output["notes"]
    assert {run for run in generations.made if set(generations.snapshot_ids(run)) <= set(asked())} == {locked}, notes
    assert len(notes) == 2  # a hold and a lease are reasons in the plan already
    assert "it is shared with 444455556666" in notes[0]
    assert "it is in use by ami-" in notes[1]


def test_a_recovery_that_takes_it_between_decision_and_archive_keeps_it_in_the_standard_tier(year):
    server, wire = year.server.instance_id, year.machine.wire
    points = Points(year.cloud.dynamodb, TABLE)

    def lease(_request, effect):
        with wire.listen(on=False):
            now = year.machine.clock.now()
            points.lease(server, year.made[0], "recovery drill", now, now + timedelta(days=1))
        return effect()

    wire.on("ec2:DescribeSnapshotTierStatus", lease)
    assert f"{year.made[0]} is not archived: it is in use by now" in str(year.prune().output["notes"])
    assert not set(asked()) & set(year.snapshot_ids(year.made[0]))
    assert len(asked()) == 6
    assert kept(year, "archive_going_until") == set()


def test_a_wrong_clock_a_changed_rule_and_a_server_that_is_gone_archive_nothing(year):
    year.machine.clock.aws_ahead_s = 400 * DAY_S
    year.prune()
    year.machine.clock.aws_ahead_s = 0
    year.put_policy(keep={"daily": 2, "monthly": 13}, archive=ARCHIVE)
    year.prune()
    assert TIERS.asked == []
    year.machine.clock.now_s += 3 * DAY_S
    year.cloud.ec2.terminate_instances(InstanceIds=[year.server.instance_id])
    year.prune()
    assert TIERS.asked == []


def test_a_policy_without_archive_and_a_person_who_removes_one_archive_nothing(year):
    year.put_policy(keep=POLICY["keep"])
    year.prune()
    year.put_policy(**POLICY)
    server = year.server.instance_id
    year.prune(instance_id=server, remove=year.made[0], confirm=year.made[0])
    assert TIERS.asked == []
    assert year.made[0] not in year.left()


def test_a_plan_that_a_person_confirmed_archives_too(year):
    year.put_policy(keep={"daily": 1, "monthly": 12}, archive=ARCHIVE)
    year.night()
    server = {"instance_id": year.server.instance_id, "policy": "nightly"}
    assert year.prune(**server, confirm=year.plan_id()).output["problems"] == []


def test_what_ec2_refuses_is_told_stops_nothing_else_and_is_tried_again(year):
    year.machine.wire.on("ec2:ModifySnapshotTier", refused("UnauthorizedOperation", 403), nth=2)
    told = year.prune().output
    [problem] = told["problems"]
    assert " is not archived: " in problem
    assert problem in year.cloud.mails()[-1][1]
    assert len(asked()) == 8
    assert pass_a_day(year)["archived"] == 2
    assert pass_a_day(year)["archived"] == 1
    assert len(asked()) == 9


def test_what_ebs_could_not_archive_is_told_and_tried_again(year):
    first = year.snapshot_ids(year.made[0])[0]
    TIERS.failing[first] = "Internal error."
    year.prune()
    told = pass_a_day(year)
    assert told["problems"] == [f"{year.server.instance_id}: {first} was not archived: Internal error."]
    assert pass_a_day(year)["archived"] == 1
    assert archived(year) == set(year.made[:3])


FAULTS = [
    (call, fault)
    for call in ("ec2:ModifySnapshotTier", "ec2:DescribeSnapshotTierStatus", "dynamodb:UpdateItem", "s3:PutObject")
    for fault in (answer_lost, dies_before, dies_after)
]


@pytest.mark.grid
@pytest.mark.parametrize("nth", [1, 2, 4])
@pytest.mark.parametrize(("call", "fault"), FAULTS)
def test_an_archival_that_was_cut_off_anywhere_is_made_once(year, call, fault, nth):
    day = 0
    year.machine.before("retention", lambda: None)
    year.machine.wire.on(call, fault, nth=nth, times=2)
    while kept(year, "archived_at") != set(year.made[:3]):
        assert pass_a_day(year)["problems"] == []
        day += 1
        assert day < 4
    year.machine.wire.forget()
    assert archived(year) == set(year.made[:3])
    assert len(asked()) == len(set(asked())) == 9
    going = [item["archive_going_until"] for item in year.cloud.items().values() if "archive_going_until" in item]
    assert all(int(until) < year.machine.clock.now_s for until in going)


def test_another_execution_at_work_on_the_server_is_a_note_and_nothing_is_asked_twice(year):
    def other(_request, effect):
        with year.machine.wire.listen(on=False):
            item = {"pk": {"S": year.server.instance_id}, "sk": {"S": "pruning"}, "execution": {"S": "another"}}
            until = str(int(year.machine.clock.now_s + 900))
            year.cloud.dynamodb.put_item(TableName=TABLE, Item=item | {"expires_at": {"N": until}})
        return effect()

    year.machine.wire.on("dynamodb:DeleteItem", lambda request, effect: (effect(), other(request, effect))[1])
    told = year.prune().output
    assert (told["problems"], TIERS.asked) == ([], [])
    assert "another is removing recovery points" in str(told["notes"])
    year.machine.clock.now_s += 900
    year.prune()
    assert len(asked()) == 9


def test_ebs_archives_25_at_a_time_and_the_rest_waits(year):
    for number in range(24):
        TIERS.held[f"snap-{number}"] = Archived(0, year.machine.clock.now_s + 30 * DAY_S)
        year.cloud.servers.backend().snapshots[f"snap-{number}"] = a_stranger(year, f"snap-{number}")
    told = year.prune().output
    assert "has to wait: EBS archives 25 snapshots at a time" in str(told["notes"])
    assert (len(asked()), told["problems"]) == (1, [])


def a_stranger(generations, snapshot_id):
    """Return a snapshot of the account that has nothing to do with the stack."""
    volume = generations.cloud.ec2.create_volume(Size=1, AvailabilityZone="eu-central-1a")["VolumeId"]
    made = generations.cloud.ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    snapshot = generations.cloud.servers.backend().snapshots.pop(made)
    snapshot.id = snapshot_id
    return snapshot


def test_a_volume_with_25_archived_snapshots_has_no_more(year, monkeypatch):
    monkeypatch.setattr(archive, "ARCHIVED_OF_A_VOLUME", 1)
    year.prune()
    year.machine.clock.now_s += DAY_S
    months(year, 1)
    notes = year.prune().output["notes"]
    assert "EBS has 1 archived snapshots of vol-" in str(notes)


def test_a_snapshot_that_others_made_of_the_volume_may_share_its_data(year):
    for volume_id in year.server.volumes.values():
        stranger = year.cloud.ec2.create_snapshot(VolumeId=volume_id)["SnapshotId"]
        found = year.cloud.servers.backend().snapshots[stranger]
        found.start_time = year.cloud.servers.backend().snapshots[year.snapshot_ids(year.made[0])[0]].start_time
        found.start_time += timedelta(hours=1)
    told = year.prune().output
    assert f"{year.made[0]} is not archived: what it holds alone is not known: snap-" in str(told["notes"])
    assert "which quiesce has not made, may share the data of" in str(told["notes"])
    assert not set(asked()) & set(year.snapshot_ids(year.made[0]))


def test_an_archived_one_stays_as_long_as_ebs_bills_it_and_a_person_may_remove_it_all_the_same(year):
    year.prune()
    pass_a_day(year)
    year.put_policy(keep={"daily": 2}, archive=None)
    for _ in range(4):
        assert pass_a_day(year)["removed"] == 0
    server = year.server.instance_id
    [text] = year.prune(mode="dry-run", instance_id=server).output["plans"]
    assert "keep, archived  archived, and billed until " in text
    told = year.prune(instance_id=server, remove=year.made[0], confirm=year.made[0]).output
    assert told["removed"] == 1
    assert f"{year.made[0]} was in the archive, which EBS bills until " in str(told["notes"])
    year.machine.clock.now_s += 90 * DAY_S
    assert pass_a_day(year)["removed"] == 2


def test_what_one_call_has_no_time_for_the_next_execution_archives(year):
    year.machine.remaining_ms = archive.RESERVE_MS - 1
    assert len(year.prune().output["notes"]) == 3
    assert kept(year, "archive_weighed_at") == set()
    year.machine.remaining_ms = 900_000
    year.prune()
    assert len(asked()) == 9


def test_lists_that_ebs_refuses_are_named_and_asked_for_again_a_week_later(year):
    year.machine.wire.on("ebs:ListSnapshotBlocks", refused("AccessDeniedException", 403))
    year.machine.wire.on("ebs:ListChangedBlocks", refused("ValidationException", 400))
    notes = str(year.prune().output["notes"])
    assert "ListSnapshotBlocks was refused" in notes
    assert "ListChangedBlocks was refused" in notes
    assert len(kept(year, "archive_weighed_at")) == 2


def test_lists_of_many_pages_of_which_some_are_empty_say_the_same(year):
    year.cloud.direct_apis.page_blocks, year.cloud.direct_apis.empty_pages = 3, 2
    assert year.prune().output["notes"] == []
    assert len(asked()) == 9
    assert year.machine.wire.count("ebs:ListChangedBlocks") > 30


def test_a_record_that_can_not_be_read_is_left_as_it_is(year):
    year.prune()
    key = {"pk": {"S": year.server.instance_id}, "sk": {"S": f"run#{year.made[0]}"}}
    change = {"UpdateExpression": "SET #record = :record", "ExpressionAttributeNames": {"#record": "record"}}
    values = {":record": {"S": '{"of": "a later version"}'}}
    year.cloud.dynamodb.update_item(TableName=TABLE, Key=key, ExpressionAttributeValues=values, **change)
    assert pass_a_day(year)["archived"] == 3
    item = year.cloud.items()[year.server.instance_id, f"run#{year.made[0]}"]
    assert (item["record"], "archived_at" in item) == ('{"of": "a later version"}', True)
