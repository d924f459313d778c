"""The policy's fields, their bounds, and how a target's settings override the defaults."""

import re

import pytest
from pydantic import ValidationError

from quiesce import tags
from quiesce.aws.bucket import record_key
from quiesce.backup.run import RUN_ID, identify
from quiesce.errors import PolicyRefused
from quiesce.policy import target
from quiesce.policy.file import read_policy, read_policy_file
from quiesce.policy.parts import Scripts, VolumeChoice
from quiesce.policy.policy import Policy
from quiesce.policy.selection import Selector
from quiesce.policy.target import TargetSettings
from quiesce.policy.vss import Vss
from tests.support.factories.run import INSTANCE, a_policy, a_policy_document, an_execution, some_settings, volume_id
from tests.support.project import ROOT, definition

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
    assert "must be 1 to 40 letters, digits, '-' and '_'" in refusal_of(**{field: name})


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
    assert len(tags.description(LONGEST_NAME, INSTANCE, vss=True)) <= 255


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
    assert f"{INSTANCE} is named more than once" in refusal_of(targets=twice)


@pytest.mark.parametrize("instance_id", ["i-0123", "mi-0123456789abcdef0", "i-0123456789abcdef0,", ""])
def test_an_instance_id_that_ec2_could_not_have_given_is_refused(instance_id: str) -> None:
    assert "targets.0.instance_id" in refusal_of(targets=[{"instance_id": instance_id}])


@pytest.mark.parametrize("instance_id", ["I-0123456789ABCDEF0", "  i-0123456789abcdef0\n"])
def test_an_instance_id_may_be_in_any_case_and_have_blanks_around_it(instance_id: str) -> None:
    policy = a_policy(targets=[{"instance_id": instance_id}])
    assert policy.targets[0].instance_id == "i-0123456789abcdef0"


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
    assert len({*at_creation, tags.CONSISTENCY, tags.DEVICE, tags.STATE}) == 50
    assert "at most 42 items" in refusal_of(tags={**most, "one-more": "x"})


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
    assert "use one of them" in refusal_of(defaults={"volumes": {"include": ["root"], "exclude": ["xvdf"]}})


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
    assert policy.settings_for(INSTANCE) == TargetSettings(volumes=VolumeChoice(exclude=["root"]), vss="off")


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
    assert policy_fields - set(Selector.model_fields) == set(TargetSettings.model_fields)


def test_a_server_that_is_no_target_has_no_settings() -> None:
    assert a_policy().settings_for(OTHER) is None


def test_a_policy_survives_its_own_json() -> None:
    policy = Policy.model_validate(a_policy_document(tags={"a": "b"}, defaults={"volumes": {"exclude": ["root"]}}))
    assert Policy.model_validate_json(policy.model_dump_json()) == policy


def words_of(**changes: object) -> str:
    with pytest.raises(PolicyRefused) as refused:
        read_policy(a_policy_document(**changes), "policy")
    return str(refused.value)


def settings_of(**defaults: object) -> TargetSettings:
    settings = a_policy(defaults=defaults, targets=[{"instance_id": INSTANCE}]).settings_for(INSTANCE)
    assert settings
    return settings


@pytest.mark.chapter("6.3 default")
def test_without_a_word_vss_asks_the_applications() -> None:
    settings = settings_of()
    assert (settings.agent, settings.scripts, settings.consistency) == ("ssm", "off", "application-or-crash")
    assert (settings.vss, settings.freeze_limit_s, settings.freezes) == (Vss(), 240, True)


def test_microsofts_advice_is_the_default_of_the_retries() -> None:
    vss = Vss()
    assert (vss.retries, vss.retry_wait_s, vss.retry_on) == (3, 600, "vss-timeout")


@pytest.mark.chapter("6.3 default")
def test_vss_is_off_only_where_the_policy_says_so() -> None:
    assert not settings_of(vss="off").freezes
    assert not settings_of(agent="none").freezes
    assert not settings_of(consistency="crash").freezes


@pytest.mark.parametrize(("value", "shown"), [("on", "'on'"), (None, "null"), (True, "true"), (1, "1"), ([], "[]")])
def test_vss_is_off_or_an_object(value: object, shown: str) -> None:
    assert words_of(defaults={"vss": value}).startswith(f"policy: defaults.vss: {shown}: must be 'off', or an object")


@pytest.mark.parametrize(
    ("field", "value"),
    [("retries", 6), ("retries", -1), ("retry_wait_s", 0), ("retry_wait_s", 1801), ("create_limit_s", 0)],
)
def test_bounds_of_vss_hold(field: str, value: int) -> None:
    assert words_of(defaults={"vss": {field: value}}).startswith(f"policy: defaults.vss.{field}: {value}")


def test_making_the_shadow_copies_must_leave_room_for_the_snapshots_in_the_freeze() -> None:
    assert settings_of(vss={"create_limit_s": 180}, freeze_limit_s=240).freezes
    words = words_of(defaults={"vss": {"create_limit_s": 181}}, targets=[{"instance_id": INSTANCE}])
    assert words.startswith(
        "policy: targets[0].freeze_limit_s: 181 for vss.create_limit_s + 60 for the snapshots do not fit in 240 s"
    )


def test_everything_that_complete_waits_for_must_fit_a_function_with_vss_too() -> None:
    scripts = {"before_limit_s": 61, "after_limit_s": 60, "complete_limit_s": 300}
    words = words_of(defaults={"scripts": scripts}, targets=[{"instance_id": INSTANCE}])
    assert "61 + 120 + 60 + 180 + 300 + 120 = 841 s, more than the 840 s of a function" in words
    assert settings_of(scripts={**scripts, "before_limit_s": 60}).contradiction() is None


def test_scripts_come_from_the_bucket_unless_the_policy_says_otherwise() -> None:
    assert settings_of(scripts={}).scripts == Scripts.model_validate({"from": "bucket"})
    assert settings_of(scripts={"from": "server"}).scripts == Scripts.model_validate({"from": "server"})
    assert settings_of(scripts={}).freezes


@pytest.mark.parametrize(
    ("scripts", "shown"),
    [("on", "'on'"), ("OFF", "'OFF'"), (False, "false"), (True, "true"), (None, "null"), ([], "[]"), (7, "7")],
)
def test_scripts_that_are_neither_off_nor_an_object_are_refused(scripts: object, shown: str) -> None:
    assert words_of(defaults={"scripts": scripts}) == (
        f"policy: defaults.scripts: {shown}: must be 'off', or an object, as in {{from: bucket}}. "
        "Remedy: correct it; docs/reference/reference.md has the bounds of every field."
    )


@pytest.mark.parametrize(
    ("scripts", "words"),
    [
        ({"form": "server"}, "defaults.scripts.form: is not a field that quiesce knows. Remedy: write 'from'."),
        (
            {"source": "server"},
            "defaults.scripts.source: is not a field that quiesce knows. Remedy: remove it; known here: "
            "from, before_limit_s, after_limit_s, complete_limit_s, collect_output, run_as.",
        ),
        ({"from": "s3"}, "defaults.scripts.from: 's3': must be 'bucket' or 'server'."),
        ({"collect_output": "yes"}, "defaults.scripts.collect_output: 'yes': must be true or false."),
        ({"password": "x"}, "defaults.scripts.password: is not a field that quiesce knows."),
        (
            {"before_limit_s": 1, "after_limit_s": 0},
            "defaults.scripts.after_limit_s: 0: must be a whole number from 1 to 600.",
        ),
    ],
)
def test_a_wrong_field_of_scripts_is_named_alone(scripts: object, words: str) -> None:
    assert words_of(defaults={"scripts": scripts}).startswith(f"policy: {words}")


@pytest.mark.parametrize("account", [r".\backup", r"SHOPSRV\svc_backup.2", "CORP\\quiesce$", "SRV\\" + "a" * 20])
def test_scripts_may_run_under_an_account_of_the_server_or_a_gmsa(account: str) -> None:
    assert getattr(settings_of(scripts={"run_as": account}).scripts, "run_as") == account  # noqa: B009


ACCOUNTS = r"must be '.\name' or 'SERVER\name' for an account of the server, or 'DOMAIN\name$' for a gMSA"
SERVICES = "leave it out: SYSTEM is the default"


@pytest.mark.parametrize(
    ("account", "words"),
    [
        *[
            (name, ACCOUNTS)
            for name in ("backup", "backup@corp.example", "corp.example\\backup$", ".\\a b", ".\\b\u00e4r")
        ],
        *[
            (name, ACCOUNTS)
            for name in ('.\\a" /x', ".\\a&b", "<a>\\b", ".\\a.", ".\\", "\\a", ".\\a\n", "S\\T\\a", "")
        ],
        (r".\quiesce$", r"names a gMSA without its domain: write 'DOMAIN\name$'"),
        *[(name, SERVICES) for name in ("SYSTEM", "LocalSystem", r"NT AUTHORITY\SYSTEM", "Local Service")],
        *[(name, SERVICES) for name in (r"nt authority\networkservice", r"NT SERVICE\MSSQLSERVER")],
        ("A" * 60, "must be"),
        (1, "must be"),
    ],
)
def test_any_other_account_is_refused_by_its_name(account: object, words: str) -> None:
    said = words_of(defaults={"scripts": {"run_as": account}})
    assert said.startswith("policy: defaults.scripts.run_as: ")
    assert words in said


def test_a_scripts_limit_one_level_too_high_is_told_where_it_belongs() -> None:
    assert words_of(defaults={"before_limit_s": 7}) == (
        "policy: defaults.before_limit_s: is not a field that quiesce knows. "
        "Remedy: move it under 'scripts' of the policy."
    )


LIMITS = ["before_limit_s", "after_limit_s", "complete_limit_s"]
SHORT = dict.fromkeys(LIMITS, 1)


@pytest.mark.parametrize("field", LIMITS)
@pytest.mark.parametrize("value", [1, 600])
def test_a_script_may_run_a_second_or_ten_minutes(field: str, value: int) -> None:
    assert getattr(settings_of(scripts={**SHORT, field: value}).scripts, field) == value


@pytest.mark.parametrize("field", LIMITS)
@pytest.mark.parametrize("value", [0, -1, 601, "60", 1.5, True, None])
def test_a_scripts_limit_out_of_bounds_or_of_another_kind_is_refused(field: str, value: object) -> None:
    words = words_of(defaults={"scripts": {field: value}})
    assert words.startswith(f"policy: defaults.scripts.{field}: ")
    assert ": must be a whole number from 1 to 600. " in words


def test_limits_that_just_fit_a_function_are_taken() -> None:
    scripts = {"before_limit_s": 100, "after_limit_s": 20, "complete_limit_s": 600}
    assert settings_of(scripts=scripts).freezes


def test_limits_that_do_not_fit_a_function_are_refused_with_their_sum() -> None:
    scripts = {"before_limit_s": 101, "after_limit_s": 20, "complete_limit_s": 600}
    assert (
        "before_limit_s 101 + after_limit_s 20 + complete_limit_s 600 + 120 for delivery = 841 s, "
        "more than the 840 s that a function may wait" in words_of(defaults={"scripts": scripts})
    )


@pytest.mark.parametrize("value", [60, 120, 600])
def test_a_freeze_limit_within_its_bounds_is_taken(value: int) -> None:
    assert settings_of(freeze_limit_s=value).freeze_limit_s == value


@pytest.mark.parametrize("value", [59, 1, 0, -120])
def test_a_freeze_limit_that_cannot_hold_what_must_fit_in_it_is_refused_with_the_sum(value: int) -> None:
    assert words_of(defaults={"freeze_limit_s": value}).startswith(
        f"policy: defaults.freeze_limit_s: {value}: 5 until AWS knows of the freeze + 45 for CreateSnapshots "
        "+ 10 for the thaw's delivery = 60 s must fit in it."
    )


@pytest.mark.parametrize("value", [901, "120", 119.5, True, None])
def test_a_freeze_limit_too_long_or_of_another_kind_is_refused(value: object) -> None:
    words = words_of(defaults={"freeze_limit_s": value})
    assert words.startswith("policy: defaults.freeze_limit_s: ")
    assert ": must be a whole number up to 900. " in words


def waits_s(retrier: dict[str, float]) -> list[float]:
    """Return the longest pauses between the tries of one retrier."""
    rate, most = retrier["BackoffRate"], retrier.get("MaxDelaySeconds", float("inf"))
    return [min(retrier["IntervalSeconds"] * rate**n, most) for n in range(int(retrier["MaxAttempts"]))]


def test_the_bounds_of_the_freeze_limit_are_what_the_state_machine_makes_them() -> None:
    snapshot = definition()["States"]["Snapshot"]
    # While the application is frozen, Snapshot does not wait for a limit.
    retriers = [retrier for retrier in snapshot["Retry"] if retrier["ErrorEquals"] != ["SnapshotLimitReached"]]
    too_soon, others = map(waits_s, retriers)
    assert snapshot["TimeoutSeconds"] == target.SNAPSHOT_S
    assert target.SHORTEST_FREEZE_S + sum(too_soon[:3]) <= TargetSettings().freeze_limit_s
    assert target.SHORTEST_FREEZE_S + sum(too_soon) + sum(others) <= 150


SCRIPTS = {"from": "bucket"}
SENSELESS = {
    "scripts that no agent runs": (
        {"agent": "none", "scripts": SCRIPTS},
        "scripts: they can't run: agent is 'none'. Remedy: set agent to ssm, or scripts to off.",
    ),
    "scripts that nobody asks for": (
        {"consistency": "crash", "scripts": SCRIPTS},
        "scripts: they can't run: consistency is 'crash'. "
        "Remedy: set consistency to application-or-crash, or scripts to off.",
    ),
    "application consistency without VSS and scripts": (
        {"consistency": "application", "vss": "off"},
        "consistency: 'application' needs VSS or scripts to freeze the application, and there is neither. "
        "Remedy: set agent to ssm and leave VSS on, add scripts, or set consistency to application-or-crash.",
    ),
    "a role that no server is asked for, as nothing is to be frozen": (
        {"role": "primary-only", "consistency": "crash"},
        "role: only a server that is to be frozen is asked for its role. "
        "Remedy: set it to any, or let VSS or scripts freeze the server, with agent ssm.",
    ),
    "a role that no server is asked for, without an agent": (
        {"role": "secondary-only", "agent": "none"},
        "role: only a server that is to be frozen is asked for its role. "
        "Remedy: set it to any, or let VSS or scripts freeze the server, with agent ssm.",
    ),
    "application consistency without an agent": (
        {"consistency": "application", "agent": "none"},
        "consistency: 'application' needs VSS or scripts to freeze the application, and there is neither. "
        "Remedy: set agent to ssm and leave VSS on, add scripts, or set consistency to application-or-crash.",
    ),
}


@pytest.mark.parametrize(("settings", "words"), SENSELESS.values(), ids=SENSELESS)
def test_settings_that_make_no_sense_together_are_refused_for_their_target(
    settings: dict[str, object], words: str
) -> None:
    targets = [{"instance_id": OTHER}, {"instance_id": INSTANCE, **settings}]
    assert words_of(targets=targets) == f"policy: targets[1].{words}"


def test_a_contradiction_between_a_target_and_the_defaults_is_refused() -> None:
    targets = [{"instance_id": INSTANCE, "scripts": SCRIPTS}]
    assert words_of(defaults={"agent": "none"}, targets=targets).startswith("policy: targets[0].scripts: they can't")


@pytest.mark.parametrize(
    ("written", "volumes"),
    [
        ("all", "all"),
        (" All", "all"),
        ("D:", ["D:"]),
        ("D:, E:, F:", ["D:", "E:", "F:"]),
        (["d:\\", " E:"], ["D:", "E:"]),
        ([r"d:\Mount Points\Logs, old" + "\\"], [r"D:\Mount Points\Logs, old"]),
    ],
)
@pytest.mark.chapter("6.3.2 some")
def test_volumes_for_shadow_copies_are_all_or_named_by_letter_or_folder(written: object, volumes: object) -> None:
    vss = settings_of(vss={"volumes": written}).vss
    assert vss.volumes == volumes
    assert Vss.model_validate(vss.model_dump()) == vss


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ([], "vss.volumes: []: must have 1 or more entries"),
        ("D", "vss.volumes[0]: 'D': must be a drive letter with its colon, as in 'D:', or the folder of a mount point"),
        (["D:, E:"], "vss.volumes[0]: 'D:, E:': must be a drive letter"),
        ([r"\\?\Volume{0}"], "must be a drive letter"),
        (["D:", r"d:" + "\\"], "D: is named more than once"),
        ([{"D": None}], 'YAML reads the colon as its own: write "D:", in double quotes'),
        ([{"D": 1}], "must be text"),
        ({"include": ["D:"]}, """must be 'all', or a list of volumes, as in ["D:", "E:"]"""),
    ],
)
def test_what_names_no_volume_is_refused_in_words(written: object, words: str) -> None:
    assert words in words_of(defaults={"vss": {"volumes": written}})


WRITER = "{A65FAA63-5EA8-4EBC-9DBD-A0C4DB26912A}"


def test_a_writers_id_is_taken_in_any_case_and_nothing_else_is() -> None:
    assert settings_of(vss={"exclude_writers": [WRITER]}).vss.exclude_writers == [WRITER.lower()]
    words = words_of(defaults={"vss": {"exclude_writers": ["SqlWriter"]}})
    assert words.startswith("policy: defaults.vss.exclude_writers[0]: ")


def test_a_writer_that_is_both_excluded_and_required_is_a_contradiction() -> None:
    both = {"exclude_writers": [WRITER], "require_writers": [WRITER.lower()]}
    words = words_of(targets=[{"instance_id": INSTANCE, "vss": both}])
    assert f"vss.require_writers: {WRITER.lower()} is excluded, too" in words


@pytest.mark.parametrize("other", [{"agent": "none"}, {"consistency": "crash"}])
def test_a_contradiction_that_nobody_refused_asks_no_application(other: dict[str, object]) -> None:
    assert not some_settings(scripts=SCRIPTS, **other).freezes


def test_a_default_is_no_contradiction_where_the_target_sets_it_right() -> None:
    targets = [{"instance_id": INSTANCE, "scripts": SCRIPTS}]
    whole = read_policy(a_policy_document(defaults={"consistency": "application"}, targets=targets), "policy")
    settings = whole.settings_for(INSTANCE)
    assert settings
    assert (settings.freezes, settings.consistency) == (True, "application")


def test_a_target_may_leave_the_defaults_scripts_out() -> None:
    targets = [{"instance_id": INSTANCE, "agent": "none", "scripts": "off"}, {"instance_id": OTHER}]
    whole = read_policy(a_policy_document(defaults={"scripts": SCRIPTS}, targets=targets), "policy")
    assert [bool(s and s.freezes) for s in map(whole.settings_for, (INSTANCE, OTHER))] == [False, True]


@pytest.mark.parametrize("consistency", ["application-or-crash", "application"])
def test_scripts_go_with_every_consistency_that_asks(consistency: str) -> None:
    assert some_settings(scripts=SCRIPTS, consistency=consistency).contradiction() is None


@pytest.mark.parametrize("settings", [{}, {"agent": "none"}, {"consistency": "crash"}])
def test_a_policy_that_asks_nobody_makes_sense(settings: dict[str, object]) -> None:
    assert some_settings(**settings).contradiction() is None
    assert not some_settings(**settings).freezes


@pytest.mark.parametrize("path", sorted((ROOT / "policies").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_example_policies_are_policies(path) -> None:
    assert read_policy_file(path.read_bytes(), path.stem, path.name).targets


BUILDING = [
    ({"buildable": "required", "revert": "off"}, "nobody would look whether volumes can be built"),
    ({"buildable": "required", "vss": "off"}, "there would be no shadow copies to build from"),
    ({"buildable": "required", "agent": "none"}, "there would be no shadow copies to build from"),
    ({"buildable": "required", "consistency": "crash"}, "there would be no shadow copies to build from"),
    ({"revert": "at-backup", "vss": "off"}, "there would be no shadow copies to build from"),
    ({"revert": "at-backup", "consistency": "crash"}, "there would be no shadow copies to build from"),
    ({"buildable": "required"}, ""),
    ({"buildable": "required", "revert": "at-backup"}, ""),
    ({"revert": "at-recovery", "vss": "off"}, ""),
    ({"revert": "off", "agent": "none"}, ""),
]


@pytest.mark.parametrize(("settings", "problem"), BUILDING)
def test_a_policy_that_could_not_build_what_it_wants_to_is_refused(settings: dict[str, str], problem: str) -> None:
    found = TargetSettings.model_validate({"vss": {}, **settings}).contradiction()
    assert (found.problem if found else "").endswith(problem)
    assert bool(found) == bool(problem)
    assert not found or found.field in settings


BY_AWS = {"engine": "aws-vss"}

NOT_BY_AWS = [
    ({}, "revert: the snapshots of AWS's document hold no shadow copies to build volumes from, and need none"),
    ({"revert": "at-backup"}, "revert: the snapshots of AWS's document hold no shadow copies to build volumes from"),
    ({"evidence": "required"}, "evidence: the snapshots of AWS's document hold no shadow copies to look for"),
    ({"buildable": "required"}, "buildable: the snapshots of AWS's document hold no shadow copies to look for"),
    ({"volumes": {"include": ["root"]}}, "volumes: AWS's document takes all volumes, but for the root if that is left"),
    ({"volumes": {"exclude": ["xvdf"]}}, "volumes: AWS's document takes all volumes, but for the root if that is left"),
    ({"volumes": {"exclude": ["root", "xvdf"]}}, "volumes: AWS's document takes all volumes"),
    ({"agent": "none"}, "vss.engine: AWS's document would never be sent: agent is 'none', or consistency is 'crash'"),
    ({"consistency": "crash"}, "vss.engine: AWS's document would never be sent"),
    (
        {"vss": {**BY_AWS, "create_limit_s": 121}},
        "freeze_limit_s: 30 until AWS's document has begun + 121 for vss.create_limit_s + 30 until EC2 lists its "
        "snapshots + 60 for the rest do not fit in 240 s",
    ),
]


@pytest.mark.chapter("6.3.1 by-aws")
@pytest.mark.parametrize(("settings", "words"), NOT_BY_AWS)
def test_what_awss_document_can_not_do_is_refused_with_its_field(settings: dict[str, object], words: str) -> None:
    target = {"instance_id": INSTANCE, "vss": BY_AWS, **({} if words.startswith("revert") else {"revert": "off"})}
    said = words_of(targets=[{**target, **settings}])
    assert said.startswith(f"policy: targets[0].{words}")


def test_a_policy_that_awss_document_can_do_is_one() -> None:
    for settings in ({}, {"volumes": {"exclude": ["root"]}}, {"consistency": "application"}, {"scripts": SCRIPTS}):
        made = some_settings(vss={**BY_AWS, "backup_type": "copy"}, revert="off", **settings)
        assert made.contradiction() is None
        assert (made.freezes, made.disk_shadow) == (True, None)
        assert made.aws_vss is not None
        assert TargetSettings.model_validate(made.model_dump()) == made
    longest = some_settings(vss={**BY_AWS, "create_limit_s": 600}, revert="off", freeze_limit_s=720)
    assert longest.contradiction() is None


@pytest.mark.parametrize(
    "field", ["volumes", "exclude_writers", "require_writers", "retries", "retry_wait_s", "retry_on"]
)
def test_what_only_diskshadow_is_asked_for_is_refused_with_the_reason(field: str) -> None:
    words = words_of(defaults={"vss": {**BY_AWS, field: "all"}})
    assert f"'{field}' is not for engine aws-vss: AWS's document " in words


@pytest.mark.parametrize(
    ("vss", "words"),
    [
        ({"engine": "aws"}, "vss.engine: 'aws': must be 'diskshadow' or 'aws-vss'. Remedy: write 'aws-vss'."),
        ({**BY_AWS, "create_limit_s": 29}, "vss.create_limit_s: 29: must be 30 or more with engine aws-vss"),
        ({**BY_AWS, "create_limit_s": 601}, "vss.create_limit_s: 601: must be a whole number from 1 to 600"),
        ({**BY_AWS, "backup_type": "log"}, "vss.backup_type: 'log': must be 'full' or 'copy'"),
    ],
)
def test_a_wrong_value_beside_the_engine_is_told(vss: dict[str, object], words: str) -> None:
    assert words in words_of(defaults={"vss": vss})


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"device": "x"}, "'device' is a tag that AWS's document sets itself"),
        ({"AppConsistent": "True"}, "'AppConsistent' is a tag that AWS's document sets itself"),
        ({"Cost": "a=b"}, "and not 'Cost': 'a=b'"),
        ({"Cost": "a;b"}, "and not 'Cost': 'a;b'"),
        ({"Cost": "a,b"}, "and not 'Cost': 'a,b'"),
        ({"Kosten": "für uns"}, "and not 'Kosten': 'für uns'"),
        ({"Cost": ""}, "and not 'Cost': ''"),
        ({f"key{number}": "x" for number in range(40)}, "'tags' has 40, and beside those of AWS's document"),
    ],
)
def test_tags_that_awss_document_does_not_take_are_refused_where_it_makes_the_snapshots(
    tags: dict[str, str], words: str
) -> None:
    by_aws = {"instance_id": INSTANCE, "vss": BY_AWS, "revert": "off"}
    assert words in words_of(tags=tags, targets=[{"instance_id": OTHER}, by_aws])
    assert read_policy(a_policy_document(tags=tags), "policy").tags == tags


def test_tags_of_its_own_characters_are_taken() -> None:
    by_aws = {"instance_id": INSTANCE, "vss": BY_AWS, "revert": "off"}
    tags = {"Cost centre": "a (b) ./\\-\"'@_+:{}", **{f"key{number}": "x" for number in range(38)}}
    assert read_policy(a_policy_document(tags=tags, targets=[by_aws]), "policy").tags == tags
