"""Runs with VSS: the data in shadow copies, another attempt, and a verdict never better than the truth."""

import json
from dataclasses import replace

import pytest

from quiesce.disks.buildable import children, judge
from quiesce.disks.shadow_copies import Stores, read_copies
from quiesce.vss.script import session_script
from sandbox.disks.ntfs_volume import mounted
from sandbox.servers import RECOVERED_PATH, SHOP_WRITER, SHOP_WRITER_ID
from sandbox.windows.application import ORDERS_DRIVE, examine
from sandbox.windows.diskshadow import DiskShadow
from sandbox.windows.examination import Writer
from sandbox.windows.inventory import ISCSI, SCSI, disks_of, volume_guid
from sandbox.windows.vss import ShadowStorage
from tests.statemachine.truth import record_of
from tests.support.diskshadow_files import script_file
from tests.support.environment import BUCKET
from tests.support.factories.policy import a_policy
from tests.support.wire import refused
from tests.unit.disks.shadow_disks import seen
from tests.unit.disks.used_server import built

TIMEOUT = ("80042314", "VSS_E_HOLD_WRITES_TIMEOUT")
FOR_GOOD = ("8004231f", "VSS_E_INSUFFICIENT_STORAGE")


@pytest.fixture
def vss(shop):
    """VSS on the server with the busy application."""
    return shop.windows.guest.vss


@pytest.fixture
def request_with(cloud, shop):
    """The input of a run with VSS, and with scripts unless ``scripts`` says otherwise."""

    def request_with(*, scripts=True, **settings):
        vss = settings.pop("vss", {})
        defaults = ({"scripts": {"from": "bucket"}} if scripts else {}) | settings
        policy = a_policy(shop.instance_id, name="orders", vss=vss, defaults=defaults)
        return {"policy": cloud.put_policy(policy), "instance_id": shop.instance_id}

    return request_with


def descriptions(cloud):
    return {s.description.rpartition("|")[2] for s in cloud.stored_snapshots()}


@pytest.mark.chapter("6.3 applications")
def test_without_scripts_vss_alone_makes_an_application_consistent_recovery_point(
    machine, cloud, shop, vss, request_with
):
    run = machine.start(request_with(scripts=False))
    record = record_of(cloud, run, shop.instance_id)
    assert (run.status, record["status"], record["consistency"]["level"]) == ("SUCCEEDED", "Successful", "application")
    assert descriptions(cloud) == {" VSS snapshot"}
    assert {s["tags"]["quiesce:consistency"] for s in cloud.snapshots()} == {"application"}
    assert [copy["path"] for copy in record["shadow"]["copies"]] == ["C:", "D:", "E:"]
    assert not cloud.servers.examine_shadow_copies(record).torn
    assert vss.shadow_copies == []
    assert record["session"]["shadow"]["deleted"]


def test_each_volume_of_a_good_backup_can_be_built_and_the_shop_is_whole_on_the_built_ones(
    machine, cloud, shop, request_with
):
    record = machine.start(request_with(scripts=False)).output
    raw = {s["volume_id"]: s["snapshot_id"] for s in record["snapshots"]}
    later = cloud.servers.examine(raw)
    disks = [seen(snapshot_id, cloud.servers.disks[snapshot_id]) for snapshot_id in raw.values()]
    judgements = [judge(Stores(disks), copy) for copy in read_copies(disks)]
    assert [judgement.verdict for judgement in judgements] == ["buildable"] * 3, judgements
    for child in children(disks, [judgement.view for judgement in judgements]):
        snapshot_id = child.views[0].volume.disk
        cloud.servers.disks[snapshot_id], _ = built(cloud.servers.disks[snapshot_id], child)
    found = cloud.servers.examine(raw)
    assert (found.torn, found.orders < later.orders) == (False, True)
    assert found == cloud.servers.examine_shadow_copies(record)
    # What the shop's writer wrote in the shadow copy itself is there, too.
    orders = next(copy for copy in record["shadow"]["copies"] if copy["path"] == ORDERS_DRIVE)
    assert cloud.servers.content(raw[shop.volumes[ORDERS_DRIVE]]).read(RECOVERED_PATH) == orders["shadow_id"]


@pytest.mark.chapter("6.3.1 end")
def test_the_writers_hear_of_the_backup_only_when_the_snapshots_have_completed(machine, shop, vss, request_with):
    early = []
    machine.before("complete", lambda: early.extend(word for writer in vss.writers for word in writer.notified))
    machine.start(request_with())
    assert early == []
    assert [writer.notified for writer in vss.writers if writer.name == "Shop Writer"] == [["full"]]


def test_a_copy_backup_leaves_the_applications_history_alone(machine, vss, request_with):
    record = machine.start(request_with(vss={"backup_type": "copy"})).output
    assert record["status"] == "Successful"
    assert [writer.notified for writer in vss.writers if writer.name == "Shop Writer"] == [["copy"]]


@pytest.mark.chapter("6.4 beside")
def test_scripts_and_vss_go_together(machine, cloud, shop, request_with):
    record = machine.start(request_with()).output
    assert shop.application.asked == ["before", "after 1", "complete 1"]
    assert not cloud.servers.examine_shadow_copies(record).torn


# ---- Another attempt -------------------------------------------------------------------------------------------------


def fails_first(machine, vss, error=TIMEOUT, times=1):
    """Let ``create`` fail in the first attempts."""

    def fail(left):
        vss.create_fails = error if left else None
        if left:
            machine.before("freeze", lambda: fail(left - 1))

    machine.before("freeze", lambda: fail(times))


@pytest.mark.chapter("6.3.4 retry")
def test_vss_that_times_out_once_is_tried_again_after_the_thaw_and_the_wait(machine, cloud, shop, vss, request_with):
    fails_first(machine, vss)
    run = machine.start(request_with())
    record = record_of(cloud, run, shop.instance_id)
    assert [s for s in run.states if "Retry" in s or s == "Freeze"] == [
        "Freeze", "Retry", "ThawBeforeRetry", "WaitBeforeRetry", "Freeze",
    ]  # fmt: skip
    assert (record["status"], record["consistency"]["level"]) == ("Successful", "application")
    assert shop.application.asked == ["before", "after 1", "before", "after 1", "complete 1"]
    [attempt] = record["attempts"]
    assert attempt["attempt"] == 1
    assert "VSS_E_HOLD_WRITES_TIMEOUT (0x80042314)" in attempt["reason"]
    assert 600 in machine.clock.waits
    assert not cloud.servers.examine_shadow_copies(record).torn
    assert vss.shadow_copies == []


def test_the_shadow_copies_of_an_attempt_are_gone_before_the_wait_for_another_one(
    machine, clock, shop, vss, request_with
):
    """A writer fails after DiskShadow has made them."""
    writer = next(writer for writer in vss.writers if writer.name == "Shop Writer")
    good = writer.state, writer.failure
    writer.state, writer.failure = "9 (VSS_WS_FAILED_AT_FREEZE)", "0x800423f2 (VSS_E_WRITERERROR_TIMEOUT)"
    made, left = [], []

    def heal():
        left.extend(vss.shadow_copies)
        writer.state, writer.failure = good

    machine.before("thaw", lambda: made.extend(vss.shadow_copies))
    clock.at_next_wait(heal)
    run = machine.start(request_with())
    assert len(made) == 3
    assert left == []
    assert (run.output["status"], len(run.output["attempts"])) == ("Successful", 1)


@pytest.mark.chapter("6.3.4 log")
def test_the_files_of_the_last_attempt_are_collected(machine, cloud, vss, request_with):
    fails_first(machine, vss)
    record = machine.start(request_with()).output
    assert record["session"]["attempt"] == 2
    assert record["logs"]["place"].endswith(f"/{record['run_id']}/session-2/")
    key = record["logs"]["place"].split("/", 3)[3] + "state.json"
    assert json.loads(cloud.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())["attempt"] == 2


def test_vss_that_goes_on_failing_ends_in_crash_consistent_snapshots_of_the_last_attempt(
    machine, cloud, shop, vss, request_with
):
    fails_first(machine, vss, times=9)
    run = machine.start(request_with(vss={"retries": 2, "retry_wait_s": 5}))
    record = record_of(cloud, run, shop.instance_id)
    assert run.states.count("Freeze") == 3
    assert (record["status"], record["consistency"]["level"]) == ("PartiallySuccessful", "crash")
    assert descriptions(cloud) == {""}
    assert shop.application.asked == ["before", "after 1"] * 3 + ["complete 0"]
    assert len(record["attempts"]) == 2


def test_a_failure_for_good_is_not_tried_again(machine, cloud, shop, vss, request_with):
    vss.create_fails = FOR_GOOD
    run = machine.start(request_with())
    assert run.states.count("Freeze") == 1
    assert (run.output["status"], run.output["consistency"]["level"]) == ("PartiallySuccessful", "crash")
    assert "VSS_E_INSUFFICIENT_STORAGE" in run.output["reason"]


def test_a_policy_that_takes_nothing_less_gets_no_snapshot(machine, cloud, shop, vss, request_with):
    vss.create_fails = FOR_GOOD
    run = machine.start(request_with(consistency="application"))
    assert (run.status, run.error) == ("FAILED", "NotFrozen")
    assert cloud.snapshots() == []
    assert shop.application.asked == ["before", "after 1", "complete 0"]


def test_any_failure_tries_a_failed_before_script_again_where_the_policy_says_so(machine, cloud, shop, request_with):
    cloud.put_scripts("orders", before="# sandbox: exit 3\n")
    run = machine.start(request_with(vss={"retry_on": "any-failure", "retries": 1}))
    assert run.states.count("Freeze") == 2
    assert run.output["status"] == "PartiallySuccessful"
    assert shop.application.asked == ["after 0", "after 0", "complete 0"]


@pytest.mark.parametrize("consistency", ["application-or-crash", "application"])
def test_after_an_after_script_that_failed_no_other_attempt_is_made(
    consistency, machine, cloud, shop, vss, request_with
):
    cloud.put_scripts("orders", after="# sandbox: exit 7\n")
    fails_first(machine, vss)
    run = machine.start(request_with(consistency=consistency))
    record = record_of(cloud, run, shop.instance_id)
    assert run.states.count("Freeze") == 1
    assert "WaitBeforeRetry" not in run.states
    crash = ("PartiallySuccessful", "crash", 1)
    expected = crash if consistency == "application-or-crash" else ("Failed", "none", 0)
    assert (record["status"], record["consistency"]["level"], cloud.snapshot_sets()) == expected
    assert shop.application.asked == ["before", "complete 0"]
    [attempt] = record["attempts"]
    assert "no other attempt was made: the after script ended with exit code 7" in attempt["reason"]
    assert any(note.startswith("the application may still be held: the after script ended") for note in record["notes"])
    [(subject, _)] = cloud.mails()
    assert subject.startswith("May still be held: backup of ")


STOPPED = {
    "Retry": ["before", "after 1", "complete 0"],
    "ThawBeforeRetry": ["before", "after 1", "complete 0"],
    "WaitBeforeRetry": ["before", "after 1", "complete 0"],
}


@pytest.mark.parametrize(("state", "asked"), STOPPED.items())
def test_a_run_that_is_stopped_between_two_attempts_leaves_nothing_held_and_no_shadow_copy(
    state, asked, machine, cloud, shop, vss, request_with
):
    # The writer fails after "create", so there are shadow copies to delete.
    writer = next(writer for writer in vss.writers if writer.name == "Shop Writer")
    writer.state, writer.failure = "9 (VSS_WS_FAILED_AT_FREEZE)", "0x800423f2 (VSS_E_WRITERERROR_TIMEOUT)"
    machine.stop_in(state)
    run = machine.start(request_with())
    assert (run.status, run.states[-1]) == ("ABORTED", state)
    machine.sweep(run)
    assert shop.application.asked == asked
    assert not shop.application.held
    assert vss.shadow_copies == []
    assert record_of(cloud, run, shop.instance_id)["failure"]["error"] == "ExecutionStopped"


@pytest.mark.parametrize("state", ["Frozen?", "Snapshot", "Thaw", "AwaitSnapshots", "Complete"])
def test_a_run_that_is_stopped_leaves_no_shadow_copy_and_no_diskshadow(state, machine, cloud, shop, vss, request_with):
    machine.stop_in(state)
    run = machine.start(request_with())
    machine.sweep(run)
    assert vss.shadow_copies == []
    assert [session.saved["shadow"]["deleted"] for session in shop.windows.guest.sessions()] == [True]
    assert not shop.application.held


def test_a_second_attempt_whose_freeze_is_lost_is_thawed_and_completed_as_the_second(
    machine, cloud, shop, vss, request_with
):
    fails_first(machine, vss)

    def lost():
        vss.create_fails = None
        machine.wire.on("ssm:SendCommand", refused("InvalidInstanceId"))

    machine.before("freeze", lambda: (setattr(vss, "create_fails", TIMEOUT), machine.before("freeze", lost)))
    run = machine.start(request_with(consistency="application"))
    assert (run.status, run.error) == ("FAILED", "AgentUnreachable")
    assert cloud.snapshots() == []
    assert [session.attempt for session in shop.windows.guest.sessions()] == [1, 2]
    assert shop.application.asked[:2] == ["before", "after 1"]
    assert [asked for asked in shop.application.asked if asked.startswith("complete")] == ["complete 0"]
    assert vss.shadow_copies == []


def test_a_thaw_before_another_attempt_that_got_no_answer_leads_to_crash_consistent_snapshots(
    machine, cloud, shop, vss, request_with
):
    fails_first(machine, vss)
    machine.before("thaw", lambda: machine.wire.on("ssm:SendCommand", refused("InvalidParameters")))
    run = machine.start(request_with())
    assert (run.output["status"], run.output["consistency"]["level"]) == ("PartiallySuccessful", "crash")
    assert descriptions(cloud) == {""}
    assert shop.application.asked == ["before", "after 1", "complete 0"]


# ---- Never better than the truth -------------------------------------------------------------------------------------


WORST = {
    "a copy vanishes before the snapshots": lambda shop, vss: vss.shadow_copies.pop(),
    "all copies vanish": lambda shop, vss: vss.shadow_copies.clear(),
    "DiskShadow is killed": lambda shop, vss: [
        s.shadow.process.kill(shop.windows.now_s) for s in shop.windows.guest.sessions()
    ],
    "the server is restarted": lambda shop, vss: shop.windows.reboot(),
}


@pytest.mark.parametrize("happens", WORST.values(), ids=WORST)
def test_whatever_happens_to_the_copies_before_the_snapshots_the_run_is_not_called_consistent(
    happens, machine, cloud, shop, vss, request_with
):
    machine.before("snapshot", lambda: happens(shop, vss))
    run = machine.start(request_with())
    record = record_of(cloud, run, shop.instance_id)
    assert (record["status"], record["consistency"]["level"]) == ("PartiallySuccessful", "crash")
    assert {s["tags"]["quiesce:consistency"] for s in cloud.snapshots()} == {"crash"}
    assert any("'VSS snapshot'" in note for note in record["notes"])
    assert "complete 1" not in shop.application.asked
    assert not shop.application.held


@pytest.mark.parametrize("step", ["await_snapshots", "verify", "complete"])
@pytest.mark.parametrize("ends", ["DiskShadow", "the runner"])
def test_what_ends_after_the_thaw_costs_the_end_of_the_backup_and_not_the_shadow_copies(
    ends, step, machine, cloud, shop, vss, request_with
):
    def end():
        for session in shop.windows.guest.sessions():
            if ends == "DiskShadow":
                session.shadow.process.kill(shop.windows.now_s)
            else:
                session.runner = None

    machine.before(step, end)
    run = machine.start(request_with())
    record = record_of(cloud, run, shop.instance_id)
    assert (record["status"], record["consistency"]["level"]) == ("PartiallySuccessful", "application")
    assert record["reason"].startswith("the writers were not told that the backup is complete")
    assert {s["tags"]["quiesce:consistency"] for s in cloud.snapshots()} == {"application"}
    assert not cloud.servers.examine_shadow_copies(record).torn
    assert shop.application.asked[-1] == "complete 0"


@pytest.mark.chapter("6.3 windows")
def test_vss_that_cannot_work_on_the_server_is_said_by_plan_and_no_script_is_lost(
    machine, cloud, shop, vss, request_with
):
    drives = shop.windows.guest.drives
    drives[1] = type(drives[1])(**{**vars(drives[1]), "file_system": "ReFS"})
    record = machine.start(request_with()).output
    assert (record["status"], record["consistency"]["level"]) == ("PartiallySuccessful", "crash")
    assert "no shadow copy can be made of D: (ReFS)" in record["reason"]
    assert shop.application.asked == ["before", "after 1", "complete 0"]


def test_without_scripts_and_vss_nothing_is_asked_of_the_server_beyond_what_it_is(
    machine, cloud, shop, vss, request_with
):
    drives = shop.windows.guest.drives
    drives[1] = type(drives[1])(**{**vars(drives[1]), "file_system": "ReFS"})
    record = machine.start(request_with(scripts=False)).output
    assert (record["status"], record["consistency"]["level"]) == ("PartiallySuccessful", "crash")
    assert record["session"] is None


def without_drive(shop, path, **disk):
    """Let Windows show no volume on a drive's disk, and the disk as these fields say; without any, not at all."""
    guest = shop.windows.guest
    [gone] = [drive for drive in guest.drives if drive.path == path]
    disks = [replace(each, **disk) if each.serial == gone.serial else each for each in disks_of(guest.drives)]
    guest.disks = [each for each in disks if disk or each.serial != gone.serial]
    guest.drives = [drive for drive in guest.drives if drive.path != path]


LOST = {
    "offline": ({"offline": True}, "its disk is offline"),
    "a dynamic disk": ({"partitions": 2}, "Windows shows no volume on its partitions (2)"),
    "in a storage pool": ({}, "Windows shows no disk for it"),
}


@pytest.mark.parametrize(("disk", "words"), LOST.values(), ids=LOST)
@pytest.mark.chapter("6.3.2 all")
def test_a_chosen_ebs_volume_of_which_no_shadow_copy_can_be_made_takes_the_consistency_away(
    disk, words, machine, shop, vss, request_with
):
    without_drive(shop, "E:", **disk)
    record = machine.start(request_with()).output
    assert (record["status"], record["consistency"]["level"]) == ("PartiallySuccessful", "crash")
    assert f"no shadow copy can be made of xvdg {shop.volumes['E:']} ({words})" in record["reason"]
    assert shop.application.asked == ["before", "after 1", "complete 0"]
    refused = machine.start(request_with(consistency="application"))
    assert (refused.status, refused.error) == ("FAILED", "ServerRefused")
    assert shop.application.asked == ["before", "after 1", "complete 0"]


def test_an_empty_ebs_volume_and_a_recovery_partition_are_notes(machine, shop, vss, request_with):
    vss.writers = without(vss, SHOP_WRITER)
    shop.windows.guest.drives.append(replace(shop.windows.guest.drives[0], path="", volume_guid=volume_guid("winre")))
    without_drive(shop, "E:", partitions=0, allocated_bytes=0)
    record = machine.start(request_with()).output
    assert (record["status"], record["consistency"]["level"]) == ("Successful", "application"), record["reason"]
    assert [copy["path"] for copy in record["shadow"]["copies"]] == ["C:", "D:"]
    assert f"no shadow copy of xvdg {shop.volumes['E:']}: no file system is on it" in record["notes"]
    assert any("a volume without letter or folder (NTFS" in note for note in record["notes"])


@pytest.mark.parametrize("storage_on", ["D:", "Z:"])
def test_shadow_storage_on_an_iscsi_disk_of_a_server_on_xen_is_outside_of_the_backup(
    storage_on, machine, shop, vss, request_with
):
    guest = shop.windows.guest
    targets = {"C:": 0, "D:": 5, "E:": 6}
    drives = [replace(each, serial=None, scsi_target=targets[each.path]) for each in guest.drives]
    lun = replace(drives[1], path="Z:", volume_guid=volume_guid("lun"), disk_number=9)
    guest.drives, guest.disks = [*drives, lun], [*disks_of(drives, SCSI), *disks_of([lun], ISCSI)]
    guids = {each.path: each.volume_guid for each in guest.drives}
    vss.storage = [ShadowStorage(guids["D:"], guids[storage_on])]
    record = machine.start(request_with(scripts=False)).output
    assert [copy["path"] for copy in record["shadow"]["copies"]] == ["C:", "D:", "E:"]
    assert (record["consistency"]["level"] == "application") is (storage_on == "D:"), record["reason"]
    assert ("the shadow storage of D: is on Z:, which is not in the backup" in record["reason"]) is (storage_on == "Z:")
    assert any(note.startswith("Z: lies on a disk that is no EBS volume") for note in record["notes"])


# ---- The volumes for shadow copies -----------------------------------------------------------------------------------


@pytest.mark.parametrize("written", ["D:, E:", ["d:\\", "E:"]])
@pytest.mark.chapter("6.3.2 some")
def test_what_the_policy_does_not_name_is_in_the_backup_without_a_shadow_copy_and_takes_nothing_away(
    written, machine, cloud, shop, vss, request_with
):
    record = machine.start(request_with(scripts=False, vss={"volumes": written}, buildable="required")).output
    assert (record["status"], record["consistency"]["level"]) == ("Successful", "application"), record["reason"]
    assert [copy["path"] for copy in record["shadow"]["copies"]] == ["D:", "E:"]
    assert len(record["snapshots"]) == 3
    assert "D:, E: (not of C:, which is as after a power failure" in record["consistency"]["reason"]
    assert any(note.startswith("no shadow copy of C: (NTFS) on /dev/sda1") for note in record["notes"])
    assert not cloud.servers.examine_shadow_copies(record).torn
    assert vss.shadow_copies == []


@pytest.mark.chapter("6.3.2 system")
def test_volumes_are_left_out_of_the_backup_and_of_vss_in_one_policy(machine, shop, request_with):
    record = machine.start(request_with(scripts=False, volumes={"exclude": ["xvdg"]}, vss={"volumes": ["D:"]})).output
    assert (record["status"], record["consistency"]["level"]) == ("Successful", "application"), record["reason"]
    assert [copy["path"] for copy in record["shadow"]["copies"]] == ["D:"]
    assert [snapshot["volume"]["drives"] for snapshot in record["snapshots"]] == [["C:"], ["D:"]]
    assert [excluded["volume_id"] for excluded in record["excluded"]] == [shop.volumes["E:"]]


@pytest.mark.parametrize("consistency", ["application-or-crash", "application"])
def test_a_volume_that_the_server_does_not_have_keeps_vss_from_working(consistency, machine, request_with):
    run = machine.start(request_with(scripts=False, vss={"volumes": ["D:", "X:"]}, consistency=consistency))
    words = "vss.volumes names X:, and the server has no such volume (it has C:, D:, E:)"
    if consistency == "application":
        assert (run.status, run.error) == ("FAILED", "ServerRefused")
        assert words in run.cause
    else:
        assert (run.output["status"], run.output["consistency"]["level"]) == ("PartiallySuccessful", "crash")
        assert words in run.output["reason"]


@pytest.mark.chapter("6.3.5 storage")
def test_a_volume_with_the_shadow_storage_of_another_joins_the_backup_that_leaves_it_out(
    machine, shop, vss, request_with
):
    guids = {each.path: each.volume_guid for each in shop.windows.guest.drives}
    vss.storage = [ShadowStorage(guids["D:"], guids["E:"])]
    record = machine.start(request_with(scripts=False, volumes={"exclude": ["xvdg"]}, buildable="required")).output
    assert (record["status"], record["consistency"]["level"]) == ("Successful", "application"), record["reason"]
    assert [copy["path"] for copy in record["shadow"]["copies"]] == ["C:", "D:"]
    assert [snapshot["volume"]["drives"] for snapshot in record["snapshots"]] == [["C:"], ["D:"], ["E:"]]
    assert record["excluded"] == []
    assert any(f"xvdg {shop.volumes['E:']} is in the backup, though" in note for note in record["notes"])
    assert record["calls"]["ec2:CreateSnapshots"] == 3, "two of them by DryRun"


def test_the_shadow_copies_of_200_seeds_are_never_torn(cloud):
    torn = 0
    for seed in range(200):
        server = cloud.servers.add(f"S{seed}", seed=seed)
        assert not shadow_copies_of(cloud, server).torn
        server.application.flushes = False
        torn += shadow_copies_of(cloud, server).torn
    assert torn >= 50, "the application's writer makes no difference"


def test_without_the_applications_writer_many_of_the_same_200_seeds_are_torn(cloud):
    servers = [cloud.servers.add(f"S{seed}", seed=seed) for seed in range(200)]
    assert sum(shadow_copies_of(cloud, server, excluded=[SHOP_WRITER_ID]).torn for server in servers) >= 50


def test_a_record_names_the_writers_that_the_policy_excludes_wherever_it_says_application(
    machine, cloud, shop, vss, request_with
):
    writer = next(writer for writer in vss.writers if writer.name == SHOP_WRITER)
    writer.state, writer.failure = "9 (VSS_WS_FAILED_AT_FREEZE)", "0x800423f4 (VSS_E_WRITERERROR_NONRETRYABLE)"
    assert machine.start(request_with(scripts=False)).output["consistency"]["level"] == "crash"
    record = machine.start(request_with(scripts=False, vss={"exclude_writers": [SHOP_WRITER_ID.upper()]})).output
    assert record["consistency"]["level"] == "application"
    assert f"but for {SHOP_WRITER_ID}, which the policy excludes" in record["consistency"]["reason"]
    assert any(f"{SHOP_WRITER} is excluded by the policy" in note for note in record["notes"])
    assert SHOP_WRITER not in record["shadow"]["writers"]


# ---- The writers' files ----------------------------------------------------------------------------------------------


def put_file(cloud, kind, *lines):
    text = "".join(f"{line}\r\n" for line in lines)
    cloud.s3.put_object(Bucket=BUCKET, Key=f"scripts/admin/vss_{kind}_writers_orders.txt", Body=text.encode())


@pytest.mark.chapter("6.3.3 exclude")
def test_the_writers_of_the_files_in_the_bucket_count_beside_those_of_the_policy(machine, cloud, vss, request_with):
    put_file(cloud, "exclude", "# It fails here.", SHOP_WRITER_ID.upper())
    put_file(cloud, "verify", NOBODYS)
    request = request_with(scripts=False, vss={"require_writers": ["System Writer"]})
    record = machine.start(request).output
    assert (record["status"], record["consistency"]["level"]) == ("PartiallySuccessful", "crash")
    assert record["reason"] == f"writer {NOBODYS}, which the policy requires, took no part"
    place = f"s3://{BUCKET}/scripts/admin/vss_exclude_writers_orders.txt (version "
    assert any(note.startswith(f"vss.exclude_writers: {SHOP_WRITER_ID} of {place}") for note in record["notes"])
    put_file(cloud, "verify")
    record = machine.start(request).output
    assert (record["status"], record["consistency"]["level"]) == ("Successful", "application"), record["reason"]
    assert SHOP_WRITER not in record["shadow"]["writers"]
    listed = {each["name"]: each for each in record["shadow"]["listed"]}
    assert listed.keys() == {writer.name for writer in vss.writers}
    assert (listed[SHOP_WRITER]["part"], listed["System Writer"]["part"]) == ("excluded", "whole")


SYSTEM_WRITER_ID = "{e8132975-6f93-4464-a53e-1050253ae220}"
NOBODYS = "{00000000-0000-0000-0000-000000000001}"
CONTRADICTIONS = {
    "two files": ({}, f"vss.require_writers: with the policy, {SHOP_WRITER_ID} is excluded, too"),
    "all in the policy": ({"exclude_writers": "all"}, "vss.require_writers: with the policy, exclude_writers is 'all'"),
}


@pytest.mark.parametrize(("settings", "words"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_files_that_contradict_each_other_or_the_policy_are_refused_before_the_server_is_held(
    settings, words, machine, cloud, shop, request_with
):
    put_file(cloud, "exclude", SHOP_WRITER_ID)
    put_file(cloud, "verify", SHOP_WRITER_ID)
    run = machine.start(request_with(scripts=False, vss=settings))
    assert (run.status, run.error) == ("FAILED", "PolicyRefused")
    assert words in run.cause
    assert "vss_verify_writers_orders.txt" in run.cause
    assert cloud.lease(shop.instance_id) is None


@pytest.mark.chapter("6.3.3 verify-all")
def test_a_line_of_a_file_that_is_no_writer_is_refused_with_its_number(machine, cloud, request_with):
    put_file(cloud, "verify", SHOP_WRITER_ID, "all")
    run = machine.start(request_with(scripts=False))
    assert (run.status, run.error) == ("FAILED", "PolicyRefused")
    assert f"s3://{BUCKET}/scripts/admin/vss_verify_writers_orders.txt, line 2: 'all' can't be verified" in run.cause


FOLDER = r"C:\ProgramData\Quiesce\scripts"


def lay_down(shop, name, *lines):
    """Put a file of writers beside the server's own scripts."""
    shop.windows.scripts.folder[name] = "".join(f"{line}\r\n" for line in lines)


@pytest.fixture
def from_server(cloud, shop):
    """Scripts that lie on the server, and a request for them with these fields of ``vss``."""
    for stage in ("before", "after", "complete"):
        lay_down(shop, f"{stage}_orders.cmd", "goes well")

    def from_server(**vss):
        policy = a_policy(shop.instance_id, name="orders", vss=vss, defaults={"scripts": {"from": "server"}})
        return {"policy": cloud.put_policy(policy), "instance_id": shop.instance_id}

    return from_server


@pytest.mark.chapter("6.3.3 place", "6.3.3 exclude", "6.3.3 verify")
def test_the_writers_of_the_files_on_the_server_count_beside_those_of_policy_and_bucket(
    machine, cloud, shop, from_server
):
    put_file(cloud, "exclude", SYSTEM_WRITER_ID)
    lay_down(shop, "vss_exclude_writers_orders.txt", "# It fails here.", SHOP_WRITER_ID.upper())
    lay_down(shop, r"admin\VSS_Verify_Writers_orders.txt", NOBODYS)
    lay_down(shop, "vss_verify_writers_orders.txt", "no line that counts: the owner's folder comes first")
    lay_down(shop, "vss_verify_writers_others.txt", "of another policy")
    others = NOBODYS.replace("1}", "2}")
    record = machine.start(from_server(require_writers=[others])).output
    assert (record["status"], record["consistency"]["level"]) == ("PartiallySuccessful", "crash")
    for writer in (NOBODYS, others):
        assert f"writer {writer}, which the policy requires, took no part" in record["reason"]
    listed = {each["name"]: each["part"] for each in record["shadow"]["listed"]}
    assert (listed[SHOP_WRITER], listed["System Writer"]) == ("excluded", "excluded")
    [note] = [note for note in record["notes"] if FOLDER in note and "exclude" in note]
    words = f"{SHOP_WRITER_ID} of {FOLDER}\\vss_exclude_writers_orders.txt count as well"
    assert note == f"vss.exclude_writers: {words}"
    assert any(rf"{FOLDER}\admin\VSS_Verify_Writers_orders.txt count as well" in note for note in record["notes"])


@pytest.mark.chapter("6.3.3 exclude-all")
def test_a_file_on_the_server_may_exclude_all_writers(machine, shop, from_server):
    lay_down(shop, "vss_exclude_writers_orders.txt", "all")
    record = machine.start(from_server()).output
    assert (record["consistency"]["level"], record["shadow"]["kind"]) == ("crash", "without-writers")


SERVERS_FAULTS = {
    "all verified": (["all"], {}, ", line 1: 'all' can't be verified"),
    "no id": (["", "SqlServerWriter"], {}, ", line 2: 'SqlServerWriter' is not the id of a writer"),
    "excluded, too": ([SHOP_WRITER_ID], {"exclude_writers": [SHOP_WRITER_ID]}, "with the policy, " + SHOP_WRITER_ID),
}


@pytest.mark.chapter("6.3.3 verify-all")
@pytest.mark.parametrize(("lines", "vss", "words"), SERVERS_FAULTS.values(), ids=SERVERS_FAULTS)
def test_a_file_on_the_server_that_cannot_be_meant_ends_the_run_in_the_words_for_one_in_the_bucket(
    lines, vss, words, machine, cloud, shop, from_server
):
    lay_down(shop, "vss_verify_writers_orders.txt", *lines)
    run = machine.start(from_server(**vss))
    assert (run.status, run.error) == ("FAILED", "PolicyRefused")
    assert f"{FOLDER}\\vss_verify_writers_orders.txt" in run.cause
    assert words in run.cause
    assert (shop.application.asked, cloud.lease(shop.instance_id)) == ([], None)


def test_a_file_on_the_server_that_is_a_users_ends_the_run(machine, shop, from_server, monkeypatch):
    lay_down(shop, "vss_verify_writers_orders.txt", SHOP_WRITER_ID)
    monkeypatch.setattr(shop.windows.scripts, "read", lambda _name: None)
    run = machine.start(from_server())
    assert (run.status, run.error) == ("FAILED", "PolicyRefused")
    assert f"{FOLDER}\\vss_verify_writers_orders.txt: could not be read: " in run.cause


def test_files_on_the_server_are_left_alone_where_the_scripts_come_from_elsewhere(machine, shop, request_with):
    lay_down(shop, "vss_verify_writers_orders.txt", "all")
    record = machine.start(request_with(scripts=False)).output
    assert (record["status"], record["consistency"]["level"]) == ("Successful", "application"), record["reason"]


@pytest.mark.parametrize("by_file", [True, False])
@pytest.mark.chapter("6.3.3 exclude-all")
def test_without_any_writer_the_shadow_copies_are_made_and_nothing_is_called_consistent(
    by_file, machine, cloud, shop, vss, request_with
):
    if by_file:
        put_file(cloud, "exclude", "all")
    record = machine.start(request_with(vss={} if by_file else {"exclude_writers": "all"})).output
    assert (record["status"], record["consistency"]["level"]) == ("PartiallySuccessful", "crash")
    assert "the policy excludes all writers" in record["reason"]
    assert (record["shadow"]["kind"], len(record["shadow"]["copies"])) == ("without-writers", 3)
    assert {each["part"] for each in record["shadow"]["listed"]} == {"excluded"}
    assert descriptions(cloud) == {""}
    assert record["attempts"] == []
    assert shop.application.asked == ["before", "after 1", "complete 0"]
    assert vss.shadow_copies == []


def test_a_required_writer_that_took_no_part_costs_the_consistency_and_complete_gets_0(
    machine, shop, vss, request_with
):
    vss.writers = [writer for writer in vss.writers if writer.name != SHOP_WRITER]
    record = machine.start(request_with(vss={"require_writers": [SHOP_WRITER_ID]})).output
    assert (record["status"], record["consistency"]["level"]) == ("PartiallySuccessful", "crash")
    assert SHOP_WRITER_ID in record["reason"]
    assert shop.application.asked[-1] == "complete 0"
    assert any(
        note.startswith(f"Windows does not list the writer that the policy requires: {SHOP_WRITER_ID}; start")
        for note in record["notes"]
    )


def test_a_required_writer_that_is_missing_ends_the_run_before_anything_is_held_where_nothing_less_will_do(
    machine, cloud, shop, vss, request_with
):
    vss.writers = [writer for writer in vss.writers if writer.name != SHOP_WRITER]
    run = machine.start(request_with(consistency="application", vss={"require_writers": [SHOP_WRITER_ID.upper()]}))
    assert (run.status, run.error) == ("FAILED", "ServerRefused")
    assert (
        f"Windows does not list the writer that the policy requires: {SHOP_WRITER_ID}; start the application"
        in run.cause
    )
    assert (shop.application.asked, cloud.snapshots(), cloud.lease(shop.instance_id)) == ([], [], None)


def test_a_required_writer_that_has_failed_before_or_cannot_be_asked_for_is_a_note(machine, shop, vss, request_with):
    request = request_with(consistency="application", vss={"require_writers": [SHOP_WRITER_ID]})
    guest = shop.windows.guest
    guest.condition = replace(guest.condition, writers=(Writer(SHOP_WRITER, SHOP_WRITER_ID, state=9),))
    record = machine.start(request).output
    assert record["status"] == "Successful"
    words = f"a writer that the policy requires had failed before the run: {SHOP_WRITER_ID} [9]; restart its service"
    assert any(note.startswith(words) for note in record["notes"])
    guest.condition = replace(guest.condition, unanswered={"writers"})
    record = machine.start(request).output
    assert record["status"] == "Successful"
    words = "whether the writers that the policy requires are there is not known beforehand: writers: Access denied"
    assert words in record["notes"]


def test_a_policy_that_requires_no_writer_does_not_ask_for_them(machine, shop, request_with):
    shop.windows.guest.condition = replace(shop.windows.guest.condition, unanswered={"writers"})
    notes = machine.start(request_with(scripts=False)).output["notes"]
    assert not any("writers" in note for note in notes)


def without(vss, *names):
    return [writer for writer in vss.writers if writer.name not in names]


def test_an_application_whose_writer_is_gone_since_the_last_good_run_is_told_once(machine, cloud, vss, request_with):
    def gone():
        return machine.start(request_with(scripts=False)).output["shadow"]["gone_writers"]

    assert gone() == []
    there, vss.writers = vss.writers, without(vss, SHOP_WRITER)
    record = machine.start(request_with(scripts=False)).output
    assert (record["status"], record["consistency"]["level"]) == ("Successful", "application")
    assert record["shadow"]["gone_writers"] == [SHOP_WRITER]
    assert any(note.startswith(f"{SHOP_WRITER} took part in this policy's last good run") for note in record["notes"])
    [(subject, text)] = cloud.mails()
    assert subject.startswith("A writer is gone: ")
    assert f"Note:        {SHOP_WRITER} took part" in text
    assert gone() == []
    vss.writers = there
    assert gone() == []
    assert len(cloud.mails()) == 1


def test_a_run_that_was_not_good_is_no_measure_of_the_writers(machine, cloud, vss, request_with):
    def gone():
        return machine.start(request_with(scripts=False)).output["shadow"]["gone_writers"]

    assert gone() == []
    there, vss.writers = vss.writers, without(vss, SHOP_WRITER, "System Writer")
    assert SHOP_WRITER in gone()
    vss.writers = [writer for writer in there if writer.name != SHOP_WRITER]
    assert gone() == [SHOP_WRITER]
    assert gone() == []


@pytest.mark.parametrize("missing", ["System Writer", ""])
def test_a_server_whose_writers_are_not_listed_is_never_called_consistent(missing, machine, shop, vss, request_with):
    vss.writers = without(vss, missing) if missing else []
    record = machine.start(request_with()).output
    assert (record["status"], record["consistency"]["level"]) == ("PartiallySuccessful", "crash")
    assert "Windows " in record["reason"]
    assert shop.application.asked[-1] == "complete 0"


def shadow_copies_of(cloud, server, excluded=()):
    """Make shadow copies of all volumes, and examine their data."""
    vss = server.windows.guest.vss
    script = session_script(list(vss.volumes), copy_only=False, excluded=excluded)
    DiskShadow(vss).run(script_file(script, r"C:\ProgramData\Q"), lambda _: 0)
    made = {
        vss.volumes[copy.volume]: server.disks.made[copy.shadow_id] for copy in vss.shadow_copies[-len(vss.volumes) :]
    }
    shown = {drive: mounted(each.volume.volume.held[each.store_id].copy()) for drive, each in made.items()}
    return examine(shown)
