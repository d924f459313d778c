"""The policy's fields, their bounds, and how a target's settings stand over the defaults."""

import re

import pytest
from pydantic import ValidationError

from quiesce import tags
from quiesce.bucket import record_key
from quiesce.policy import Policy, TargetSettings, VolumeChoice
from quiesce.run import RUN_ID, identify
from tests.unit.factories import INSTANCE, a_policy, a_policy_document, an_execution, volume_id

LONGEST_NAME = "A" + "z" * 39
OTHER = "i-0fedcba9876543210"


def refusal_of(**changes: object) -> str:
    with pytest.raises(ValidationError) as refused:
        a_policy(**changes)
    return str(refused.value)


@pytest.mark.parametrize("name", ["a", "9", "SERVER1_policy", "files-nightly", LONGEST_NAME])
def test_a_name_is_kept_as_it_was_written(name: str) -> None:
    assert a_policy(name=name).name == name


@pytest.mark.parametrize(
    "name", ["", "-a", "_a", LONGEST_NAME + "x", "a b", "a/b", "a.b", "café", "a\n", "a:b", "../a"]
)
@pytest.mark.parametrize("field", ["name", "owner"])
def test_a_name_that_would_not_fit_everywhere_is_refused(field: str, name: str) -> None:
    assert "should match pattern" in refusal_of(**{field: name})


def test_every_name_made_from_the_longest_names_fits() -> None:
    raw = {"policy": LONGEST_NAME, "instance_id": INSTANCE, "scheduled_time": "2026-03-14T01:30:00Z"}

    run = identify(an_execution(), raw)

    assert run.run_id == f"{LONGEST_NAME}-{INSTANCE}-20260314T013000Z"
    assert RUN_ID.fullmatch(run.run_id)
    assert len(record_key(run)) <= 1024
    tag_set = tags.of_snapshot_set(
        stack="s" * 128, run_id=run.run_id, policy=LONGEST_NAME, owner=LONGEST_NAME, instance_id=INSTANCE, extra={}
    )
    assert all(len(value) <= 256 for value in tag_set.values())
    assert len(tags.description(LONGEST_NAME, INSTANCE)) <= 255


def test_the_owner_is_admin_unless_named() -> None:
    assert a_policy().owner == "admin"
    assert a_policy(owner="finance").owner == "finance"


def test_a_policy_without_targets_is_refused() -> None:
    assert "targets" in refusal_of(targets=[])


def test_at_most_a_hundred_targets_are_taken() -> None:
    targets = [{"instance_id": f"i-{n:017x}"} for n in range(101)]
    assert len(a_policy(targets=targets[:100]).targets) == 100
    assert "at most 100 items" in refusal_of(targets=targets)


def test_a_server_that_stands_there_twice_is_refused_by_its_id() -> None:
    twice = [{"instance_id": INSTANCE}, {"instance_id": OTHER}, {"instance_id": INSTANCE, "volumes": "all"}]
    assert f"{INSTANCE} stands there more than once" in refusal_of(targets=twice)


@pytest.mark.parametrize(
    "instance_id", ["i-0123", "i-0123456789ABCDEF0", "mi-0123456789abcdef0", "i-0123456789abcdef0\n", ""]
)
def test_an_instance_id_that_ec2_could_not_have_given_is_refused(instance_id: str) -> None:
    assert "targets.0.instance_id" in refusal_of(targets=[{"instance_id": instance_id}])


def test_an_instance_id_of_the_short_old_form_is_taken() -> None:
    assert a_policy(targets=[{"instance_id": "i-0123abcd"}]).targets[0].instance_id == "i-0123abcd"


@pytest.mark.parametrize("key", ["aws:name", "AWS:name", "quiesce:run", "Quiesce:mine"])
def test_a_reserved_tag_key_is_refused_by_name(key: str) -> None:
    assert f"the key {key!r} is reserved" in refusal_of(tags={key: "x"})


@pytest.mark.parametrize(
    "tag", [{"": "x"}, {"k" * 129: "x"}, {"k": "v" * 257}, {"Cost": 4711}, {"Cost": None}, {1: "x"}]
)
def test_a_tag_that_ec2_would_not_take_is_refused(tag: dict[object, object]) -> None:
    assert "tags" in refusal_of(tags=tag)


def test_tags_up_to_the_bounds_are_taken() -> None:
    assert a_policy(tags={"k" * 128: "v" * 256, "empty": ""}).tags["empty"] == ""


def test_our_tags_and_the_policys_together_are_never_more_than_ec2_allows() -> None:
    most = {f"key{n}": "x" for n in range(tags.MAX_POLICY_TAGS)}
    at_creation = tags.of_snapshot_set(
        stack="s", run_id="r", policy="p", owner="o", instance_id=INSTANCE, extra=a_policy(tags=most).tags
    )
    assert len({*at_creation, tags.CONSISTENCY, tags.DEVICE}) == 50
    assert "at most 43 items" in refusal_of(tags={**most, "one-more": "x"})


def test_the_policys_tags_cannot_take_the_place_of_ours() -> None:
    tag_set = tags.of_snapshot_set(
        stack="mine", run_id="r", policy="p", owner="o", instance_id=INSTANCE, extra={tags.STACK: "theirs"}
    )
    assert tag_set[tags.STACK] == "mine"


@pytest.mark.parametrize(
    "selector",
    [
        "root",
        volume_id(1),
        "vol-0123abcd",
        "xvdf",
        "xvdba",
        "/dev/sda1",
        "/dev/xvdf",
        "tag:Role=data",
        "tag:Role=",
        "tag:a=b=c",
    ],
)
@pytest.mark.parametrize("field", ["include", "exclude"])
def test_each_kind_of_selector_is_taken(field: str, selector: str) -> None:
    choice = VolumeChoice.model_validate({field: [selector]})
    assert getattr(choice, field) == [selector]


@pytest.mark.parametrize(
    "selector", ["", "Root", "D:", "vol-xyz", "tag:Role", "tag:=x", "/dev/", "sda1", "xvdf ", "all"]
)
def test_an_unknown_kind_of_selector_is_refused_by_its_text(selector: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(repr(selector))):
        VolumeChoice.model_validate({"exclude": [selector]})


def test_include_and_exclude_together_are_refused() -> None:
    assert "one of them says it all" in refusal_of(defaults={"volumes": {"include": ["root"], "exclude": ["xvdf"]}})


@pytest.mark.parametrize("volumes", ["none", "ALL", ["root"], 7, None, True])
def test_volumes_that_are_neither_all_nor_a_choice_are_refused(volumes: object) -> None:
    assert "must be 'all', or have one of 'include' and 'exclude'" in refusal_of(defaults={"volumes": volumes})


@pytest.mark.parametrize("choice", [{"include": []}, {"exclude": []}, {"include": ["xvdf"] * 129}, {"exclude": "root"}])
def test_an_empty_endless_or_unlisted_choice_is_refused(choice: dict[str, object]) -> None:
    assert "defaults.volumes" in refusal_of(defaults={"volumes": choice})


@pytest.mark.parametrize(
    "changes",
    [
        {"target": []},
        {"volumes": "all"},
        {"defaults": {"volume": "all"}},
        {"defaults": {"volumes": {"exclud": ["root"]}}},
        {"targets": [{"instance_id": INSTANCE, "volume": "all"}]},
    ],
)
def test_an_unknown_field_is_refused_at_every_level(changes: dict[str, object]) -> None:
    assert "Extra inputs are not permitted" in refusal_of(**changes)


def test_a_target_without_settings_has_the_defaults() -> None:
    policy = a_policy(defaults={"volumes": {"exclude": ["root"]}})
    assert policy.settings_for(INSTANCE) == TargetSettings(volumes=VolumeChoice(exclude=["root"]))


def test_a_targets_own_setting_stands_over_the_default_as_a_whole() -> None:
    policy = a_policy(
        defaults={"volumes": {"exclude": ["root"]}},
        targets=[{"instance_id": INSTANCE, "volumes": {"include": ["xvdf"]}}],
    )
    assert policy.settings_for(INSTANCE) == TargetSettings(volumes=VolumeChoice(include=["xvdf"]))


def test_a_target_may_take_back_a_default_exclusion_with_all() -> None:
    policy = a_policy(
        defaults={"volumes": {"exclude": ["root"]}},
        targets=[{"instance_id": INSTANCE, "volumes": "all"}, {"instance_id": OTHER}],
    )
    assert policy.settings_for(INSTANCE) == TargetSettings(volumes=VolumeChoice())
    assert policy.settings_for(OTHER) == TargetSettings(volumes=VolumeChoice(exclude=["root"]))


def test_defaults_and_targets_know_the_same_settings() -> None:
    policy_fields = set(Policy.model_fields["targets"].annotation.__args__[0].model_fields)  # type: ignore[union-attr]
    assert policy_fields - {"instance_id"} == set(TargetSettings.model_fields)


def test_a_server_that_is_no_target_has_no_settings() -> None:
    assert a_policy().settings_for(OTHER) is None


def test_a_policy_survives_its_own_json() -> None:
    policy = Policy.model_validate(a_policy_document(tags={"a": "b"}, defaults={"volumes": {"exclude": ["root"]}}))
    assert Policy.model_validate_json(policy.model_dump_json()) == policy
