"""The initial AMI that a backup makes: of the root alone, once, and never at the cost of the backup."""

from datetime import timedelta

import pytest

from sandbox.aws.images import IMAGES
from sandbox.aws.snapshots import RULES
from tests.statemachine.recoveries import assert_recovered, back_up
from tests.statemachine.truth import assert_successful, record_of
from tests.support.factories.policy import a_policy
from tests.support.wire import answer_lost, connection_closed, dies_after, dies_before, refused, unreachable

LOST = [answer_lost, connection_closed, dies_after, dies_before, unreachable]


def images(cloud):
    return cloud.ec2.describe_images(Owners=["self"], Filters=[{"Name": "tag:quiesce:stack", "Values": ["quiesce"]}])[
        "Images"
    ]


def the_image(cloud):
    [image] = images(cloud)
    return image


def pass_days(machine, days):
    machine.clock.now_s += timedelta(days=days).total_seconds()


@pytest.fixture
def renewing(server):
    return {"policy": a_policy(server.instance_id, defaults={"initial_image": {"every_days": 30}})}


def test_the_first_backup_makes_one_of_the_root_alone_and_tags_it(machine, cloud, server, request_for):
    run = machine.start(request_for, "night-1")
    assert_successful(cloud, run, server.instance_id, set(server.volumes.values()))
    image = the_image(cloud)
    assert run.output["initial_image"] == image["ImageId"]
    assert run.output["notes"] == []
    [root] = image["BlockDeviceMappings"]
    assert root["DeviceName"] == "/dev/sda1"
    [snapshot] = cloud.ec2.describe_snapshots(SnapshotIds=[root["Ebs"]["SnapshotId"]])["Snapshots"]
    assert snapshot["VolumeId"] == server.volumes["C:"]
    ours = {"quiesce:stack", "quiesce:policy", "quiesce:owner", "quiesce:instance"}
    assert {t["Key"] for t in image["Tags"]} == {*ours, "quiesce:run"}
    assert {t["Key"] for t in snapshot["Tags"]} == ours


def test_later_backups_leave_it_at_that(machine, cloud, request_for):
    first, second = machine.start(request_for), machine.start(request_for)
    assert first.output["initial_image"] == second.output["initial_image"] == the_image(cloud)["ImageId"]
    assert machine.wire.count("ec2:CreateImage") == 1
    assert machine.wire.count("ec2:DescribeInstances") == 3  # each plan, and the one image


def test_nobody_waits_until_it_is_available(machine, cloud, request_for, monkeypatch):
    monkeypatch.setattr(IMAGES, "creating_s", 86_400.0)
    run = machine.start(request_for)
    assert (run.output["status"], the_image(cloud)["State"]) == ("Successful", "pending")
    assert machine.start(request_for).output["initial_image"] == run.output["initial_image"]
    assert len(images(cloud)) == 1


def test_it_is_made_when_the_application_goes_on_and_its_session_has_ended(machine, cloud, shop, frozen_request):
    asked = []

    def look(request, effect):
        asked.append((shop.application.held, list(shop.application.asked)))
        return effect()

    machine.wire.on("ec2:CreateImage", look)
    assert machine.start(frozen_request).status == "SUCCEEDED"
    assert asked == [(False, ["before", "after 1", "complete 1"])]


@pytest.mark.parametrize("hidden", [0, 99], ids=["listed", "not listed yet"])
@pytest.mark.parametrize("fault", LOST)
def test_a_lost_answer_makes_no_second_image(machine, cloud, server, request_for, monkeypatch, fault, hidden):
    monkeypatch.setattr(IMAGES, "hidden_lookups", hidden)
    machine.wire.on("ec2:CreateImage", fault)
    run = machine.start(request_for)
    assert_successful(cloud, run, server.instance_id, set(server.volumes.values()))
    assert run.output["notes"] == []
    IMAGES.hidden_lookups = 0
    assert len([i for i in cloud.servers.backend().amis.values() if i.instance_id == server.instance_id]) == 1


def test_it_is_renewed_as_often_as_the_policy_says_and_the_old_one_goes_when_the_new_one_is_there(
    machine, cloud, renewing, monkeypatch
):
    monkeypatch.setattr(IMAGES, "creating_s", 3600.0)
    old = machine.start(renewing).output["initial_image"]
    old_snapshot = the_image(cloud)["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    pass_days(machine, 30)
    new = machine.start(renewing).output["initial_image"]
    assert {i["ImageId"]: i["State"] for i in images(cloud)} == {old: "available", new: "pending"}
    pass_days(machine, 1)
    run = machine.start(renewing)
    assert (run.output["initial_image"], run.output["notes"]) == (new, [])
    assert machine.retain().status == "SUCCEEDED"
    assert {i["ImageId"] for i in images(cloud)} == {old, new}, "a recovery may have chosen the old one"
    pass_days(machine, 11)
    before = {s["id"] for s in cloud.snapshots()}
    assert machine.retain().output["problems"] == []
    assert the_image(cloud)["ImageId"] == new
    left = {s.id for s in cloud.servers.backend().snapshots.values()}
    assert old_snapshot not in left
    assert before <= left


@pytest.mark.parametrize("fault", LOST)
def test_an_old_image_that_goes_with_its_answer_lost_is_gone_once(machine, cloud, renewing, fault):
    machine.start(renewing)
    pass_days(machine, 30)
    new = machine.start(renewing).output["initial_image"]
    pass_days(machine, 12)
    machine.wire.on("ec2:DeregisterImage", fault)
    assert machine.retain().output["problems"] == []
    assert the_image(cloud)["ImageId"] == new


def test_an_old_image_stays_while_recovery_points_may_need_it(machine, cloud, renewing):
    """The server was moved to UEFI: its earlier recovery points fit the old image only."""
    old = machine.start(renewing).output["initial_image"]
    pass_days(machine, 30)
    machine.start(renewing)
    new = max(cloud.servers.backend().amis.values(), key=lambda image: image.created_s)
    new.boot_mode = "uefi"
    pass_days(machine, 19)
    machine.retain()
    assert {i["ImageId"] for i in images(cloud)} == {old, new.id}


def test_an_image_of_a_person_is_used_and_never_deregistered(machine, cloud, server, renewing):
    theirs = cloud.servers.add_image("windows")
    tags = {"quiesce:stack": "quiesce", "quiesce:instance": server.instance_id}
    cloud.ec2.create_tags(Resources=[theirs], Tags=[{"Key": key, "Value": value} for key, value in tags.items()])
    assert machine.start(renewing).output["initial_image"] == theirs
    pass_days(machine, 31)
    for _ in range(2):
        made = machine.start(renewing).output["initial_image"]
    pass_days(machine, 9)
    machine.retain()
    assert {i["ImageId"] for i in images(cloud)} == {theirs, made}


def test_one_that_came_to_nothing_is_told_and_made_again(machine, cloud, request_for, monkeypatch):
    monkeypatch.setattr(IMAGES, "fails", True)
    failed = machine.start(request_for).output["initial_image"]
    monkeypatch.setattr(IMAGES, "fails", False)
    run = machine.start(request_for)
    assert run.output["notes"] == [f"the initial AMI {failed} failed; retention deregisters it"]
    machine.retain()
    assert the_image(cloud)["ImageId"] == run.output["initial_image"] != failed


@pytest.mark.parametrize(
    ("call", "fault", "times", "words"),
    [
        ("ec2:CreateImage", refused("UnauthorizedOperation", 403), 1, "AccessDenied: ec2:CreateImage"),
        ("ec2:CreateImage", refused("ResourceLimitExceeded"), 1, "ImageRefused: CreateImage: EC2 refused it"),
        ("ec2:CreateImage", refused("InternalError", 500), 3, "AwsUnavailable: ec2:CreateImage"),
        ("ec2:CreateImage", unreachable, 3, "AwsUnavailable: ec2:CreateImage"),
        ("ec2:CreateImage", dies_before, 3, "Sandbox.Timedout"),
        ("ec2:DescribeImages", refused("RequestLimitExceeded", 503), 3, "AwsThrottled: ec2:DescribeImages"),
        ("ec2:DescribeImages", refused("UnauthorizedOperation", 403), 1, "AccessDenied: ec2:DescribeImages"),
    ],
)
def test_its_failure_is_a_note_and_changes_nothing_of_the_backup(
    machine, cloud, shop, frozen_request, call, fault, times, words
):
    machine.wire.on(call, fault, times=times)
    run = machine.start(frozen_request)
    record = record_of(cloud, run, shop.instance_id)
    assert (run.status, record["status"], record["consistency"]["level"]) == ("SUCCEEDED", "Successful", "application")
    [note] = record["notes"]
    assert note.startswith(f"the initial AMI could not be maintained: {words}")
    assert record["initial_image"] == ""
    assert cloud.mails() == []
    assert images(cloud) == []
    assert cloud.lease(shop.instance_id) is None


def test_an_old_image_that_can_not_go_is_told_and_the_next_day_tries_again(machine, cloud, renewing):
    machine.start(renewing)
    pass_days(machine, 30)
    machine.start(renewing)
    pass_days(machine, 12)
    machine.wire.on("ec2:DeregisterImage", refused("UnauthorizedOperation", 403))
    assert "ec2:DeregisterImage: An error occurred (Unauth" in machine.retain().output["problems"][0]
    assert len(images(cloud)) == 2
    machine.retain()
    assert len(images(cloud)) == 1


def test_ebs_is_given_its_time_between_two_snapshots_of_the_root(machine, cloud, request_for, monkeypatch):
    monkeypatch.setattr(RULES, "volume_interval_s", 15.0)
    monkeypatch.setattr(RULES, "duration_s", 0.0)
    run = machine.start(request_for)
    assert run.output["notes"] == []
    assert machine.wire.count("ec2:CreateImage") == 2
    assert len(images(cloud)) == 1


@pytest.mark.parametrize(
    "defaults", [{"initial_image": "off"}, {"volumes": {"exclude": ["root"]}}], ids=["off", "without the root"]
)
def test_no_image_is_made_or_looked_for_where_none_is_wanted(machine, cloud, server, defaults):
    run = machine.start({"policy": a_policy(server.instance_id, defaults=defaults)})
    assert (run.status, run.output["initial_image"], run.output["notes"]) == ("SUCCEEDED", "", [])
    assert machine.wire.count("ec2:DescribeImages") == 0
    assert images(cloud) == []


def test_a_run_without_good_snapshots_makes_none(machine, cloud, request_for):
    machine.wire.on("ec2:CreateSnapshots", refused("SnapshotLimitExceeded"))
    assert machine.start(request_for).status == "FAILED"
    assert "make_image" in machine.invocations
    assert machine.wire.count("ec2:DescribeImages") == 0


def test_a_recovery_launches_from_it_without_being_told(machine, cloud, server):
    backed = back_up(cloud, machine, server, a_policy(server.instance_id))
    request = {name: value for name, value in backed.request().items() if name != "image_id"}
    recovered = assert_recovered(backed, machine.recover(request))
    assert recovered["ImageId"] == backed.record["initial_image"]


def test_while_it_is_pending_a_recovery_is_told_to_wait(machine, cloud, server, monkeypatch):
    monkeypatch.setattr(IMAGES, "creating_s", 3600.0)
    back_up(cloud, machine, server, a_policy(server.instance_id))
    run = machine.recover({"instance_id": server.instance_id, "at": "latest", "beside_the_old_one": True})
    assert run.error == "RecoveryRefused"
    assert "is pending, not available. Remedy: wait until it is available" in run.cause


def test_a_server_that_its_image_no_longer_fits_gets_another_one_or_its_record_says_so(machine, cloud, request_for):
    """With policy ``once``: if only a recovery reported it, it would be too late for another image."""
    old = machine.start(request_for).output["initial_image"]
    cloud.servers.backend().amis[old].root_device_name = "/dev/xvda"  # the server was moved since
    run = machine.start(request_for)
    assert run.output["initial_image"] != old or run.output["notes"] != []


def test_an_image_that_took_the_data_volumes_too_is_noted_and_a_recovery_gets_along_with_it(
    machine, cloud, server, monkeypatch
):
    monkeypatch.setattr(IMAGES, "ignores_no_device", True)
    for drive, volume_id in server.volumes.items():
        cloud.servers.content(volume_id).write("what.txt", f"this is {drive}")
    backed = back_up(cloud, machine, server, a_policy(server.instance_id))
    assert backed.record["notes"] == []  # it is not available yet
    assert len(the_image(cloud)["BlockDeviceMappings"]) == 3
    run = machine.start({"policy": a_policy(server.instance_id), "instance_id": server.instance_id})
    [note] = run.output["notes"]
    assert note.startswith(f"the initial AMI {backed.record['initial_image']} holds xvdf, xvdg besides the root")
    assert (run.output["status"], machine.wire.count("ec2:CreateImage")) == ("Successful", 1)
    request = {name: value for name, value in backed.request().items() if name != "image_id"}
    assert_recovered(backed, machine.recover(request))


def test_a_recovery_finds_its_image_by_id_also_if_it_is_deprecated(machine, cloud, server):
    asked = []

    def look(request, effect):
        asked.append(request.body)
        return effect()

    backed = back_up(cloud, machine, server, a_policy(server.instance_id))
    machine.wire.on("ec2:DescribeImages", look)
    assert_recovered(backed, machine.recover(backed.request()))
    assert f"ImageId.1={backed.image_id}" in str(asked[0])
    assert "IncludeDeprecated=true" in str(asked[0])
    assert "Filter" not in str(asked[0])
