"""Runs whose snapshots Verify reads: what it finds, what is missing, and the days on which it cannot read."""

import pytest

from sandbox.aws.direct_apis import ApiError
from tests.statemachine.truth import record_of
from tests.support.cloud import backend
from tests.support.factories.policy import a_policy
from tests.support.wire import answer_lost, dies_after, refused, unreachable

MOST_BLOCKS = 7


@pytest.fixture
def request_with(cloud, shop):
    """The input of a run with VSS and scripts."""

    def request_with(**settings):
        defaults = {"scripts": {"from": "bucket"}, **settings}
        policy = a_policy(shop.instance_id, name="orders", vss={}, defaults=defaults)
        return {"policy": cloud.put_policy(policy), "instance_id": shop.instance_id}

    return request_with


def snapshot_of(cloud, shop, drive="D:"):
    [snapshot] = [s for s in cloud.stored_snapshots() if s.volume_id == shop.volumes[drive]]
    return snapshot


def copy_of(vss, drive="D:"):
    return next(copy.shadow_id for copy in vss.shadow_copies if vss.volumes[copy.volume] == drive)


def complete_argument(shop):
    [call] = [asked for asked in shop.application.asked if asked.startswith("complete")]
    return call


def assert_consistent(run, shop, verdict):
    assert (run.output["status"], run.output["consistency"]["level"]) == ("Successful", "application")
    assert run.output["evidence"]["verdict"] == verdict
    assert complete_argument(shop) == "complete 1"


def assert_contradicted(run, cloud, shop, verdict):
    record = record_of(cloud, run, shop.instance_id)
    assert (record["status"], record["consistency"]["level"]) == ("PartiallySuccessful", "crash")
    assert record["evidence"]["verdict"] == verdict
    assert record["evidence"]["reason"] in record["consistency"]["reason"]
    assert {s["tags"]["quiesce:consistency"] for s in cloud.snapshots()} == {"crash"}
    assert complete_argument(shop) == "complete 0"
    assert [writer.notified for writer in shop.windows.guest.vss.writers if writer.name == "Shop Writer"] == [[]]


def test_the_record_says_what_stood_in_the_snapshots_and_what_it_cost(machine, cloud, shop, request_with):
    run = machine.start(request_with(revert="off"))
    assert_consistent(run, shop, "present")
    evidence = run.output["evidence"]
    copies = {copy["path"]: copy for copy in evidence["copies"]}
    assert {path: copy["volume_id"] for path, copy in copies.items()} == shop.volumes
    assert {copy["verdict"] for copy in copies.values()} == {"present"}
    assert {copy["storage_volume_id"] for copy in copies.values()} == set(shop.volumes.values())
    assert [copy["shadow_id"] for copy in evidence["copies"]] == [
        copy["shadow_id"] for copy in run.output["shadow"]["copies"]
    ]
    assert all(copy["writers_involved"] and -1 < copy["before_snapshot_s"] < 60 for copy in copies.values())
    assert {read["snapshot_id"] for read in evidence["snapshots"]} == {s["id"] for s in cloud.snapshots()}
    assert all(0 < read["blocks"] <= MOST_BLOCKS and not read["problem"] for read in evidence["snapshots"])
    assert evidence["calls"]["ebs:GetSnapshotBlock"] == sum(read["blocks"] for read in evidence["snapshots"])
    assert run.output["calls"]["ebs:GetSnapshotBlock"] == evidence["calls"]["ebs:GetSnapshotBlock"]
    assert machine.wire.sent.index("ebs:GetSnapshotBlock") < max(
        number for number, call in enumerate(machine.wire.sent) if call == "ssm:SendCommand"
    )


def test_where_nothing_has_to_be_shown_no_block_is_read(machine, cloud, shop, request_with):
    shop.windows.guest.vss.create_fails = ("8004231f", "VSS_E_INSUFFICIENT_STORAGE")
    run = machine.start(request_with())
    assert run.output["evidence"] is None
    assert machine.wire.count("ebs:ListSnapshotBlocks") == 0


@pytest.mark.parametrize("evidence", ["optional", "required"])
def test_a_shadow_copy_that_windows_shows_and_the_snapshot_lacks_is_found_out(
    evidence, machine, cloud, shop, request_with
):
    vss = shop.windows.guest.vss
    machine.before("snapshot", lambda: shop.lost.add(copy_of(vss)))
    run = machine.start(request_with(evidence=evidence))
    assert_contradicted(run, cloud, shop, "absent")
    assert "D:" in run.output["consistency"]["reason"]
    assert any("'VSS snapshot'" in note for note in run.output["notes"])
    assert {copy["path"]: copy["verdict"] for copy in run.output["evidence"]["copies"]} == {
        "C:": "present",
        "D:": "absent",
        "E:": "present",
    }


def test_where_the_functions_time_does_not_suffice_what_was_read_is_told_and_the_rest_is_not_known(
    machine, shop, request_with
):
    def late(_request, effect):
        machine.remaining_ms = 10_000
        return effect()

    machine.wire.on("ebs:GetSnapshotBlock", late, nth=3)
    run = machine.start(request_with())
    assert_consistent(run, shop, "not verifiable")
    assert machine.wire.count("ebs:GetSnapshotBlock") == 3
    assert "the function had no time left to read it" in run.output["evidence"]["reason"]
    assert machine.invocations.count("verify") == 1


def test_a_store_that_is_not_whole_is_found_out(machine, cloud, shop, request_with):
    def overwrite():
        disk = cloud.servers.disks[snapshot_of(cloud, shop).id]
        for block in disk.written_blocks(0x4000):
            data = disk.read(block * 0x4000, 0x4000)
            if data[20:24] == b"\x04\0\0\0":  # a store's header
                disk.write(block * 0x4000, bytes(0x4000))

    machine.before("verify", overwrite)
    assert_contradicted(machine.start(request_with()), cloud, shop, "damaged")


# ---- Verify cannot read ----------------------------------------------------------------------------------------------


def archived(machine, cloud, shop):
    snapshot_of(cloud, shop).storage_tier = "archive"


def deleted(machine, cloud, shop):
    del backend().snapshots[snapshot_of(cloud, shop).id]


def key_denied(machine, cloud, shop):
    cloud.direct_apis.keyless.add(snapshot_of(cloud, shop).id)


def never_the_checksum(machine, cloud, shop):
    cloud.direct_apis.damaged[snapshot_of(cloud, shop).id, 2] = 99


def denied(machine, cloud, shop):
    machine.wire.on("ebs:ListSnapshotBlocks", refused("AccessDeniedException", 403), times=3)


def a_quota_is_used_up(machine, cloud, shop):
    error = ApiError("ServiceQuotaExceededException", "DEPENDENCY_SERVICE_QUOTA_EXCEEDED")
    cloud.direct_apis.errors += [error] * 3


def describing_is_denied(machine, cloud, shop):
    machine.wire.on("ec2:DescribeSnapshots", refused("UnauthorizedOperation", 403))


def throttled_for_good(machine, cloud, shop):
    machine.wire.on("ebs:ListSnapshotBlocks", refused("RequestThrottledException"), times=12)


def unreachable_for_good(machine, cloud, shop):
    machine.wire.on("ebs:GetSnapshotBlock", unreachable, times=12)


def function_dies(machine, cloud, shop):
    machine.wire.on("ebs:GetSnapshotBlock", dies_after, times=3)


WORST_DAYS = {
    "archived": (archived, "it is archived"),
    "deleted": (deleted, "EC2 does not know it any more"),
    "key denied": (key_denied, "DEPENDENCY_ACCESS_DENIED"),
    "never the checksum": (never_the_checksum, "without its checksum"),
    "denied": (denied, "AccessDeniedException"),
    "quota": (a_quota_is_used_up, "QUOTA_EXCEEDED"),
    "describing is denied": (describing_is_denied, "AccessDenied"),
    "throttled": (throttled_for_good, "AwsThrottled"),
    "unreachable": (unreachable_for_good, "AwsUnavailable"),
    "dies": (function_dies, "Sandbox.Timedout"),
}


@pytest.mark.parametrize(("happens", "words"), WORST_DAYS.values(), ids=WORST_DAYS)
def test_who_can_not_look_takes_the_servers_word_and_says_so(happens, words, machine, cloud, shop, request_with):
    machine.before("verify", lambda: happens(machine, cloud, shop))
    run = machine.start(request_with())
    assert_consistent(run, shop, "not verifiable")
    assert words in run.output["evidence"]["reason"]
    assert words in run.output["consistency"]["reason"]


@pytest.mark.parametrize(("happens", "words"), WORST_DAYS.values(), ids=WORST_DAYS)
def test_a_policy_that_requires_evidence_does_not_take_the_servers_word(
    happens, words, machine, cloud, shop, request_with
):
    machine.before("verify", lambda: happens(machine, cloud, shop))
    run = machine.start(request_with(evidence="required"))
    assert (run.output["status"], run.output["consistency"]["level"]) == ("PartiallySuccessful", "crash")
    assert run.output["evidence"]["verdict"] == "not verifiable"
    assert words in run.output["reason"]
    assert complete_argument(shop) == "complete 0"


def lost_answers(machine, cloud, shop):
    machine.wire.on("ebs:ListSnapshotBlocks", answer_lost)
    machine.wire.on("ebs:GetSnapshotBlock", answer_lost, nth=2)


def one_wrong_byte(machine, cloud, shop):
    cloud.direct_apis.damaged[snapshot_of(cloud, shop).id, 2] = 1


def throttled(machine, cloud, shop):
    machine.wire.on("ebs:GetSnapshotBlock", refused("RequestThrottledException"), times=5)


def tokens_change(machine, cloud, shop):
    cloud.direct_apis.rotating, cloud.direct_apis.page_blocks, cloud.direct_apis.empty_pages = True, 1, 2


def dies_once(machine, cloud, shop):
    machine.wire.on("ebs:GetSnapshotBlock", dies_after)


BAD_DAYS = [lost_answers, one_wrong_byte, throttled, tokens_change, dies_once]


@pytest.mark.parametrize("happens", BAD_DAYS, ids=lambda happens: happens.__name__)
def test_what_passes_keeps_nothing_from_being_seen(happens, machine, cloud, shop, request_with):
    machine.before("verify", lambda: happens(machine, cloud, shop))
    assert_consistent(machine.start(request_with(evidence="required")), shop, "present")


@pytest.mark.parametrize("evidence", ["optional", "required"])
def test_one_unreadable_snapshot_does_not_hide_what_another_one_shows_missing(
    evidence, machine, cloud, shop, request_with
):
    vss = shop.windows.guest.vss
    machine.before("snapshot", lambda: shop.lost.add(copy_of(vss, "D:")))
    machine.before("verify", lambda: archived_of(cloud, shop, "E:"))
    run = machine.start(request_with(evidence=evidence))
    assert_contradicted(run, cloud, shop, "absent")


def archived_of(cloud, shop, drive):
    snapshot_of(cloud, shop, drive).storage_tier = "archive"
