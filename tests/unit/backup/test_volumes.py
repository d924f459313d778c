"""Which volumes a policy selects, and why each other one is left out."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiesce.backup.volumes import MAX_EXCLUDED_DATA_VOLUMES, AttachedVolume, select
from quiesce.errors import PolicyRefused, ServerRefused
from quiesce.policy.parts import VolumeChoice
from tests.support.factories.run import an_attached_volume, volume_id

ROLES = ("data", "logs", "scratch")
SERVER = [an_attached_volume(0), an_attached_volume(1, {"Role": "data"}), an_attached_volume(2, {"Role": "scratch"})]


def server(volumes: int) -> list[AttachedVolume]:
    return [an_attached_volume(n, device=f"xvd{n}" if n else "/dev/sda1") for n in range(volumes)]


servers = st.lists(st.sampled_from(ROLES), min_size=1, max_size=6).map(
    lambda roles: [an_attached_volume(number, {"Role": role}) for number, role in enumerate(roles)]
)
selectors = st.lists(
    st.sampled_from(
        ["root", "/dev/sda1", "xvdb", "xvdf", volume_id(2), volume_id(9), *(f"tag:Role={r}" for r in ROLES)]
    ),
    min_size=1,
    max_size=4,
)
choices = (
    st.just(VolumeChoice())
    | selectors.map(lambda s: VolumeChoice(include=s))
    | selectors.map(lambda s: VolumeChoice(exclude=s))
)


def chosen_devices(attached: Sequence[AttachedVolume], **choice: list[str]) -> list[str]:
    return [v.device for v in select(attached, VolumeChoice(**choice)).chosen]


@given(servers, choices)
def test_each_volume_is_either_chosen_or_left_out_with_a_reason(
    attached: list[AttachedVolume], choice: VolumeChoice
) -> None:
    try:
        selection = select(attached, choice)
    except PolicyRefused:
        return
    chosen = [v.volume_id for v in selection.chosen]
    excluded = [e.volume_id for e in selection.excluded]
    assert sorted(chosen + excluded) == sorted(a.volume.volume_id for a in attached)
    assert chosen
    assert all(e.reason for e in selection.excluded)


@given(servers, selectors)
def test_including_and_excluding_the_same_are_opposites(attached: list[AttachedVolume], named: list[str]) -> None:
    try:
        included, excluding = (
            select(attached, VolumeChoice(include=named)),
            select(attached, VolumeChoice(exclude=named)),
        )
    except PolicyRefused:
        return
    assert [v.volume_id for v in included.chosen] == [e.volume_id for e in excluding.excluded]


@given(servers, choices)
def test_the_root_of_what_is_left_out_is_told_from_data(attached: list[AttachedVolume], choice: VolumeChoice) -> None:
    roots = {a.volume.volume_id for a in attached if a.volume.root}
    try:
        excluded = select(attached, choice).excluded
    except PolicyRefused:
        return
    assert all(e.root == (e.volume_id in roots) for e in excluded)


def test_all_volumes_are_chosen_in_their_order_where_nothing_is_said() -> None:
    selection = select(SERVER, VolumeChoice())
    assert ([v.device for v in selection.chosen], selection.excluded, selection.notes) == (
        ["/dev/sda1", "xvdb", "xvdc"],
        [],
        [],
    )


@pytest.mark.parametrize(
    ("selector", "device"),
    [
        ("root", "/dev/sda1"),
        ("xvdb", "xvdb"),
        (volume_id(2), "xvdc"),
        ("tag:Role=scratch", "xvdc"),
        ("/dev/sda1", "/dev/sda1"),
    ],
)
def test_each_kind_of_selector_finds_its_volume(selector: str, device: str) -> None:
    assert chosen_devices(SERVER, include=[selector]) == [device]
    assert device not in chosen_devices(SERVER, exclude=[selector])


def test_a_tag_selector_takes_the_whole_value_and_a_missing_tag_is_no_empty_one() -> None:
    attached = [an_attached_volume(0), an_attached_volume(1, {"Role": "a=b"}), an_attached_volume(2, {"Role": ""})]
    assert chosen_devices(attached, include=["tag:Role=a=b"]) == ["xvdb"]
    assert chosen_devices(attached, include=["tag:Role="]) == ["xvdc"]


def test_the_reason_names_the_selector_that_left_a_volume_out() -> None:
    by_exclude = select(SERVER, VolumeChoice(exclude=["tag:Role=scratch", "xvdc"])).excluded
    by_include = select(SERVER, VolumeChoice(include=["root", "xvdb"])).excluded
    assert [e.reason for e in by_exclude] == ["volumes.exclude: tag:Role=scratch"]
    assert [e.reason for e in by_include] == ["not in volumes.include"]


def test_an_exclude_that_fits_nothing_is_noted_and_backs_up_more() -> None:
    selection = select(SERVER, VolumeChoice(exclude=["xvdz", "root"]))
    assert [v.device for v in selection.chosen] == ["xvdb", "xvdc"]
    assert selection.notes == ["volumes.exclude: xvdz fits no volume of the server; nothing was left out for it"]


def test_an_include_that_fits_nothing_is_refused_even_beside_one_that_does() -> None:
    with pytest.raises(PolicyRefused) as refused:
        select(SERVER[:2], VolumeChoice(include=["root", "xvdz", "tag:Role=logs"]))
    assert str(refused.value) == (
        f"volumes.include: xvdz, tag:Role=logs fits no volume of the server "
        f"(/dev/sda1 {volume_id(0)}, xvdb {volume_id(1)}). Remedy: correct it."
    )


def test_excluding_everything_is_refused_with_the_volumes_named() -> None:
    with pytest.raises(PolicyRefused) as refused:
        select(SERVER[:1], VolumeChoice(exclude=["root"]))
    assert str(refused.value) == (
        f"volumes.exclude: leaves no volume of /dev/sda1 {volume_id(0)} to back up. "
        "Remedy: leave at least one volume in."
    )


def test_a_server_without_ebs_volumes_is_refused() -> None:
    with pytest.raises(ServerRefused, match="the server has no EBS volume"):
        select([], VolumeChoice())


@pytest.mark.parametrize("choice", [VolumeChoice(include=["root"]), VolumeChoice(include=["root", volume_id(1)])])
def test_as_many_data_volumes_are_left_out_as_ec2_can_leave_out(choice: VolumeChoice) -> None:
    more = len(choice.include or []) - 1
    assert len(select(server(41 + more), choice).excluded) == MAX_EXCLUDED_DATA_VOLUMES
    with pytest.raises(PolicyRefused) as refused:
        select(server(42 + more), choice)
    assert str(refused.value) == (
        "volumes.include: leaves out 41 data volumes; EC2 can leave out 40 of one server. "
        "Remedy: leave out fewer, or move them to another server."
    )


def test_the_root_does_not_count_among_the_left_out_data_volumes() -> None:
    attached = server(42)
    named = ["root", *(volume_id(n) for n in range(1, 41))]
    assert len(select(attached, VolumeChoice(exclude=named)).excluded) == 41
