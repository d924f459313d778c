"""Backups that build their volumes (``revert: at-backup``): tags, searches, and the recoveries from them."""

import pytest

from tests.statemachine.builds import BackedShop, examined, recovering
from tests.statemachine.recoveries import made
from tests.support.cloud import backend
from tests.support.factories.policy import a_policy
from tests.support.wire import refused

SETTINGS = {"revert": "at-backup"}


@pytest.fixture
def back_up(machine, cloud, torn_shop):
    """Backs the shop up by a policy that builds at the backup."""
    name = cloud.put_policy(
        a_policy(torn_shop.instance_id, name="orders", vss={}, tags={"team": "shop"}, defaults=SETTINGS)
    )
    return lambda: machine.start({"policy": name, "instance_id": torn_shop.instance_id})


@pytest.fixture
def built_shop(machine, cloud, torn_shop, back_up):
    """A shop whose backup has built its volumes."""
    run = back_up()
    assert run.status == "SUCCEEDED", run.cause
    assert len(run.output["built"]) == 3, run.output["consistency"]
    return BackedShop(cloud, machine, torn_shop, run.output)


@pytest.fixture
def recover(built_shop):
    return recovering(built_shop)


def ids_of(found):
    return {each["SnapshotId"] for each in found["Snapshots"]}


def tagged(shop, **tags):
    """The snapshots that EC2 finds by tags, as a person or a tool picks them."""
    filters = [{"Name": f"tag:quiesce:{key.replace('_', '-')}", "Values": [value]} for key, value in tags.items()]
    return ids_of(shop.cloud.ec2.describe_snapshots(OwnerIds=["self"], Filters=filters))


# Tags and searches.


def test_who_picks_by_tag_gets_the_built_snapshots_and_a_search_by_run_only_the_raw_ones(built_shop):
    record = built_shop.record
    run_id = record["run_id"]
    raw = {each["snapshot_id"] for each in record["snapshots"]}
    built = {each["snapshot_id"] for each in record["built"]}
    assert tagged(built_shop, consistency="application") == built
    assert tagged(built_shop, consistency="crash") == raw
    assert tagged(built_shop, state="raw") == raw
    assert tagged(built_shop, run=run_id) == raw
    assert tagged(built_shop, built_for=run_id) == built
    by_id = {each["id"]: each["tags"] for each in built_shop.cloud.snapshots()}
    for each in record["built"]:
        tags = by_id[each["snapshot_id"]]
        assert "quiesce:run" not in tags
        assert "quiesce:state" not in tags
        assert tags["quiesce:built-from"] == each["built_from"]
        assert tags["quiesce:instance"] == record["instance_id"]
        assert (tags["quiesce:policy"], tags["quiesce:volume"], tags["team"]) == ("orders", each["volume_id"], "shop")
    assert not any("quiesce:built-for" in by_id[each] for each in raw)


def test_the_raw_snapshots_of_a_backup_that_could_not_build_keep_their_consistency(machine, cloud, back_up):
    machine.wire.on("ebs:StartSnapshot", refused("AccessDeniedException", 403))
    record = back_up().output
    assert record["built"] == []
    assert record["status"] == "PartiallySuccessful"
    levels = {each["tags"]["quiesce:consistency"] for each in cloud.snapshots()}
    assert levels == {record["consistency"]["level"]}
    assert not any("quiesce:state" in each["tags"] for each in cloud.snapshots())


def test_a_build_that_step_functions_did_not_start_is_started_later(machine, back_up):
    machine.start_fails("StepFunctions.AWSStepFunctionsException", times=5)
    assert len(back_up().output["built"]) == 3


def test_the_initial_image_is_of_the_server_and_its_snapshot_is_neither_raw_nor_built(built_shop):
    [image] = built_shop.cloud.ec2.describe_images(Owners=["self"], Filters=[
        {"Name": "tag:quiesce:run", "Values": [built_shop.record["run_id"]]}
    ])["Images"]  # fmt: skip
    assert image["ImageId"] == built_shop.record["initial_image"]
    snapshot_id = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    [snapshot] = built_shop.cloud.ec2.describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"]
    keys = {tag["Key"] for tag in snapshot.get("Tags", [])}
    assert not keys & {"quiesce:run", "quiesce:state", "quiesce:built-for", "quiesce:consistency"}


def test_the_next_backup_takes_nothing_of_what_was_built_for_its_own(built_shop, back_up, clock):
    clock.now_s += 3600
    second = back_up().output
    assert len(second["snapshots"]) == len(second["built"]) == 3
    first = {each["snapshot_id"] for each in (*built_shop.record["snapshots"], *built_shop.record["built"])}
    assert not first & {each["snapshot_id"] for each in (*second["snapshots"], *second["built"])}


# Recoveries.


def test_a_recovery_uses_what_the_backup_built_and_builds_and_deletes_nothing(built_shop, recover):
    wire = built_shop.machine.wire
    del wire.sent[:]
    run = recover()
    assert run.status == "SUCCEEDED", run.cause
    assert not {"Look", "Weigh", "Revert"} & set(run.states)
    assert not [call for call in wire.sent if call.startswith("ebs:") or call == "ec2:DeleteSnapshot"]
    assert examined(built_shop, run) == built_shop.cloud.servers.examine_shadow_copies(built_shop.record)
    [server] = made(built_shop.cloud)["servers"]
    volumes = made(built_shop.cloud)["volumes"]
    built = {each["snapshot_id"] for each in built_shop.record["built"]}
    assert {volume["SnapshotId"] for volume in volumes} == built == tagged(built_shop, consistency="application")
    account = run.output
    assert all("as of its shadow copy of " in line and "built by the backup" in line for line in account["volumes"])
    assert account["consistency"].startswith("application-consistent, as of the shadow copies of ")
    assert '"revert": "off"' in account["fallback"]
    assert server["InstanceId"] == account["instance_id"]


def test_with_revert_off_a_recovery_takes_the_raw_snapshots(built_shop, recover):
    run = recover(revert="off")
    assert run.status == "SUCCEEDED", run.cause
    raw = {each["volume_id"]: each["snapshot_id"] for each in built_shop.record["snapshots"]}
    assert {volume["SnapshotId"] for volume in made(built_shop.cloud)["volumes"]} == set(raw.values())
    assert examined(built_shop, run) == built_shop.raw()
    assert built_shop.raw().torn
    assert run.output["consistency"].startswith("crash-consistent")


def test_where_one_of_them_is_gone_a_recovery_says_so_and_builds_again(built_shop, recover):
    lost = built_shop.record["built"][1]["snapshot_id"]
    backend().delete_snapshot(lost)
    run = recover()
    assert run.status == "SUCCEEDED", run.cause
    assert "Revert" in run.states
    assert examined(built_shop, run) == built_shop.cloud.servers.examine_shadow_copies(built_shop.record)
    [note] = [note for note in run.output["notes"] if lost in note]
    assert "was deleted" in note
    assert "they are built again" in note
    others = {each["snapshot_id"] for each in built_shop.record["built"]} - {lost}
    assert others <= tagged(built_shop, built_for=built_shop.record["run_id"]), "the backup's own stay"


def test_a_recovery_that_goes_on_after_a_built_snapshot_was_deleted_says_what_helps(built_shop, recover):
    built_shop.machine.stop_in("Launch")
    recover()
    built_shop.machine.stop_in("")
    backend().delete_snapshot(built_shop.record["built"][0]["snapshot_id"])
    run = recover()
    assert run.status == "FAILED"
    assert "start it under a new recovery_id" in run.cause
    assert recover(recovery_id="drill-8").status == "SUCCEEDED"


def test_a_clean_up_leaves_what_the_backup_built(built_shop, recover):
    before = tagged(built_shop, built_for=built_shop.record["run_id"])
    built_shop.machine.wire.on("ec2:RunInstances", refused("InsufficientInstanceCapacity", 500), nth=2, times=4)
    assert recover(on_failure="clean-up").status == "FAILED"
    assert tagged(built_shop, built_for=built_shop.record["run_id"]) == before


def test_a_recovery_under_the_id_of_the_run_deletes_nothing_of_the_backup(built_shop, recover):
    built = {each["snapshot_id"] for each in built_shop.record["built"]}
    lost = built_shop.record["built"][0]["snapshot_id"]
    backend().delete_snapshot(lost)
    run = recover(recovery_id=built_shop.record["run_id"], on_failure="clean-up")
    assert run.status == "FAILED"
    assert "start it again under another id" in run.cause
    assert tagged(built_shop, built_for=built_shop.record["run_id"]) == built - {lost}
    assert recover(on_failure="clean-up").status == "SUCCEEDED"


def test_a_build_that_failed_deletes_nothing_of_another_server_with_a_run_of_the_same_id(built_shop):
    built = tagged(built_shop, built_for=built_shop.record["run_id"])
    request = built_shop.request(built_for=built_shop.record["run_id"], on_failure="clean-up")
    execution = {"id": "arn", "name": "n", "started_at": "2026-11-29T00:00:00Z"}
    document = {"execution": execution, "input": {"request": {**request, "instance_id": "i-0123456789abcdef0"}}}
    built_shop.machine._call("revert", {"step": "discard", "document": document})
    assert tagged(built_shop, built_for=built_shop.record["run_id"]) == built
    document["input"]["request"]["instance_id"] = built_shop.server.instance_id
    built_shop.machine._call("revert", {"step": "discard", "document": document})
    assert tagged(built_shop, built_for=built_shop.record["run_id"]) == set()
