"""What a person typed wrong: each part of each document is refused in our words, and a misspelled field is known."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, get_args

import pytest
from pydantic import BaseModel, ValidationError

from quiesce.backup.input import BackupRequest, OfPolicyRun, read_request
from quiesce.errors import Refused
from quiesce.policy.alert import Alert
from quiesce.policy.archive import Archive
from quiesce.policy.file import read_policy
from quiesce.policy.keep import Keep
from quiesce.policy.lock import Lock
from quiesce.policy.parts import ImageRenewal, Scripts, VolumeChoice
from quiesce.policy.policy import Policy, Target
from quiesce.policy.schedule import Schedule
from quiesce.policy.selection import Selector
from quiesce.policy.target import TargetSettings
from quiesce.policy.vss import AwsVss, Vss
from quiesce.policy_run.input import PolicyRequest, read_policy_request
from quiesce.recovery.input import Overrides, RecoveryRequest, VolumeOverride, read_recovery_request
from tests.support.factories.run import INSTANCE, a_policy_document

POINT = {"recovery_point": "run-1"}


class Place(NamedTuple):
    """Where a part stands in its document, the document with it, and what else the part needs to be one."""

    path: str
    around: Callable[[dict[Any, Any]], dict[str, Any]]
    needs: dict[str, Any] = {}


def in_defaults(field: str) -> Callable[[dict[Any, Any]], dict[str, Any]]:
    return lambda part: a_policy_document(defaults={field: part})


PLACES: dict[type[BaseModel], Place] = {
    Policy: Place("policy: ", lambda part: {**a_policy_document(), **part}),
    Keep: Place("policy: keep.", lambda part: {**a_policy_document(), "keep": part}, {"daily": 1}),
    Alert: Place("policy: alert.", lambda part: a_policy_document(alert=part), {"no_good_point_for": "26h"}),
    Archive: Place(
        "policy: archive.",
        lambda part: {**a_policy_document(), "keep": {"monthly": 36}, "archive": part},
        {"after_days": 60},
    ),
    Lock: Place("policy: lock.", lambda part: a_policy_document(lock=part), {"mode": "governance", "days": 30}),
    TargetSettings: Place("policy: defaults.", lambda part: a_policy_document(defaults=part)),
    Target: Place("policy: targets[0].", lambda part: a_policy_document(targets=[{"instance_id": INSTANCE, **part}])),
    Selector: Place("policy: exclude[0].", lambda part: a_policy_document(exclude=[part]), {"tag_key": "Backup"}),
    VolumeChoice: Place("policy: defaults.volumes.", in_defaults("volumes")),
    Scripts: Place("policy: defaults.scripts.", in_defaults("scripts")),
    Vss: Place("policy: defaults.vss.", in_defaults("vss")),
    AwsVss: Place("policy: defaults.vss.", in_defaults("vss"), {"engine": "aws-vss"}),
    ImageRenewal: Place("policy: defaults.initial_image.", in_defaults("initial_image"), {"every_days": 90}),
    Schedule: Place("policy: schedules[0].", lambda part: a_policy_document(schedules=[part]), {"cron": "0 2 * * ? *"}),
    BackupRequest: Place("", lambda part: {"policy": "files", "instance_id": INSTANCE, **part}),
    OfPolicyRun: Place(
        "policy_run.",
        lambda part: {"policy": "files", "instance_id": INSTANCE, "policy_run": part},
        {"id": "run-1", "target": 0},
    ),
    PolicyRequest: Place("", lambda part: {"policy": "files", **part}),
    RecoveryRequest: Place("", lambda part: {**POINT, **part}),
    Overrides: Place("overrides.", lambda part: {**POINT, "overrides": part}),
    VolumeOverride: Place("overrides.volumes.xvdf.", lambda part: {**POINT, "overrides": {"volumes": {"xvdf": part}}}),
}
MANY = [f"key{number}" for number in range(60)]
# One value of each kind that YAML and JSON have, and of each size.
KINDS = [None, True, 0, -1, 10**9, 1.5, "x", "", "x" * 5000, [], {}, [1], ["x"] * 200, [{}], {"a": 1}, {1: 2}]
KINDS += [{"x": {}}, {"x": {"y": 1}}, dict.fromkeys(MANY, "x"), "2026-01-01", float("nan")]


def fields_of(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


# What a location may hold because these tests wrote it: fields, keys and places in a list.
WRITTEN = {field for model in PLACES for field in fields_of(model)} | {"colour", "xvdf", *"axy"}
WRITTEN |= {*MANY, *map(str, range(200))}


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from models_in(field.annotation)
    for argument in get_args(annotation):
        yield from models_in(argument)


def read(place: Place, document: Any) -> None:
    if place is PLACES[PolicyRequest]:
        read_policy_request(document)
    elif place.path.startswith("policy: "):
        read_policy(document, "policy")
    elif "policy" in document:
        read_request(document)
    else:
        read_recovery_request(document, "UTC")


def words_of(model: type[BaseModel], part: dict[Any, Any]) -> str:
    place = PLACES[model]
    with pytest.raises(Refused) as refused:
        read(place, place.around({**place.needs, **part}))
    return str(refused.value)


def test_every_part_that_a_person_may_write_stands_in_these_tests() -> None:
    roots = (Policy, BackupRequest, PolicyRequest, RecoveryRequest)
    assert {model for root in roots for model in models_in(root)} == set(PLACES)


@pytest.mark.parametrize(
    ("model", "field"), [pytest.param(m, f, id=f"{m.__name__} {f}") for m in PLACES for f in fields_of(m)]
)
def test_a_misspelled_field_of_every_part_is_recognized(model: type[BaseModel], field: str) -> None:
    assert words_of(model, {f"{field}x": 1}) == (
        f"{PLACES[model].path}{field}x: is not a field that quiesce knows. Remedy: write '{field}'."
    )


@pytest.mark.parametrize(
    ("model", "field"), [pytest.param(m, f, id=f"{m.__name__} {f}") for m in PLACES for f in [*fields_of(m), "colour"]]
)
def test_no_word_of_a_library_reaches_a_person(model: type[BaseModel], field: str) -> None:
    place = PLACES[model]
    for kind in KINDS:
        try:
            read(place, place.around({**place.needs, field: kind}))
        except Refused as refused:
            words, error = str(refused), refused.__cause__
            assert "not what belongs here" not in words
            for detail in error.errors() if isinstance(error, ValidationError) else ():
                assert not [part for part in detail["loc"] if str(part) in words and str(part) not in WRITTEN]
                assert detail["type"] == "value_error" or detail["msg"].lower() not in words.lower()


BOUNDS = "correct it; docs/reference/reference.md has the bounds of every field"


@pytest.mark.parametrize(
    ("model", "part", "words"),
    [
        (Vss, {"retries": 6}, f"retries: 6: must be a whole number from 0 to 5. Remedy: {BOUNDS}."),
        (Vss, {"retries": "3"}, f"retries: '3': must be a whole number from 0 to 5. Remedy: {BOUNDS}."),
        (Vss, {"backup_type": "ful"}, "backup_type: 'ful': must be 'full' or 'copy'. Remedy: write 'full'."),
        (Vss, {"backup_type": None}, f"backup_type: null: must be 'full' or 'copy'. Remedy: {BOUNDS}."),
        (
            Vss,
            {"exclude_writers": ["SqlServerWritr"]},
            "exclude_writers[0]: 'SqlServerWritr': must be the id of a writer, such as "
            "{a65faa63-5ea8-4ebc-9dbd-a0c4db26912a}, or a name that docs/reference/writers.md has; "
            f"the name that is most like it is 'SqlServerWriter'. Remedy: {BOUNDS}.",
        ),
        (ImageRenewal, {"every_days": 0}, f"every_days: 0: must be a whole number from 1 to 365. Remedy: {BOUNDS}."),
        (
            TargetSettings,
            {"initial_image": "never"},
            "initial_image: 'never': must be 'once' or 'off', or an object, as in {every_days: 90}. "
            f"Remedy: {BOUNDS}.",
        ),
        (
            TargetSettings,
            {"initial_image": {}},
            "initial_image.every_days: is missing. Remedy: add it; docs/reference/reference.md shows every field.",
        ),
        (
            TargetSettings,
            {"consistency": "aplication"},
            "consistency: 'aplication': must be 'application-or-crash', 'application' or 'crash'. "
            "Remedy: write 'application'.",
        ),
        (
            TargetSettings,
            {"freeze_limit_s": 901},
            f"freeze_limit_s: 901: must be a whole number up to 900. Remedy: {BOUNDS}.",
        ),
        (
            TargetSettings,
            {"tags": {"a": "b"}},
            "tags: is not a field that quiesce knows. "
            "Remedy: move it under 'targets' or 'exclude' of the policy, or to its top level.",
        ),
        (
            TargetSettings,
            {"retries": 1},
            "retries: is not a field that quiesce knows. Remedy: move it under 'vss' of the policy.",
        ),
        (Policy, {"tags": {"": "x"}}, f"tags.: '': must be 1 or more characters long. Remedy: {BOUNDS}."),
        (
            VolumeChoice,
            {"include": []},
            f"include: []: must have 1 or more entries, and has 0. Remedy: {BOUNDS}.",
        ),
        (
            BackupRequest,
            {"policy": ["files"]},
            f"policy: ['files']: must be text. Remedy: {BOUNDS}.",
        ),
        (
            BackupRequest,
            {"targets": []},
            "targets: is not a field that quiesce knows. Remedy: move it to the top level of the policy.",
        ),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_a_wrong_value_is_told_with_the_bounds_of_its_field(model: type[BaseModel], part: Any, words: str) -> None:
    assert words_of(model, part) == PLACES[model].path + words
