"""The rules of simulated EBS snapshots, each as AWS documents it."""

import itertools

import pytest

from sandbox.aws.snapshots import RULES, Fate, SnapshotRules
from sandbox.servers import DISKS
from tests.sandbox.refusals import refused

OURS = [{"ResourceType": "snapshot", "Tags": [{"Key": "run", "Value": "1"}]}]


@pytest.fixture
def server(aws):
    return aws.servers.add("files")


def take(ec2, server, *, dry_run=False, **specification):
    return ec2.create_snapshots(
        InstanceSpecification={"InstanceId": server.instance_id, **specification},
        Description="a set",
        TagSpecifications=OURS,
        DryRun=dry_run,
    )["Snapshots"]


def states(ec2):
    found = ec2.describe_snapshots(Filters=[{"Name": "tag:run", "Values": ["1"]}])["Snapshots"]
    return sorted((snapshot["State"], snapshot["Progress"]) for snapshot in found)


def test_a_set_has_one_start_time_and_is_pending_when_the_call_returns(ec2, server, monkeypatch):
    clock = itertools.count(1_800_000_000, 10)  # goes on by ten seconds at each reading
    monkeypatch.setattr(SnapshotRules, "now_s", lambda _: next(clock))
    RULES.duration_s = 10_000
    snapshots = take(ec2, server)
    assert {snapshot["VolumeId"] for snapshot in snapshots} == set(server.volumes.values())
    assert {snapshot["State"] for snapshot in snapshots} == {"pending"}
    assert len({snapshot["StartTime"] for snapshot in snapshots}) == 1
    assert all(snapshot["Tags"] == [{"Key": "run", "Value": "1"}] for snapshot in snapshots)


def test_a_snapshot_completes_as_time_passes(ec2, server):
    RULES.duration_s = 1000
    take(ec2, server)
    RULES.skip(500)
    assert states(ec2) == [("pending", "50%")] * 3
    RULES.skip(500)
    assert states(ec2) == [("completed", "100%")] * 3


def test_the_root_volume_can_be_left_out(ec2, server):
    volumes = {snapshot["VolumeId"] for snapshot in take(ec2, server, ExcludeBootVolume=True)}
    assert volumes == {server.volumes["D:"], server.volumes["E:"]}


def test_a_data_volume_can_be_left_out(ec2, server):
    volumes = {snapshot["VolumeId"] for snapshot in take(ec2, server, ExcludeDataVolumeIds=[server.volumes["D:"]])}
    assert volumes == {server.volumes["C:"], server.volumes["E:"]}


def test_the_root_volume_among_the_excluded_data_volumes_is_refused(ec2, server):
    assert refused(take, ec2, server, ExcludeDataVolumeIds=[server.volumes["C:"]]) == "InvalidParameterValue"


def test_more_than_forty_exclusions_are_refused(ec2, server):
    many = [f"vol-{number:017x}" for number in range(41)]
    assert refused(take, ec2, server, ExcludeDataVolumeIds=many) == "InvalidParameterValue"


@pytest.mark.parametrize(
    "specification", [{"ExcludeDataVolumeIds": ["vol-0123456789abcdef0"]}, {"ExcludeBootVolume": True}]
)
def test_what_nobody_has_seen_ec2_answer_is_not_guessed(aws, ec2, specification):
    server = aws.servers.add("small", DISKS[:1], application=False)
    assert refused(take, ec2, server, **specification) == "SandboxCannotTell"


def test_a_stopped_server_can_be_snapshotted(aws, ec2, server):
    aws.servers.stop(server)
    assert len(take(ec2, server)) == 3


def test_a_terminated_server_is_refused(aws, ec2, server):
    aws.servers.terminate(server)
    assert refused(take, ec2, server) == "IncorrectInstanceState"


def test_a_second_set_within_fifteen_seconds_is_refused_without_effect(ec2, server):
    take(ec2, server)
    assert refused(take, ec2, server) == "SnapshotCreationPerVolumeRateExceeded"
    assert len(states(ec2)) == 3
    RULES.skip(15)
    assert len(take(ec2, server)) == 3


def test_a_sixth_snapshot_in_progress_is_refused(ec2, server):
    for _ in range(5):
        RULES.order(server.volumes["C:"], Fate.NEVER_COMPLETES)
        take(ec2, server)
        RULES.skip(15)
    assert refused(take, ec2, server) == "ConcurrentSnapshotLimitExceeded"


def test_a_dry_run_takes_nothing(ec2, server):
    assert refused(take, ec2, server, dry_run=True) == "DryRunOperation"
    assert states(ec2) == []


def test_a_dry_run_looks_at_the_parameters_first(ec2, server):
    excluded = [server.volumes["C:"]]
    assert refused(take, ec2, server, dry_run=True, ExcludeDataVolumeIds=excluded) == "InvalidParameterValue"


def test_one_failing_snapshot_fails_the_whole_set(ec2, server):
    RULES.order(server.volumes["D:"], Fate.ERRS)
    ids = [snapshot["SnapshotId"] for snapshot in take(ec2, server)]
    RULES.skip(1)
    found = ec2.describe_snapshots(SnapshotIds=ids)["Snapshots"]
    assert {(snapshot["State"], snapshot["StateMessage"]) for snapshot in found} == {("error", "The snapshot failed.")}


def test_a_snapshot_can_be_ordered_never_to_complete(ec2, server):
    RULES.order(server.volumes["D:"], Fate.NEVER_COMPLETES)
    take(ec2, server)
    RULES.skip(86_400)
    assert states(ec2) == [("completed", "100%"), ("completed", "100%"), ("pending", "99%")]


def test_a_snapshot_can_be_ordered_to_vanish(ec2, server):
    RULES.order(server.volumes["D:"], Fate.VANISHES)
    snapshots = take(ec2, server)
    RULES.skip(1)
    assert len(states(ec2)) == 2
    ids = [snapshot["SnapshotId"] for snapshot in snapshots]
    assert refused(ec2.describe_snapshots, SnapshotIds=ids) == "InvalidSnapshot.NotFound"


def test_a_new_snapshot_may_stay_hidden_from_lookups_by_tag_only(ec2, server):
    RULES.hidden_lookups = 2
    ids = [snapshot["SnapshotId"] for snapshot in take(ec2, server)]
    assert [len(states(ec2)) for _ in range(3)] == [0, 0, 3]
    assert len(ec2.describe_snapshots(SnapshotIds=ids)["Snapshots"]) == 3


@pytest.mark.parametrize(("asked", "allowed"), [(2, 1000), (1000, 2)])
def test_results_come_in_pages_that_may_be_smaller_than_asked_for(ec2, server, asked, allowed):
    RULES.page_size = allowed
    take(ec2, server)
    pages = ec2.get_paginator("describe_snapshots").paginate(
        Filters=[{"Name": "tag:run", "Values": ["1"]}], PaginationConfig={"PageSize": asked}
    )
    assert [len(page["Snapshots"]) for page in pages] == [2, 1]


def test_pages_of_given_snapshots_are_refused(ec2, server):
    ids = [snapshot["SnapshotId"] for snapshot in take(ec2, server)]
    assert refused(ec2.describe_snapshots, SnapshotIds=ids, MaxResults=5) == "InvalidParameterCombination"
