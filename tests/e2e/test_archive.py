"""A monthly recovery point is archived by the deployed product, and a server is recovered from it months later."""

import json

import pytest
from botocore.exceptions import ClientError

from sandbox.aws.snapshot_tiers import TIERS
from sandbox.aws.snapshots import RULES
from tests.support.old_months import archived, change_much, put_back, put_policy

FILE = "\\of-a-month-0.txt"


@pytest.fixture
def months(aws, quiesce, monkeypatch):
    """A server with a busy application, backed up 200 days, 100 days and a moment ago; each has data of its own.

    Without an initial AMI: the sandbox keeps no content of its snapshot, with which retention would compare the root.
    """
    monkeypatch.setattr(RULES, "volume_interval_s", 0.0)
    server = aws.servers.add("SHOP")
    put_policy(quiesce, server)
    made = []
    for days in (200, 100, 0):
        change_much(quiesce, server)
        ended = quiesce.back_up(server, name="months", defaults={"vss": {}, "initial_image": "off"})
        assert ended["status"] == "SUCCEEDED", ended
        made.append(put_back(quiesce, json.loads(ended["output"]), days))
    return server, made


def tiers(aws, record):
    ids = [each.snapshot_id for each in record.snapshots]
    return {each["StorageTier"] for each in aws.client("ec2").describe_snapshots(SnapshotIds=ids)["Snapshots"]}


def test_an_old_month_is_archived_and_recovered_with_its_data_whole(aws, quiesce, months):
    server, (old, middle, new) = months
    of_old = {each.volume_id: each.snapshot_id for each in old.snapshots}
    first, second = archived(quiesce, server)
    assert (first["problems"], second["problems"]) == ([], [])
    assert second["archived"] == 2, (first, second)
    assert [tiers(aws, record) for record in (old, middle, new)] == [{"archive"}, {"archive"}, {"standard"}]
    key = old.record.partition("/records/")[2]
    stored = aws.client("s3").get_object(Bucket=quiesce.outputs["BucketName"], Key=f"records/{key}")["Body"].read()
    assert json.loads(stored)["archived_at"]

    request = {"run_id": old.run_id}
    dry = json.loads(quiesce.recover(request, mode="dry-run")["output"])
    assert dry["possible"], dry["problems"]
    assert f"{len(old.snapshots)} snapshots are archived: EBS restores " in dry["notes"][0]
    assert TIERS.asked[-1][0] == "ModifySnapshotTier"

    TIERS.restoring_s = 1.0
    ended = quiesce.recover(request)
    assert ended["status"] == "SUCCEEDED", ended["cause"]
    account = json.loads(ended["output"])
    assert "application-consistent, as of the shadow copies" in account["consistency"]
    found = aws.servers.examine_server(account["instance_id"])
    assert found == aws.servers.examine_shadow_copies(old.model_dump(mode="json"))
    assert not found.torn
    volumes = aws.servers.servers[account["instance_id"]].volumes
    recovered = {drive: aws.servers.content(volumes[drive]).files[FILE] for drive in volumes}
    assert recovered == {drive: aws.servers.content(of_old[server.volumes[drive]]).files[FILE] for drive in volumes}
    assert [each[0] for each in TIERS.asked].count("RestoreSnapshotTier") == len(old.snapshots)
    RULES.skip(5 * 86_400)
    assert tiers(aws, old) == {"archive"}


@pytest.mark.usefixtures("set_aside")
def test_the_pruner_archives_what_a_run_or_its_build_made_and_nobody_holds_and_restores_nothing(aws, quiesce):
    server = aws.servers.add("SERVER1")
    pruner, recovery, ec2 = (
        quiesce.client_of("RetentionFunction", "ec2"),
        quiesce.client_of("RecoverFunction", "ec2"),
        aws.client("ec2"),
    )

    def code_of(call, **given):
        try:
            call(**given)
        except ClientError as error:
            return error.response["Error"]["Code"]
        return ""

    def made_with(tags):
        pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
        given = {"TagSpecifications": [{"ResourceType": "snapshot", "Tags": pairs}]} if pairs else {}
        return ec2.create_snapshot(VolumeId=server.volumes["C:"], **given)["SnapshotId"]

    stack, run, built = {"quiesce:stack": "quiesce"}, {"quiesce:run": "run-1"}, {"quiesce:built-for": "run-1"}
    RULES.volume_interval_s = RULES.duration_s = 0.0
    for tags in (
        {},
        stack,
        run,
        {"quiesce:stack": "other", **run},
        {**stack, **run, "quiesce:hold": "anna"},
        {**stack, **run, "quiesce:removing": "yes"},
        {**stack, **built, "quiesce:hold": "anna"},
        {**stack, **built, "quiesce:recovery": "drill-7"},
    ):
        asked = {"SnapshotId": made_with(tags), "StorageTier": "archive"}
        assert code_of(pruner.modify_snapshot_tier, **asked) == "UnauthorizedOperation", tags
    for tags in ({**stack, **run}, {**stack, **built}):
        snapshot_id = made_with(tags)
        assert code_of(recovery.modify_snapshot_tier, SnapshotId=snapshot_id, StorageTier="archive")
        assert code_of(pruner.modify_snapshot_tier, SnapshotId=snapshot_id, StorageTier="archive") == ""
        asked = {"SnapshotId": snapshot_id, "TemporaryRestoreDays": 1}
        assert code_of(pruner.restore_snapshot_tier, **asked) == "UnauthorizedOperation"
        assert code_of(recovery.restore_snapshot_tier, **asked) == ""
    other = made_with({"quiesce:stack": "other", **run})
    ec2.modify_snapshot_tier(SnapshotId=other, StorageTier="archive")
    asked = {"SnapshotId": other, "TemporaryRestoreDays": 1}
    assert code_of(recovery.restore_snapshot_tier, **asked) == "UnauthorizedOperation"
