"""Recoveries of volumes as of their shadow copies: built before anything is launched, or stopped with the way on."""

import json
import re

import pytest

from quiesce.aws.bucket import Bucket
from quiesce.disks.shadow_copies import read_disk
from sandbox.disks.ntfs_volume import mounted
from tests.statemachine.builds import BackedShop, examined, recovering
from tests.statemachine.recoveries import made
from tests.statemachine.test_lost_recoveries import CHANGES
from tests.support.environment import BUCKET, TABLE
from tests.support.factories.policy import a_policy
from tests.support.wire import answer_lost, dies_after, dies_before, refused

# Each call that changes something in a recovery that builds, and which of them is killed: beside those of any recovery
# those of the build, the deletion of what was built, and the end of a session that the volumes were in.
KILLED = {
    **CHANGES,
    "ebs:StartSnapshot": 2,
    "ebs:PutSnapshotBlock": 3,
    "ebs:CompleteSnapshot": 2,
    "ec2:CreateTags": 2,
    "ec2:DeleteSnapshot": 2,
    "ssm:SendCommand": 1,
}
GROUPS = 3
RAW_WORDS = "as after a power failure of "
# In volsnap's header on a volume, at 0x1e00.
CATALOG_OFFSET_AT = 0x1E00 + 48


@pytest.fixture
def backed_shop(machine, cloud, torn_shop):
    """A shop with a whole recovery point, whose raw volumes are torn: no script holds it while EBS takes them."""
    policy = cloud.put_policy(a_policy(torn_shop.instance_id, name="orders", vss={}))
    run = machine.start({"policy": policy, "instance_id": torn_shop.instance_id})
    assert run.output["consistency"]["level"] == "application", run.output["consistency"]
    backed = BackedShop(cloud, machine, torn_shop, run.output)
    assert backed.raw().torn
    return backed


@pytest.fixture
def recover(backed_shop):
    """Recovers the shop; each execution has a name of its own, and the same recovery_id."""
    return recovering(backed_shop)


def children(shop):
    return shop.children("drill-7")


def assert_reverted(shop, run):
    assert run.status == "SUCCEEDED", (run.error, run.cause)
    found = examined(shop, run)
    assert found == shop.cloud.servers.examine_shadow_copies(shop.record)
    assert not found.torn
    assert found != shop.raw()
    assert children(shop) == [], "what was built is needed no more"
    [server] = made(shop.cloud)["servers"]
    assert server["InstanceId"] == run.output["instance_id"]


def test_a_volume_that_the_policy_does_not_name_is_recovered_as_it_is_in_the_snapshots(machine, cloud, torn_shop):
    policy = a_policy(torn_shop.instance_id, name="orders", vss={"volumes": ["D:", "E:"]})
    run = machine.start({"policy": cloud.put_policy(policy), "instance_id": torn_shop.instance_id})
    backed = BackedShop(cloud, machine, torn_shop, run.output)
    recovery = recovering(backed)()
    c, *others = recovery.output["volumes"]
    assert c.startswith("C: ")
    assert RAW_WORDS in c
    assert len(others) == 2
    assert all("as of its shadow copy of " in line for line in others)
    assert backed.raw().torn
    assert not examined(backed, recovery).torn


def test_while_a_recovery_builds_a_person_reads_which_part_is_how_far_and_where(backed_shop, recover):
    s3, told = backed_shop.cloud.s3, []
    place = "reverts/drill-7/progress.txt"
    write = Bucket.write_text

    def seen(bucket, key, text):
        write(bucket, key, text)
        told.append((key, s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode()))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Bucket, "write_text", seen)
        run = recover()
    assert_reverted(backed_shop, run)
    building = [text for key, text in told if key == place]
    words = [re.search("^Now: +(.*)$", text, re.MULTILINE)[1] for text in building]
    assert words[0].startswith("Build: ")
    assert [w for w in words if re.fullmatch(r"Build: part \d of \d has reached ([\d.]+) of \1 GiB of .*", w)]
    assert [w for w in words if w.startswith("Check: part ")]
    assert words[-1] == "the snapshots are built and read back"
    # The recovery's own progress says that it builds, and where that stands; then how long it took.
    [revert] = [t for key, t in told if key == "recoveries/drill-7/progress.txt" and "Now:       Revert" in t]
    assert f"how far it is stands in s3://{BUCKET}/{place}" in revert
    assert re.match(r"Plan .*, Look .*, Revert .*, Launch ", run.output["took"])


@pytest.mark.chapter("6.3.5 revert")
def test_the_recovered_shop_is_as_of_its_shadow_copies_by_default(backed_shop, recover):
    run = recover()
    assert_reverted(backed_shop, run)
    account = run.output
    assert account["reason"].endswith("built as of their shadow copies")
    assert account["consistency"].startswith("application-consistent, as of the shadow copies of ")
    assert [line.partition(" ")[0] for line in account["volumes"]] == ["C:", "D:", "E:"]
    assert all("as of its shadow copy of " in line for line in account["volumes"])
    typed = json.loads(account["fallback"][account["fallback"].index("{") :])
    assert typed == {
        "instance_id": backed_shop.server.instance_id,
        "recovery_point": backed_shop.record["run_id"],
        "revert": "off",
    }
    [(_, text)] = backed_shop.cloud.mails()
    assert f"Consistency: {account['consistency']}" in text.splitlines()
    assert text.count("Volume:      ") == 3
    assert f"If not:      {account['fallback']}" in text


def test_what_is_typed_if_it_does_not_start_recovers_from_the_raw_snapshots(backed_shop, recover):
    account = recover().output
    typed = json.loads(account["fallback"][account["fallback"].index("{") :])
    run = recover(**typed, recovery_id="drill-8")
    assert run.status == "SUCCEEDED", run.cause
    assert examined(backed_shop, run) == backed_shop.raw()
    assert all(RAW_WORDS in line for line in run.output["volumes"])
    assert run.output["consistency"].startswith("crash-consistent, as after a power failure")
    assert run.output["fallback"] == ""


def test_nothing_is_built_where_the_input_says_off(backed_shop, recover):
    wire = backed_shop.machine.wire
    del wire.sent[:]
    run = recover(revert="off")
    assert run.status == "SUCCEEDED", run.cause
    assert not [call for call in wire.sent if call.startswith("ebs:")]
    assert examined(backed_shop, run) == backed_shop.raw()


def test_a_dry_run_says_what_would_be_built_and_at_what_price_and_builds_nothing(backed_shop, recover):
    wire = backed_shop.machine.wire
    del wire.sent[:]
    run = recover(mode="dry-run")
    assert run.status == "SUCCEEDED"
    assert run.output["possible"] is True
    assert all("as of its shadow copy of " in line for line in run.output["volumes"])
    assert run.output["steps"][0].startswith("1. Build a snapshot from snap-")
    assert any("for about $0." in step for step in run.output["steps"])
    assert not set(wire.sent) & {"ebs:StartSnapshot", "ebs:PutSnapshotBlock", "ec2:DeleteSnapshot"}
    assert made(backed_shop.cloud) == {"servers": [], "volumes": [], "groups": []}


def test_a_recovery_point_without_vss_costs_no_look_and_says_what_it_is(backed, machine):
    del machine.wire.sent[:]
    run = backed.recover()
    assert run.status == "SUCCEEDED"
    assert not [call for call in machine.wire.sent if call.startswith("ebs:")]
    assert "Look" not in run.states
    assert "Revert" not in run.states
    assert all(RAW_WORDS in line for line in run.output["volumes"])
    assert run.output["fallback"] == ""


# Where a volume can't be built.


@pytest.fixture
def unread(backed_shop):
    """Archives the snapshot of a drive after Plan has looked: what it holds can't be read."""

    def unread(drive):
        volume_id = backed_shop.server.volumes[drive]
        [snapshot] = [s for s in backed_shop.cloud.stored_snapshots() if s.volume_id == volume_id]
        backed_shop.machine.before("revert", lambda: setattr(snapshot, "storage_tier", "archive"))
        return lambda: setattr(snapshot, "storage_tier", "standard")

    return unread


def test_a_recovery_stops_before_it_launches_and_shows_the_instants_side_by_side(backed_shop, recover, unread):
    unread("D:")
    run = recover()
    assert (run.status, run.error) == ("FAILED", "RecoveryRefused")
    assert "D:" in run.cause
    assert RAW_WORDS in run.cause
    assert "it is archived" in run.cause
    assert "revert 'where-possible'" in run.cause
    assert "Launch" not in run.states
    assert made(backed_shop.cloud) == {"servers": [], "volumes": [], "groups": []}
    assert children(backed_shop) == []


def test_a_dry_run_lists_what_can_not_be_built_among_its_problems(backed_shop, recover, unread):
    unread("D:")
    run = recover(mode="dry-run")
    assert run.output["possible"] is False
    [problem] = run.output["problems"]
    assert problem.startswith("revert: ")
    assert "'where-possible'" in problem


@pytest.fixture
def forwarded(cloud, torn_shop):
    """Puts a forwarder into the shadow copies of D:, which Windows can use, but of which none can be built."""
    volume = cloud.servers.content(torn_shop.volumes["D:"]).volume
    volume.shape = volume.shape._replace(forwarders=((8, 9),))


def disk_of(shop, run, drive):
    """The disk that a recovered server's drive was made with."""
    volume_id = shop.cloud.servers.servers[run.output["instance_id"]].volumes[drive]
    [volume] = shop.cloud.ec2.describe_volumes(VolumeIds=[volume_id])["Volumes"]
    return volume["SnapshotId"], shop.cloud.servers.disks[volume["SnapshotId"]]


@pytest.mark.usefixtures("forwarded")
@pytest.mark.chapter("6.3.5 system")
def test_with_where_possible_c_is_built_and_d_is_not_and_each_says_so(backed_shop, recover):
    refused_run = recover(mode="dry-run")
    assert refused_run.output["possible"] is False
    instants = refused_run.output["volumes"]
    assert "as of its shadow copy of " in instants[0]
    assert RAW_WORDS in instants[1]
    assert "the store's list has a forwarder" in instants[1]
    [problem] = refused_run.output["problems"]
    assert all(line in problem for line in instants), "side by side"
    assert "'where-possible'" in problem

    run = recover(revert="where-possible")
    assert run.status == "SUCCEEDED", run.cause
    servers, recovered = backed_shop.cloud.servers, backed_shop.cloud.servers.servers[run.output["instance_id"]]
    shadow_of = {copy["path"]: copy["shadow_id"] for copy in backed_shop.record["shadow"]["copies"]}
    held = {}
    for each in backed_shop.record["snapshots"]:
        held |= servers.shadow_disks[each["snapshot_id"]]
    for drive in ("C:", "E:"):
        assert servers.content(recovered.volumes[drive]).files == mounted(held[shadow_of[drive]].copy()).files, drive
    assert run.output["volumes"] == instants
    assert run.output["consistency"].startswith("volumes of different instants: some as of ")
    [(_, text)] = backed_shop.cloud.mails()
    assert instants[1] in text

    made_of, disk = disk_of(backed_shop, run, "D:")
    volume_id = backed_shop.server.volumes["D:"]
    [raw] = [each["snapshot_id"] for each in backed_shop.record["snapshots"] if each["volume_id"] == volume_id]
    assert made_of != raw, "its stores fit no more: it was built without a catalog"
    raw_disk = servers.disks[raw]
    (volume,) = read_disk("raw", raw_disk.read, raw_disk.size_bytes).volumes
    header = volume.extent.start + CATALOG_OFFSET_AT
    assert (disk.read(header, 8), raw_disk.read(header, 8) != bytes(8)) == (bytes(8), True)
    assert servers.content(recovered.volumes["D:"]).files == servers.content(raw).files


def test_a_record_from_before_volumes_were_built_recovers_and_reverts(backed_shop, recover):
    """An older record has no ``revert``, ``built`` and ``build``, and its evidence nothing of building."""
    key = {"pk": {"S": backed_shop.server.instance_id}, "sk": {"S": f"run#{backed_shop.record['run_id']}"}}
    dynamodb = backed_shop.cloud.dynamodb
    item = dynamodb.get_item(TableName=TABLE, Key=key)["Item"]
    record = json.loads(item["record"]["S"])
    del record["revert"], record["built"], record["evidence"]["build"]
    for copy in record["evidence"]["copies"]:
        del copy["build"]
    dynamodb.put_item(TableName=TABLE, Item={**item, "record": {"S": json.dumps(record)}})
    run = recover()
    assert "Look" in run.states
    assert_reverted(backed_shop, run)


# Worst days.


def test_a_build_that_is_refused_ends_the_recovery_with_nothing_launched_and_the_way_on(backed_shop, recover):
    backed_shop.machine.wire.on("ebs:StartSnapshot", refused("AccessDeniedException", 403))
    run = recover()
    assert run.status == "FAILED"
    assert "Launch" not in run.states
    [(_, text)] = backed_shop.cloud.mails()
    assert "AccessDenied" in text
    assert '"revert": "off"' in text
    assert made(backed_shop.cloud) == {"servers": [], "volumes": [], "groups": []}


NOT_STARTED = ("StepFunctions.ExecutionLimitExceededException", "StepFunctions.AWSStepFunctionsException")


@pytest.mark.parametrize("error", NOT_STARTED)
def test_a_build_that_step_functions_did_not_start_is_started_later(backed_shop, recover, error):
    backed_shop.machine.start_fails(error, times=5)
    assert_reverted(backed_shop, recover())


def test_a_build_that_is_never_started_ends_the_recovery_before_anything_is_launched(backed_shop, recover):
    backed_shop.machine.start_fails(NOT_STARTED[1], times=7)
    run = recover()
    assert (run.status, run.error) == ("FAILED", NOT_STARTED[1])
    assert "it was not started" in run.cause
    assert "Launch" not in run.states
    assert_reverted(backed_shop, recover())


@pytest.mark.parametrize("state", ["Look", "Weigh", "Launch", "Stop", "MakeVolumes"])
def test_a_recovery_that_was_stopped_goes_on_under_its_id_with_what_was_built(state, backed_shop, recover):
    backed_shop.machine.stop_in(state)
    assert recover().status != "SUCCEEDED"
    backed_shop.machine.stop_in("")
    puts = backed_shop.machine.wire.count("ebs:PutSnapshotBlock")
    run = recover()
    assert_reverted(backed_shop, run)
    if state not in ("Look", "Weigh"):
        assert backed_shop.machine.wire.count("ebs:PutSnapshotBlock") == puts, "nothing is built twice"


def test_a_clean_up_deletes_what_was_built(backed_shop, recover):
    backed_shop.machine.wire.on("ec2:RunInstances", refused("InsufficientInstanceCapacity", 500), nth=2, times=4)
    run = recover(on_failure="clean-up")
    assert run.status == "FAILED"
    assert children(backed_shop) == []
    assert made(backed_shop.cloud) == {"servers": [], "volumes": [], "groups": []}


@pytest.mark.parametrize("fault", [answer_lost, dies_after])
@pytest.mark.parametrize("call", ["ebs:StartSnapshot", "ebs:PutSnapshotBlock", "ebs:CompleteSnapshot"])
def test_a_lost_answer_makes_no_second_child_and_loses_nothing(call, fault, backed_shop, recover):
    backed_shop.machine.wire.on(call, fault)
    assert_reverted(backed_shop, recover())


@pytest.mark.grid
@pytest.mark.parametrize("fault", [answer_lost, dies_after, dies_before])
@pytest.mark.parametrize("group", range(GROUPS))
def test_killed_at_each_call_a_recovery_builds_each_child_once_and_makes_one_server(group, fault, backed_shop, recover):
    """A third of the calls in one recovery: each state that calls several of them is killed more than once."""
    wire = backed_shop.machine.wire
    for call in sorted(KILLED)[group::GROUPS]:
        wire.on(call, fault, nth=KILLED[call])
    run = recover()
    assert wire.unused() == [], "every call was killed"
    assert_reverted(backed_shop, run)
    assert len(backed_shop.cloud.direct_apis.writes.made) == len(backed_shop.record["snapshots"])


def test_the_kills_meet_every_call_with_which_a_recovery_that_builds_changes_something(backed_shop, recover):
    wire = backed_shop.machine.wire
    del wire.sent[:]
    assert_reverted(backed_shop, recover())
    reading = ("Describe", "Get", "List", "Query")
    assert {call for call in wire.sent if not call.partition(":")[2].startswith(reading)} == KILLED.keys()
