"""Builds of volumes as of their shadow copies, on good days and on the worst."""

import pytest

from quiesce.aws.bucket import Bucket
from quiesce.disks import child
from quiesce.disks.raw import BLOCK_BYTES
from quiesce.errors import NotReady
from quiesce.revert import look
from quiesce.revert.hashes import Hashes
from quiesce.revert.plan import TIMEOUT_MINUTES
from quiesce.steps.revert.kept import keep_list, read_chain
from sandbox.aws import snapshots
from sandbox.aws.snapshot_copies import COPIES
from tests.statemachine.builds import BackedShop, assert_built
from tests.support.cloud import backend
from tests.support.environment import BUCKET
from tests.support.factories.policy import a_policy
from tests.support.wire import answer_lost, connection_closed, dies_after, dies_before, refused, unreachable

# All that the function sends for a build.
CALLS = (
    "ec2:DescribeSnapshots",
    "ec2:GetEbsEncryptionByDefault",
    "ebs:ListSnapshotBlocks",
    "ebs:GetSnapshotBlock",
    "ebs:StartSnapshot",
    "ebs:PutSnapshotBlock",
    "s3:GetObject",
    "s3:PutObject",
    "ebs:CompleteSnapshot",
    "ebs:ListChangedBlocks",
    "ec2:CreateTags",
)
# A MiB apart.
FILES = 30
# How late EC2 may list a new snapshot by its tags: it is eventually consistent.
LISTED_AFTER_S = 30
# Where a test can stop an execution: moto stops none inside of a Map, and none whose step fails.
STATES = ("Look", "Start", "Complete", "Finish")
# An outage of these ends an execution half way.
HALF_WAY = ("ebs:PutSnapshotBlock", "s3:PutObject", "ebs:CompleteSnapshot", "ebs:ListChangedBlocks", "ec2:CreateTags")


@pytest.fixture
def small_parts(monkeypatch):
    """One block makes a part."""
    monkeypatch.setattr(look, "PART_BLOCKS", 1)


def during(action):
    """Do something else while a request is on its way."""

    def fault(_request, effect):
        action()
        return effect()

    return fault


# Good days.


def test_the_shop_is_built_whole_and_as_of_its_shadow_copies(backed_shop):
    built = assert_built(backed_shop, backed_shop.build())
    assert [copy["verdict"] for copy in built["copies"]] == ["buildable"] * 3
    wire = backed_shop.machine.wire
    assert wire.count("ebs:PutSnapshotBlock") == sum(child["blocks_written"] for child in built["children"])
    assert built["calls"]["ebs:PutSnapshotBlock"] == wire.count("ebs:PutSnapshotBlock")
    assert 0 < built["dollars"] < 0.001


def test_what_was_looked_at_before_is_built_without_another_look(backed_shop):
    request = backed_shop.request()
    looked = backed_shop.build().input_of("Start")["look"]
    again = {**request, "built_for": "drill-8"}
    run = backed_shop.machine.build({"request": again, "looked": looked, "AWS_STEP_FUNCTIONS_STARTED_BY": "arn"})
    assert run.status == "SUCCEEDED"
    assert "Look" not in run.states
    assert len(backed_shop.children("drill-8")) == 3


def test_every_call_of_a_build_is_one_that_the_tests_kill(backed_shop):
    before = len(backed_shop.machine.wire.sent)
    assert_built(backed_shop, backed_shop.build())
    assert set(backed_shop.machine.wire.sent[before:]) == set(CALLS)


# Killed and started again: the same children, and nothing doubled.


@pytest.mark.grid
@pytest.mark.parametrize("fault", [dies_before, dies_after, answer_lost, unreachable, connection_closed])
@pytest.mark.parametrize("call", CALLS)
def test_a_function_that_dies_or_hears_no_answer_at_any_call_makes_the_same_children(
    backed_shop, small_parts, call, fault
):
    for nth in (1,) if call == "ec2:GetEbsEncryptionByDefault" else (1, 2, 3):
        backed_shop.machine.wire.on(call, fault, nth=nth)
    assert_built(backed_shop, backed_shop.build())


@pytest.mark.parametrize("state", STATES)
def test_an_execution_that_is_stopped_anywhere_goes_on_with_the_same_children(backed_shop, small_parts, state):
    backed_shop.machine.stop_in(state)
    stopped = backed_shop.build()
    assert stopped.status == "ABORTED"
    backed_shop.machine.stop_in("")
    before = {child["id"] for child in backed_shop.children()}
    backed_shop.machine.sweep_build(stopped)
    built = assert_built(backed_shop, backed_shop.build())
    assert before <= {child["child_id"] for child in built["children"]}


@pytest.mark.parametrize("call", HALF_WAY)
def test_an_execution_that_an_outage_ended_half_way_goes_on_with_the_same_children(backed_shop, small_parts, call):
    wire = backed_shop.machine.wire
    wire.on(call, unreachable, nth=2, times=500)
    failed = backed_shop.build()
    assert (failed.status, failed.error) == ("FAILED", "AwsUnavailable")
    before = {child["id"] for child in backed_shop.children()}
    wire.forget()
    built = assert_built(backed_shop, backed_shop.build())
    assert before == {child["child_id"] for child in built["children"]}


@pytest.mark.parametrize("state", STATES)
def test_what_nobody_will_go_on_with_is_deleted_after_a_stop(backed_shop, state):
    backed_shop.machine.stop_in(state)
    stopped = backed_shop.build(on_failure="clean-up")
    backed_shop.machine.stop_in("")
    backed_shop.machine.sweep_build(stopped)
    assert backed_shop.children() == []


def test_a_second_execution_under_the_same_id_finds_everything_done(backed_shop, small_parts):
    first = backed_shop.build()
    wire = backed_shop.machine.wire
    counted = [wire.count(call) for call in ("ebs:StartSnapshot", "ebs:PutSnapshotBlock", "ebs:CompleteSnapshot")]
    second = backed_shop.build()
    assert_built(backed_shop, second)
    assert second.output["children"] == first.output["children"]
    assert counted == [
        wire.count(call) for call in ("ebs:StartSnapshot", "ebs:PutSnapshotBlock", "ebs:CompleteSnapshot")
    ]


@pytest.mark.parametrize(
    "call", ["ebs:StartSnapshot", "ebs:PutSnapshotBlock", "ebs:CompleteSnapshot", "ebs:ListChangedBlocks"]
)
def test_two_executions_under_the_same_id_at_the_same_time_make_one_child_of_each_volume(
    backed_shop, small_parts, call
):
    """The other one runs to its end while this one sends a call."""
    others = []
    backed_shop.machine.wire.on(call, during(lambda: others.append(backed_shop.build())))
    run = backed_shop.build()
    assert_built(backed_shop, others[0])
    assert_built(backed_shop, run)
    assert run.output["children"] == others[0].output["children"]


def test_a_child_that_ec2_does_not_list_yet_is_started_once(backed_shop, monkeypatch):
    monkeypatch.setattr("sandbox.aws.snapshots.RULES.hidden_lookups", 2)
    backed_shop.machine.wire.on("ebs:StartSnapshot", dies_after)
    assert_built(backed_shop, backed_shop.build())


# Limits, and what EBS takes its time for.


@pytest.mark.parametrize("error", ["ServiceQuotaExceededException", "ConcurrentLimitExceededException"])
def test_the_limit_of_pending_snapshots_is_waited_for(backed_shop, clock, error):
    writes = backed_shop.cloud.direct_apis.writes
    writes.max_pending, writes.limit_error = 2, error

    def others_complete():
        writes.max_pending = 100

    clock.at_next_wait(lambda: None, others_complete)
    assert_built(backed_shop, backed_shop.build())


@pytest.fixture
def busy_shop(machine, cloud, shop):
    """A shop on whose D: 30 files, a MiB apart, were changed between its shadow copies and its snapshots."""
    drive = cloud.servers.content(shop.volumes["D:"])

    def write(word):
        for number in range(FILES):
            drive.write(f"b{number}", word)

    write("old")
    machine.before("snapshot", lambda: write("new"))
    policy = a_policy(shop.instance_id, name="orders", vss={}, defaults={"scripts": {"from": "bucket"}})
    run = machine.start({"policy": cloud.put_policy(policy), "instance_id": shop.instance_id})
    assert run.status == "SUCCEEDED", (run.error, run.cause, machine.surprises)
    return BackedShop(cloud, machine, shop, run.output)


def assert_old(shop, run):
    built = assert_built(shop, run)
    [child] = [child for child in built["children"] if child["volume_id"] == shop.server.volumes["D:"]]
    assert child["blocks_written"] >= FILES
    built_drive = shop.cloud.servers.content(child["child_id"])
    assert all(built_drive.read(f"b{number}") == "old" for number in range(FILES))
    return child


def test_of_blocks_that_were_wholly_overwritten_those_that_differ_are_put_whatever_the_parents_bytes_say(
    machine, cloud, shop
):
    """The parent's bytes count for nothing there: EBS's own hash of them says whether the block differs."""
    drive = cloud.servers.content(shop.volumes["D:"])
    # Far from all else, on a volume that begins at a MiB: four blocks of 512 KiB, the last half of one spared.
    at, old, new = 5 << 30, b"old-" * BLOCK_BYTES, b"new-" * BLOCK_BYTES
    drive.use((at, 4 * BLOCK_BYTES))
    drive.volume.write(at, old)
    drive.store_data_bytes = 4 << 20

    def overwrite():
        drive.volume.write(at, new[: 4 * BLOCK_BYTES - BLOCK_BYTES // 2])
        drive.volume.write(at + BLOCK_BYTES, old[:BLOCK_BYTES])

    machine.before("snapshot", overwrite)
    policy = a_policy(shop.instance_id, name="orders", vss={}, defaults={"scripts": {"from": "bucket"}})
    run = machine.start({"policy": cloud.put_policy(policy), "instance_id": shop.instance_id})
    backed = BackedShop(cloud, machine, shop, run.output)
    [raw] = [s["snapshot_id"] for s in run.output["snapshots"] if s["volume_id"] == shop.volumes["D:"]]
    first = (drive.volume.place.start + at) // BLOCK_BYTES
    cloud.direct_apis.damaged[raw, first] = 99
    built = assert_built(backed, backed.build())
    [child] = [each["child_id"] for each in built["children"] if each["snapshot_id"] == raw]
    put = cloud.direct_apis.writes.made[child].digests
    assert [index - first for index in sorted(put) if first <= index < first + 4] == [0, 2, 3]
    disk = cloud.servers.disks[child]
    assert disk.read(drive.volume.place.start + at, 4 * BLOCK_BYTES) == old[: 4 * BLOCK_BYTES]


def test_blocks_that_were_written_meanwhile_are_all_put_back_side_by_side(busy_shop):
    assert_old(busy_shop, busy_shop.build())


@pytest.mark.parametrize("fault", [dies_before, dies_after, answer_lost, unreachable])
@pytest.mark.parametrize("call", ["ebs:GetSnapshotBlock", "ebs:PutSnapshotBlock"])
def test_a_fault_amid_many_blocks_leaves_no_gap(busy_shop, call, fault):
    for nth in (9, 10, 25):
        busy_shop.machine.wire.on(call, fault, nth=nth)
    assert_old(busy_shop, busy_shop.build())
    busy_shop.machine.wire.forget()


def test_a_call_that_is_throttled_amid_many_blocks_goes_on_after_the_last_one_before(busy_shop):
    wire = busy_shop.machine.wire
    # More often than botocore tries, for several blocks under way.
    wire.on("ebs:PutSnapshotBlock", refused("RequestThrottledException"), nth=20, times=40)
    child = assert_old(busy_shop, busy_shop.build())
    puts = wire.count("ebs:PutSnapshotBlock") - 40
    assert puts < 2 * child["blocks_written"]


def test_throttling_is_obeyed(backed_shop):
    wire = backed_shop.machine.wire
    for call in ("ebs:GetSnapshotBlock", "ebs:PutSnapshotBlock", "ebs:ListChangedBlocks"):
        wire.on(call, refused("RequestThrottledException"), nth=2, times=8)
    assert_built(backed_shop, backed_shop.build())


def test_a_put_that_was_throttled_for_good_is_made_again_by_the_next_call(backed_shop):
    left = [12]

    def throttle_all_but_the_first_block_of_d(request, effect):
        index = int(request.url.partition("?")[0].rpartition("/")[2])
        if not 10 <= index < 100 or not left[0]:
            return effect()
        left[0] -= 1
        return refused("RequestThrottledException")(request, effect)

    backed_shop.machine.wire.on("ebs:PutSnapshotBlock", throttle_all_but_the_first_block_of_d, times=100)
    run = backed_shop.build()
    assert_built(backed_shop, run)
    assert run.states.count("BuildPart") > 3
    backed_shop.machine.wire.forget()


def test_a_new_child_that_ebs_does_not_know_yet_is_waited_for(backed_shop):
    backed_shop.cloud.direct_apis.writes.unseen_calls = 5
    assert_built(backed_shop, backed_shop.build())


@pytest.mark.parametrize("remaining_ms", [100_001, 70_000])
def test_a_call_that_has_no_time_left_says_how_far_it_came_and_the_next_one_goes_on(backed_shop, machine, remaining_ms):
    machine.remaining_ms = remaining_ms
    run = backed_shop.build()
    assert_built(backed_shop, run)
    assert (run.states.count("BuildPart") > 3) == (remaining_ms < 100_000)


def test_a_portion_of_old_data_is_not_begun_without_the_time_to_read_it(backed_shop, machine, monkeypatch):
    monkeypatch.setattr(child, "MAX_PIECES", 1)
    machine.remaining_ms = 100_001
    run = backed_shop.build()
    assert_built(backed_shop, run)
    assert run.states.count("BuildPart") > 3


# Encryption by default.


def test_a_parent_without_encryption_is_copied_with_the_key_first_and_the_copy_goes(backed_shop):
    ec2 = backed_shop.cloud.ec2
    ec2.enable_ebs_encryption_by_default()
    COPIES.duration_s = 3600
    run = backed_shop.build()
    built = assert_built(backed_shop, run)
    ids = [child["child_id"] for child in built["children"]]
    assert all(s["Encrypted"] for s in ec2.describe_snapshots(SnapshotIds=ids)["Snapshots"])
    assert run.input_of("Start")["look"]["estimate"]["copied_gib"] == 170


@pytest.mark.parametrize("fault", [dies_before, dies_after, answer_lost, unreachable])
def test_a_parent_is_copied_once_whatever_becomes_of_the_answer(backed_shop, monkeypatch, fault):
    backed_shop.cloud.ec2.enable_ebs_encryption_by_default()
    is_visible = snapshots._visible

    def listed_late(snapshot, *, by_tag):
        late = by_tag and snapshots.RULES.now_s() - snapshot.started_s < LISTED_AFTER_S
        return not late and is_visible(snapshot, by_tag=by_tag)

    monkeypatch.setattr(snapshots, "_visible", listed_late)
    for nth in (1, 3):
        backed_shop.machine.wire.on("ec2:CopySnapshot", fault, nth=nth)
    copied = []
    COPIES.copied.append(lambda source_id, _copy: copied.append(source_id))
    assert_built(backed_shop, backed_shop.build())
    assert sorted(copied) == sorted(each["snapshot_id"] for each in backed_shop.record["snapshots"])


# What cannot be built, and what is not what was planned.


def test_a_volume_that_cannot_be_built_stops_the_build_before_anything_is_made(backed_shop):
    request = backed_shop.request()
    request["copies"][0]["shadow_id"] = "{00000000-0000-0000-0000-000000000001}"
    run = backed_shop.machine.build({"request": request})
    assert (run.status, run.error) == ("FAILED", "RevertRefused")
    assert "is not buildable as of its shadow copy" in run.cause
    assert "where-possible" in run.cause
    assert backed_shop.children() == []


def test_where_possible_builds_the_others(backed_shop):
    request = backed_shop.request(where_possible=True)
    request["copies"][1]["shadow_id"] = "{00000000-0000-0000-0000-000000000001}"
    run = backed_shop.machine.build({"request": request})
    assert run.status == "SUCCEEDED"
    verdicts = [copy["verdict"] for copy in run.output["copies"]]
    assert verdicts == ["buildable", "not buildable", "buildable"]
    assert len(run.output["children"]) == 3, "the other one loses its catalog: its stores no longer fit"
    levels = {child["tags"]["quiesce:device"]: child["tags"]["quiesce:consistency"] for child in backed_shop.children()}
    assert sorted(levels.values()) == ["application", "application", "crash"]


@pytest.mark.parametrize("on_failure", ["keep", "clean-up"])
def test_a_child_that_is_not_what_was_put_is_deleted_and_the_error_says_so(backed_shop, on_failure):
    backed_shop.cloud.direct_apis.writes.dropped = set(range(1 << 20))
    run = backed_shop.build(on_failure=on_failure)
    assert (run.status, run.error) == ("FAILED", "ChildDiffers")
    assert "is not what was planned; it was deleted" in run.cause
    left = backed_shop.children()
    assert len(left) == (2 if on_failure == "keep" else 0)
    assert not any("quiesce:consistency" in child["tags"] for child in left)


def test_a_child_that_has_a_block_more_than_planned_is_deleted(backed_shop):
    writes = backed_shop.cloud.direct_apis.writes

    def add_a_block():
        for written in writes.made.values():
            written.digests[999] = b"x" * 32

    backed_shop.machine.before("revert", lambda: None)
    backed_shop.machine.wire.on("ebs:ListChangedBlocks", during(add_a_block))
    run = backed_shop.build()
    assert run.error == "ChildDiffers"
    assert "block 999 is not what was planned" in run.cause


def test_a_child_that_lacks_a_block_is_deleted(backed_shop):
    writes = backed_shop.cloud.direct_apis.writes

    def lose_a_block():
        for written in writes.made.values():
            written.digests.clear()

    backed_shop.machine.wire.on("ebs:ListChangedBlocks", during(lose_a_block))
    run = backed_shop.build()
    assert run.error == "ChildDiffers"
    assert "was put, and EBS does not list it as changed" in run.cause


def test_a_child_that_ebs_has_cancelled_needs_another_id(backed_shop, clock):
    backed_shop.machine.stop_in("Start")
    backed_shop.build()
    backed_shop.machine.stop_in("")
    clock.now_s += 60 * TIMEOUT_MINUTES + 60
    run = backed_shop.build()
    assert run.error == "RevertUsedUp"
    assert "EBS has cancelled snap-" in run.cause
    assert backed_shop.build(built_for="drill-8").status == "SUCCEEDED"


def test_a_raw_snapshot_that_is_gone_is_named(backed_shop):
    raw = backed_shop.record["snapshots"][1]["snapshot_id"]
    looked = backed_shop.build(built_for="look").input_of("Start")["look"]
    backend().delete_snapshot(raw)
    run = backed_shop.machine.build({"request": backed_shop.request(), "looked": looked})
    assert (run.status, run.error) == ("FAILED", "RevertRefused")
    assert raw in run.cause


def test_a_right_that_is_missing_is_named_and_nothing_is_left_of_a_backups_build(backed_shop):
    backed_shop.machine.wire.on("ebs:PutSnapshotBlock", refused("AccessDeniedException", 403))
    run = backed_shop.build(on_failure="clean-up")
    assert run.error == "AccessDenied"
    assert "PutSnapshotBlock" in run.cause
    assert backed_shop.children() == []


def test_discard_deletes_what_was_built_for_an_id_and_nothing_else(backed_shop):
    backed_shop.build()
    backed_shop.build(built_for="drill-8")
    raw = {each["snapshot_id"] for each in backed_shop.record["snapshots"]}
    execution = {"id": "arn", "name": "n", "started_at": "2026-11-29T00:00:00Z"}
    document = {"execution": execution, "input": {"request": backed_shop.request()}}
    backed_shop.machine._call("revert", {"step": "discard", "document": document})
    assert backed_shop.children() == []
    assert len(backed_shop.children("drill-8")) == 3
    assert raw <= {each["id"] for each in backed_shop.cloud.snapshots()}


def test_the_first_list_of_hashes_under_a_key_stays(cloud):
    bucket = Bucket(cloud.s3, cloud.s3, BUCKET)
    first, second = (Hashes(first=0, after=after, blocks=[(1, "x")]) for after in (10, 20))
    assert keep_list(bucket, "snap-1", first) == first
    assert keep_list(bucket, "snap-1", second) == first
    assert list(read_chain(bucket, "snap-1", 0, 10)) == [first]
    with pytest.raises(NotReady, match="from block 10 on are not in the bucket"):
        list(read_chain(bucket, "snap-1", 0, 20))
