"""The plan of a recovery: which volume it makes from which snapshot, at which device; and its obstacles."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiesce.errors import RecoveryRefused
from quiesce.points.image import FoundImage
from quiesce.points.parts import Consistency
from quiesce.points.point import PointCopy, PointShadow
from quiesce.recovery.account import recovered
from quiesce.recovery.describing import describe
from quiesce.recovery.flaws import FoundSnapshot
from quiesce.recovery.obstacles import FoundSubnet, choose_image, choose_subnet, obstacles
from quiesce.recovery.requests import launch_request
from tests.support.factories.recovery import (
    GROUP,
    IMAGE,
    SUBNET,
    VPC,
    a_point,
    a_recovery_plan,
    a_source,
    all_found,
    an_ending,
    an_image,
)
from tests.support.factories.run import a_volume, snapshot_id

TYPES = ["gp2", "gp3", "io1", "io2", "st1", "sc1", "standard"]
layouts = st.lists(st.tuples(st.sampled_from(TYPES), st.integers(1, 99), st.booleans()), min_size=1, max_size=20)


@given(layouts, st.randoms(use_true_random=False))
def test_each_volume_comes_back_at_its_device_from_its_snapshot_as_it_was(layout: list[Any], chance: Any) -> None:
    volumes = [
        a_volume(n, volume_type=kind, iops=100 * size, throughput_mibps=size, delete_on_termination=ends)
        for n, (kind, size, ends) in enumerate(layout)
    ]
    point = a_point(of_volumes=volumes)
    shuffled = list(point.snapshots)
    chance.shuffle(shuffled)
    plan = a_recovery_plan(point.model_copy(update={"snapshots": shuffled}))
    planned = {v.device: (v.snapshot_id, v.volume_type, v.delete_on_termination, v.root) for v in plan.volumes}
    assert planned == {
        v.device: (snapshot_id(n), v.volume_type, v.delete_on_termination, n == 0) for n, v in enumerate(volumes)
    }
    assert plan.root_device == volumes[0].device


@pytest.mark.parametrize(
    ("volume_type", "passed"),
    [("gp2", (None, None)), ("gp3", (4000, 250)), ("io1", (4000, None)), ("io2", (4000, None)), ("st1", (None, None))],
)
def test_iops_and_throughput_are_asked_for_where_ec2_takes_them(volume_type: str, passed: Any) -> None:
    """EC2 describes the IOPS of a gp2 volume, but refuses a request for one with IOPS."""
    volume = a_volume(volume_type=volume_type, iops=4000, throughput_mibps=250)
    [planned] = a_recovery_plan(a_point(of_volumes=[volume])).volumes
    assert (planned.iops, planned.throughput_mibps) == passed


def test_another_type_does_not_inherit_the_numbers_of_the_old_one() -> None:
    volume = a_volume(volume_type="io2", iops=64_000)
    overrides = {"volumes": {"/dev/sda1": {"volume_type": "gp3"}}}
    [planned] = a_recovery_plan(a_point(of_volumes=[volume]), overrides=overrides).volumes
    assert (planned.volume_type, planned.iops) == ("gp3", None)


def test_what_the_input_wants_otherwise_stands_over_what_the_source_had() -> None:
    overrides = {
        "subnet_id": "subnet-11111111",
        "security_group_ids": ["sg-11111111"],
        "instance_type": "t3.small",
        "key_name": "others",
        "instance_profile_arn": "arn:aws:iam::123456789012:instance-profile/x",
        "private_ip": "10.0.0.7",
        "tags": {"Drill": "yes"},
    }
    plan = a_recovery_plan(overrides=overrides)
    assert {name: getattr(plan, name) for name in overrides} == overrides
    same = a_recovery_plan()
    assert (same.subnet_id, same.instance_type, same.key_name) == (SUBNET, "m5.large", "admins")


@pytest.mark.parametrize("field", ["key_name", "instance_profile_arn"])
def test_what_the_input_empties_the_server_does_not_get(field: str) -> None:
    """The key pair may be gone, and a drill may be meant to run without the role of the server that it copies."""
    source = a_source(key_name="admins", instance_profile_arn="arn:aws:iam::123456789012:instance-profile/x")
    both = a_recovery_plan(a_point(source=source))
    emptied = a_recovery_plan(a_point(source=source), overrides={field: ""})
    assert emptied == both.model_copy(update={field: None})
    asked = launch_request(emptied, "quiesce", ["sg-0123456789abcdef0"])
    argument = {"key_name": "KeyName", "instance_profile_arn": "IamInstanceProfile"}[field]
    assert launch_request(both, "quiesce", ["sg-0123456789abcdef0"]).keys() - asked.keys() == {argument}
    words = {"key_name": "key none", "instance_profile_arn": "profile none"}[field]
    assert words in describe(emptied)[0]
    assert words not in describe(both)[0]


def test_a_recovery_point_without_the_root_is_refused() -> None:
    with pytest.raises(RecoveryRefused, match="no snapshot of the root volume: no server can boot from it"):
        a_recovery_plan(a_point(of_volumes=[a_volume(1), a_volume(2)]))


@pytest.mark.parametrize(
    ("field", "changes"),
    [("instance_type", {"instance_type": ""}), ("subnet_id", {"subnet_id": ""}), ("security_group_ids", None)],
)
def test_what_is_neither_recorded_nor_asked_for_is_named(field: str, changes: dict[str, str] | None) -> None:
    source = a_source(**(changes or {"security_group_ids": []}))
    with pytest.raises(RecoveryRefused, match=rf"overrides\.{field}: is neither in the recovery point's record"):
        a_recovery_plan(a_point(source=source))


def test_a_record_of_an_older_version_asks_for_everything_it_did_not_keep() -> None:
    with pytest.raises(RecoveryRefused, match="Remedy: add it to the input"):
        a_recovery_plan(a_point(source=None))


def test_an_override_for_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(
        RecoveryRefused, match=r"xvdz is no device of the recovery point\. Remedy: write one of /dev/sda1"
    ):
        a_recovery_plan(overrides={"volumes": {"xvdz": {"iops": 3000}}})


def test_a_snapshot_of_an_unknown_device_is_not_left_out_in_silence() -> None:
    point = a_point()
    blind = [*point.snapshots, point.snapshots[0].model_copy(update={"volume": None})]
    plan = a_recovery_plan(point.model_copy(update={"snapshots": blind}))
    snapshot_id = point.snapshots[0].snapshot_id
    assert plan.left_aside == [snapshot_id]
    assert any(f"Leave {snapshot_id} aside: its volume was attached while the backup ran." in s for s in describe(plan))


def test_a_recovery_point_that_knows_no_device_is_refused() -> None:
    point = a_point()
    blind = [snapshot.model_copy(update={"volume": None}) for snapshot in point.snapshots]
    with pytest.raises(RecoveryRefused, match="does not say for each snapshot at which device"):
        a_recovery_plan(point.model_copy(update={"snapshots": blind}))


def test_the_dry_run_says_everything_in_its_order() -> None:
    volumes = [a_volume(0, iops=3000, throughput_mibps=125, delete_on_termination=True), a_volume(1, volume_type="st1")]
    assert describe(a_recovery_plan(a_point(of_volumes=volumes))) == [
        f"1. Launch m5.large from {IMAGE} in {SUBNET}, key admins, profile none, "
        "into a security group without traffic.",
        "2. Stop it as soon as it runs.",
        f"3. Create a volume of 8 GiB, gp3, 3000 IOPS, 125 MiB/s from {snapshot_id(0)}.",
        f"4. Create a volume of 8 GiB, st1 from {snapshot_id(1)}.",
        "5. Detach the image's own volume from /dev/sda1; it is deleted at the end.",
        f"6. Attach the volume from {snapshot_id(0)} at /dev/sda1, deleted with the server.",
        f"7. Attach the volume from {snapshot_id(1)} at xvdb, kept when the server is terminated.",
        f"8. Give it the security groups {GROUP}, and start it.",
        "9. Wait until Systems Manager hears from it.",
    ]


SHADOW = PointShadow(good=True, copies=[PointCopy(path="D:", shadow_id="{1}"), PointCopy(path="", shadow_id="{2}")])


def test_whoever_recovers_hears_that_the_consistent_state_is_in_the_shadow_copies() -> None:
    consistent = Consistency(level="application", reason="VSS")
    plan = a_recovery_plan(a_point().model_copy(update={"shadow": SHADOW, "consistency": consistent}), revert="off")
    assert "as after a power failure" in describe(plan)[-1]
    assert "(D: {1}, {2})" in describe(plan)[-1]
    assert plan.caution in recovered(an_ending(), plan, "i-1", []).consistency


@pytest.mark.parametrize(
    ("level", "shadow"),
    [("crash", SHADOW), ("application", None), ("application", SHADOW.model_copy(update={"good": False}))],
)
def test_and_nothing_of_it_where_there_is_no_such_state(level: str, shadow: PointShadow | None) -> None:
    consistency = Consistency.model_validate({"level": level, "reason": "so"})
    plan = a_recovery_plan(a_point().model_copy(update={"shadow": shadow, "consistency": consistency}))
    assert plan.caution == ""
    assert "power failure" not in " ".join(describe(plan))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"snapshots": {}}, f"the snapshot {snapshot_id(0)} of /dev/sda1 was deleted"),
        ({"snapshots": {snapshot_id(0): FoundSnapshot("error", "standard")}}, "is in error"),
        ({"image": None}, f"{IMAGE} does not exist, or was deregistered"),
        ({"image": an_image(state="pending")}, "is pending, not available. Remedy: wait until it is available, or"),
        ({"image": an_image(root_device="/dev/xvda")}, "has its root at /dev/xvda, not /dev/sda1"),
        ({"image": an_image(architecture="arm64")}, "is for arm64, not x86_64"),
        ({"image": an_image(boot_mode="uefi")}, "boots by uefi, not legacy-bios"),
        ({"image": an_image(platform="")}, "is of platform Linux, not windows"),
        ({"subnet": None}, f"{SUBNET} does not exist any more. Remedy: name another subnet"),
        ({"group_vpcs": {}}, f"{GROUP} does not exist any more. Remedy: name groups of vpc-1"),
        ({"group_vpcs": {GROUP: "vpc-2"}}, f"{GROUP} is in vpc-2, and {SUBNET} in vpc-1"),
    ],
)
def test_what_ec2_no_longer_has_is_said_with_its_remedy(changes: dict[str, Any], words: str) -> None:
    plan = a_recovery_plan(a_point(volumes=1))
    [obstacle] = obstacles(plan, all_found(plan, **changes))
    assert words in str(obstacle)


@pytest.mark.parametrize("image", [an_image(), an_image(boot_mode="uefi-preferred"), an_image(boot_mode="legacy-bios")])
def test_nothing_stands_in_the_way_where_everything_is_found(image: FoundImage) -> None:
    plan = a_recovery_plan()
    assert obstacles(plan, all_found(plan, image=image)) == []


def test_every_obstacle_is_said_at_once() -> None:
    plan = a_recovery_plan()
    found = all_found(plan, snapshots={}, image=None, subnet=FoundSubnet(SUBNET, "eu-west-1a", "vpc-9"))
    assert len(obstacles(plan, found)) == 4


def test_of_several_images_the_latest_that_fits_is_launched() -> None:
    """Older images remain for recovery points that boot in another way than the newer ones."""
    images = [
        an_image("ami-2", days=20),
        an_image("ami-1", days=30),
        an_image("ami-3", days=10, boot_mode="uefi"),
        an_image("ami-4", state="pending"),
    ]
    assert choose_image(images, a_point()) == "ami-2"


def test_where_no_image_fits_the_latest_is_named_to_say_why() -> None:
    point, images = a_point(), [an_image("ami-1", days=1, boot_mode="uefi"), an_image("ami-2", boot_mode="uefi")]
    assert choose_image(images, point) == "ami-2"
    assert choose_image([], point) is None


SUBNETS = [FoundSubnet("subnet-1", "eu-west-1b", VPC), FoundSubnet("subnet-2", "eu-west-1c", VPC)]


def test_a_zone_means_the_vpcs_only_subnet_there() -> None:
    elsewhere = FoundSubnet("subnet-9", "eu-west-1c", "vpc-9")
    assert choose_subnet("eu-west-1c", VPC, [elsewhere, *SUBNETS]) == "subnet-2"


@pytest.mark.parametrize(
    ("subnets", "words"),
    [
        ([], "vpc-1 has no subnet in eu-west-1c; it has none at all"),
        (SUBNETS[:1], "vpc-1 has no subnet in eu-west-1c; it has subnet-1 in eu-west-1b"),
        (
            [*SUBNETS, FoundSubnet("subnet-0", "eu-west-1c", VPC)],
            "vpc-1 has 2 subnets in eu-west-1c: subnet-0, subnet-2",
        ),
    ],
)
def test_a_zone_without_a_subnet_or_with_several_is_a_persons_choice(subnets: Any, words: str) -> None:
    with pytest.raises(RecoveryRefused) as refused:
        choose_subnet("eu-west-1c", VPC, subnets)
    assert words in str(refused.value)
    assert "overrides.subnet_id" in str(refused.value)


def test_a_subnet_in_another_zone_than_the_one_that_was_asked_for_is_told() -> None:
    plan = a_recovery_plan()
    [obstacle] = obstacles(plan, all_found(plan), "eu-west-1c")
    assert f"{SUBNET} is in eu-west-1a, not in eu-west-1c" in str(obstacle)
    assert obstacles(plan, all_found(plan), "eu-west-1a") == []
