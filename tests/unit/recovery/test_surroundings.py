"""What is around a recovered server, and the limits of volumes and types: problems and notes before the launch."""

from typing import Any

import pytest

from quiesce.recovery.obstacles import FoundSubnet
from quiesce.recovery.surroundings import (
    Holder,
    OtherServer,
    Surroundings,
    awaits_status_checks,
    notes_around,
    problems_around,
)
from quiesce.recovery.volume_rules import InstanceTypeLimits, attachment_problems, cpu_options, volume_problems
from tests.support.factories.recovery import SUBNET, VPC, a_point, a_recovery_plan, a_request, a_source
from tests.support.factories.run import INSTANCE, a_volume

PLACE = FoundSubnet(SUBNET, "eu-west-1a", VPC, "10.0.1.0/24")
OLD = OtherServer(INSTANCE, "running", VPC, "10.0.1.17")


def around(**changes: Any) -> Surroundings:
    return Surroundings(**{"old": None, "clones": (), "holder": None, "reaches_out": True, **changes})


def planned(point: Any = None, **fields: Any) -> Any:
    return a_recovery_plan(point, **fields).model_copy(update={"vpc_id": VPC, "zone": "eu-west-1a"})


def problems(surroundings: Surroundings, **fields: Any) -> list[str]:
    return [str(p) for p in problems_around(planned(**fields), a_request(**fields), PLACE, surroundings)]


@pytest.mark.parametrize("state", ["running", "pending"])
def test_the_old_server_running_in_the_same_vpc_is_a_problem_until_the_input_wants_both(state: str) -> None:
    old = around(old=OtherServer(INSTANCE, state, VPC))
    [problem] = problems(old)
    assert problem.startswith(
        f"beside_the_old_one: the old server FILES01 ({INSTANCE}) is {state} in the same VPC {VPC}"
    )
    assert 'or write "beside_the_old_one": true if you want both.' in problem
    assert problems(old, beside_the_old_one=True) == []


@pytest.mark.parametrize(
    "old", [None, OtherServer(INSTANCE, "stopped", VPC), OtherServer(INSTANCE, "running", "vpc-2")]
)
def test_it_is_none_where_the_two_do_not_meet(old: Any) -> None:
    assert problems(around(old=old)) == []


@pytest.mark.parametrize(
    ("old", "words"),
    [
        (None, f"the old server FILES01 ({INSTANCE}) does not exist any more"),
        (OLD, f"the old server FILES01 ({INSTANCE}) is running in the same VPC, and holds 10.0.1.17"),
        (
            OtherServer(INSTANCE, "stopped", "vpc-2"),
            f"the old server FILES01 ({INSTANCE}) is stopped in another VPC (vpc-2)",
        ),
    ],
)
def test_the_plan_says_how_the_old_server_is(old: Any, words: str) -> None:
    assert notes_around(planned(), a_point(), around(old=old)) == [words]


def test_earlier_recoveries_of_it_are_counted_and_named() -> None:
    clones = [OtherServer(f"i-{n}", "running", VPC, recovery_id=f"drill-{n}") for n in range(7)]
    [_, note] = notes_around(planned(), a_point(), around(clones=clones))
    assert note.startswith("7 earlier recoveries of it exist: i-0 (running, drill-0), ")
    assert note.endswith("i-4 (running, drill-4) and 2 more")


@pytest.mark.parametrize(
    ("wanted", "holder", "words"),
    [
        (
            "10.0.2.7",
            None,
            f"10.0.2.7 is outside of {SUBNET} (10.0.1.0/24). Remedy: name a free address of {SUBNET} (10.0.1",
        ),
        ("10.0.1.3", None, "EC2 keeps 10.0.1.3, as the first four and the last of each subnet. "),
        ("10.0.1.255", None, "EC2 keeps 10.0.1.255, as the first four and the last of each subnet. "),
        ("999.0.1.3", None, "999.0.1.3 is no IPv4 address. "),
        ("10.0.1.17", Holder("eni-1", "i-9", "ELB app/web"), "10.0.1.17 is taken by i-9, by eni-1 (ELB app/web). "),
        ("10.0.1.17", Holder("eni-1", "", ""), "10.0.1.17 is taken by eni-1. "),
        (
            "10.0.1.17",
            Holder("eni-1", INSTANCE, ""),
            "It is the old server: terminate it first, since a stopped one keeps",
        ),
    ],
)
def test_an_address_that_cannot_be_had_is_told_and_by_whom_it_is_taken(wanted: str, holder: Any, words: str) -> None:
    [problem] = problems(around(holder=holder), overrides={"private_ip": wanted})
    assert problem.startswith("overrides.private_ip: ")
    assert words in problem


def test_a_free_address_is_no_problem() -> None:
    assert problems(around(), overrides={"private_ip": "10.0.1.17"}) == []


@pytest.mark.parametrize("year", ["2016", "2019"])
def test_old_windows_in_another_subnet_is_told_and_the_status_checks_decide(year: str) -> None:
    point = a_point(windows=f"Microsoft Windows Server {year} Datacenter 10.0.17763")
    plan = planned(point, overrides={"subnet_id": "subnet-11111111"})
    [_, note] = notes_around(plan, point, around())
    assert note == (
        f"Windows Server {year} keeps its routes to the metadata service through the gateway of the old subnet "
        "(EC2Launch v1), so that Systems Manager may never hear from it in subnet-11111111; "
        "EC2's status checks decide whether it is recovered"
    )
    assert awaits_status_checks(plan, point, around())
    assert not awaits_status_checks(planned(point), point, around())


@pytest.mark.parametrize("windows", ["", "Microsoft Windows Server 2022 Datacenter 10.0.20348"])
def test_later_windows_finds_its_way_in_another_subnet(windows: str) -> None:
    point = a_point(windows=windows)
    assert not awaits_status_checks(planned(point, overrides={"subnet_id": "subnet-11111111"}), point, around())


def test_a_subnet_without_a_way_to_systems_manager_is_named_and_the_status_checks_decide() -> None:
    point = a_point()
    [_, note] = notes_around(planned(), point, around(reaches_out=False))
    assert note.startswith(
        f"{SUBNET} has no way to Systems Manager: no route leads out of its VPC, and the VPC has no "
    )
    assert awaits_status_checks(planned(), point, around(reaches_out=False))
    assert "decide" not in notes_around(planned(agent="none"), point, around(reaches_out=False))[1]


def volumes(root: Any = None, data: Any = None, root_gib: int = 8) -> list[str]:
    point = a_point(of_volumes=[a_volume(0, size_gib=root_gib), a_volume(1, size_gib=8)])
    sized = [s.model_copy(update={"size_gib": s.volume.size_gib}) for s in point.snapshots if s.volume]
    changed = {device: wanted for device, wanted in (("/dev/sda1", root), ("xvdb", data)) if wanted}
    fields = {"overrides": {"volumes": changed}}
    plan = a_recovery_plan(point.model_copy(update={"snapshots": sized}), **fields)
    return [str(p) for p in volume_problems(plan, a_request(**fields))]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (
            {"root": {"volume_type": "st1"}, "root_gib": 200},
            "volumes./dev/sda1.volume_type: no server boots from st1. Remedy: choose one of gp2, gp3, io1",
        ),
        (
            {"data": {"volume_type": "io2"}},
            "overrides.volumes.xvdb.iops: io2 needs IOPS, and neither the input nor the recovery point has any for it. "
            "Remedy: add iops, 100 to 8000 for its size.",
        ),
        (
            {"data": {"volume_type": "gp2", "throughput_mibps": 200}},
            "gp2 takes no throughput. Remedy: leave it out, or choose",
        ),
        (
            {"data": {"volume_type": "gp2", "iops": 4000}},
            "gp2 takes no IOPS. Remedy: leave it out, or choose one of gp3, io1, ",
        ),
        ({"data": {"volume_type": "st1"}}, "st1 has 125 to 16384 GiB, and the volume 8. Remedy: choose another type."),
        (
            {"data": {"volume_type": "io1", "iops": 4000}},
            "io1 of 8 GiB takes 100 to 400 IOPS, not 4000. Remedy: write a n",
        ),
        ({"data": {"volume_type": "gp3", "iops": 200}}, "gp3 of 8 GiB takes 3000 to 4000 IOPS, not 200. "),
        (
            {"data": {"volume_type": "gp3", "throughput_mibps": 1000}},
            "gp3 needs 4 IOPS for each MiB/s, which is 4000 here. ",
        ),
    ],
)
def test_what_a_volume_type_does_not_take_is_told_before_the_launch(wanted: dict[str, Any], words: str) -> None:
    [problem] = volumes(**wanted)
    assert words in problem


@pytest.mark.parametrize(
    "data",
    [
        {"volume_type": "gp3"},
        {"volume_type": "gp3", "iops": 3000, "throughput_mibps": 750},
        {"volume_type": "io2", "iops": 8000},
        {"volume_type": "gp2"},
        None,
    ],
)
def test_what_a_volume_type_takes_is_no_problem(data: Any) -> None:
    assert volumes(data=data) == []


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (None, "overrides.instance_type: EC2 knows no instance type m5.large in this Region. "),
        (
            InstanceTypeLimits(27, on_xen=False),
            "m5.large takes 27 volumes, and the server had 28. Remedy: name a type that",
        ),
        (InstanceTypeLimits(40, on_xen=True), "m5.large takes 26 volumes, and the server had 28. "),
        (InstanceTypeLimits(None, on_xen=True), "m5.large takes 26 volumes, and the server had 28. "),
    ],
)
def test_more_volumes_than_the_instance_type_takes_are_told_before_the_launch(limits: Any, words: str) -> None:
    [problem] = attachment_problems(a_recovery_plan(a_point(volumes=28)), limits)
    assert words in str(problem)


@pytest.mark.parametrize("limits", [InstanceTypeLimits(28, on_xen=False), InstanceTypeLimits(None, on_xen=False)])
def test_as_many_as_it_takes_are_no_problem(limits: InstanceTypeLimits) -> None:
    assert list(attachment_problems(a_recovery_plan(a_point(volumes=28)), limits)) == []


OWN = {"CoreCount": 1, "ThreadsPerCore": 2}
LIMITED = {"CoreCount": 1, "ThreadsPerCore": 1}


@pytest.mark.parametrize(
    ("recorded", "instance_type", "own", "taken"),
    [
        (LIMITED, "m5.large", OWN, LIMITED),
        (OWN, "m5.large", OWN, {}),
        (LIMITED, "m7i.large", OWN, {}),
        ({}, "m5.large", OWN, {}),
        # EC2 takes none for a type of which it tells none.
        (LIMITED, "m5.metal", {}, {}),
    ],
    ids=["changed", "those of the type", "another type", "not recorded", "a type without"],
)
def test_the_launch_takes_recorded_cpu_options_that_are_not_those_of_the_type(
    recorded: dict[str, int], instance_type: str, own: dict[str, int], taken: dict[str, int]
) -> None:
    was = "m5.metal" if instance_type == "m5.metal" else "m5.large"
    point = a_point(source=a_source(instance_type=was, cpu_options=recorded))
    plan = a_recovery_plan(point, overrides={"instance_type": instance_type})
    assert cpu_options(plan, point, InstanceTypeLimits(27, on_xen=False, cpu_options=own)) == taken
