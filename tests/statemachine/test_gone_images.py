"""Recoveries of a server whose initial AMI is gone: what is launched instead, and that it is said."""

import pytest

from tests.statemachine.recoveries import assert_recovered

PARAMETER = "/aws/service/ami-windows-latest/Windows_Server-2022-English-Full-Base"


@pytest.fixture
def gone(backed):
    """The same server, without an initial AMI; returns the input of a recovery that names no image."""
    backed.cloud.ec2.deregister_image(ImageId=backed.record["initial_image"])
    return {name: value for name, value in backed.request().items() if name != "image_id"}


@pytest.fixture
def at_launch(backed):
    """The image that the server was once launched from, which fits unless a test changes it."""
    image = backed.cloud.servers.backend().amis[backed.record["source"]["image_id"]]
    image.platform, image.architecture, image.root_device_name = "windows", "x86_64", "/dev/sda1"
    image.usage_operation = "RunInstances:0002"
    return image


def test_the_image_that_the_server_was_launched_from_stands_in_and_is_said(backed, gone, at_launch, cloud):
    run = backed.machine.recover(gone)
    assert assert_recovered(backed, run)["ImageId"] == at_launch.id
    note = (
        "the server has no initial AMI (any more): it is launched from "
        f"{at_launch.id}, the image that the server was once launched from ({at_launch.id})"
    )
    assert run.output["notes"][0] == note
    assert f"Note:        {note}" in cloud.mails()[-1][1].splitlines()


@pytest.fixture
def public(backed, cloud):
    """AWS's public image of the server's Windows."""
    item = cloud.items()[backed.server.instance_id, "run#night-1"]
    known = item["record"].replace('"windows":""', '"windows":"Microsoft Windows Server 2022 Datacenter 10.0.20348"')
    values = {":r": {"S": known}}
    key = {"pk": {"S": backed.server.instance_id}, "sk": {"S": "run#night-1"}}
    cloud.dynamodb.update_item(
        TableName="quiesce-table",
        Key=key,
        UpdateExpression="SET #r = :r",
        ExpressionAttributeNames={"#r": "record"},
        ExpressionAttributeValues=values,
    )
    cloud.run_command.parameters[PARAMETER] = backed.image_id
    return backed.image_id


def test_if_that_is_gone_too_awss_public_image_of_that_windows_stands_in(backed, gone, at_launch, public, cloud):
    cloud.ec2.deregister_image(ImageId=at_launch.id)
    run = backed.machine.recover(gone)
    assert assert_recovered(backed, run)["ImageId"] == public
    assert run.output["notes"][0].endswith(f"from {public}, AWS's public image of that Windows ({PARAMETER})")


def test_another_licence_is_never_chosen_and_is_asked_for_by_its_field(backed, gone, at_launch, public):
    for image_id in (at_launch.id, public):
        backed.cloud.servers.backend().amis[image_id].usage_operation = "RunInstances:0800"
    run = backed.machine.recover(gone)
    assert (run.status, run.error) == ("FAILED", "RecoveryRefused")
    assert (
        "image_id: the server has no initial AMI (any more); the image that the server was once launched" in run.cause
    )
    assert run.cause.count("has the licence (UsageOperation) RunInstances:0800, not RunInstances:0002") == 2
    assert "Remedy: name an image of its Windows and licence in image_id" in run.cause
    assert_recovered(backed, backed.recover())
