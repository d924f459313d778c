"""A recovery's input, and the message for each mistake in it."""

from typing import Any

import pytest

from quiesce.errors import RecoveryRefused
from quiesce.recovery.input import EXAMPLE, read_recovery_request
from tests.support.factories.run import INSTANCE

REMEDY = f"Remedy: write it as docs/use/recover.md shows, for example {EXAMPLE}."
A_TIME = (
    "must be 'latest', 'latest whole', 'latest application', or a time with its zone, such as 2026-03-14T01:30:00Z. "
)


def refusal(raw: Any) -> str:
    with pytest.raises(RecoveryRefused) as refused:
        read_recovery_request(raw, "Europe/Berlin")
    return str(refused.value)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({}, "input: give either recovery_point, or instance_id and at. "),
        (
            {"recovery_point": "run-1", "instance_id": INSTANCE, "at": "latest"},
            "input: give either recovery_point, or ",
        ),
        ({"instance_id": INSTANCE}, "input: give either recovery_point, or instance_id and at. "),
        ({"recovery_point": "run-1", "at": "latest"}, "input: give either recovery_point, or instance_id and at. "),
        ({"at": "latest"}, "input: at needs instance_id: the server that was backed up. "),
        (
            {"recovery_point": "run-1", "overrides": {"zone": "Frankfurt"}},
            "overrides.zone: 'Frankfurt': must be an availability zone, such as eu-central-1a. ",
        ),
        (
            {"recovery_point": "run-1", "recovery_id": "a b"},
            "recovery_id: 'a b': must be 1 to 80 letters, digits, '-' and '_', of which the first is a letter or",
        ),
        (
            {"recovery_point": "run-1", "overrides": {"tags": {"quiesce:stack": "x"}}},
            "overrides.tags: {'quiesce:stack': 'x'}: the tag quiesce:stack is reserved. ",
        ),
        ({"recovery_point": "run-1", "overrides": {"tags": {"aws:x": "x"}}}, "the tag aws:x is reserved. "),
        (
            {"recovery_point": "run-1", "overrides": {"initialization_rate_mibps": 99}},
            "overrides.initialization_rate_mibps: 99: must be a whole number from 100 to 300. ",
        ),
        (
            {"recovery_point": "run-1", "overrides": {"volumes": {"xvdf": {"iops": True}}}},
            "overrides.volumes.xvdf.iops: true: must be a whole number from 100 to 256000. ",
        ),
        (
            {"recovery_point": "run-1", "overrides": {"security_group_ids": ["sg-1"]}},
            "overrides.security_group_ids[0]: 'sg-1': must be an id of EC2, such as sg-0123456789abcdef0. ",
        ),
        (
            {"recovery_point": "run-1", "overrides": {"instance_profile_arn": "none"}},
            "overrides.instance_profile_arn: 'none': must be the ARN of an instance profile, or '' for none. ",
        ),
        (
            {"instance_id": "i-0123", "at": "latest"},
            "instance_id: 'i-0123': must be the id of a server, such as i-0123456789abcdef0, or its Name tag. ",
        ),
        ({"instance_id": INSTANCE, "at": ["latest"]}, f"at: ['latest']: {A_TIME}"),
        ("latest", "input: must be an object. "),
        (None, "input: must be an object. "),
    ],
)
def test_an_input_that_cannot_be_used_is_refused_with_its_field(raw: Any, words: str) -> None:
    assert words in refusal(raw)
    assert refusal(raw).endswith(REMEDY)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (
            {"recovery_point": "run-1", "colour": "red"},
            "colour: is not a field that quiesce knows. Remedy: remove it; known here: recovery_point, instance_id, "
            "at, recovery_id, mode, on_failure, agent, revert, image_id, overrides, beside_the_old_one, "
            "thaw_after_recovery, started_by.",
        ),
        (
            {"recovery_point": "run-1", "overrides": {"subnet": "x"}},
            "overrides.subnet: is not a field that quiesce knows. Remedy: write 'subnet_id'.",
        ),
        (
            {"recovery_point": "run-1", "zone": "eu-central-1a"},
            "zone: is not a field that quiesce knows. Remedy: move it under 'overrides' of the input.",
        ),
        (
            {"recovery_point": "run-1", "overrides": {"instance_id": INSTANCE}},
            "overrides.instance_id: is not a field that quiesce knows. Remedy: move it to the top level of the input.",
        ),
        (
            {"recovery_point": "run-1", "overrides": {"volumes": {"iops": {"iopss": 3000}}}},
            "overrides.volumes.iops.iopss: is not a field that quiesce knows. Remedy: write 'iops'.",
        ),
        (
            {"recovery_point": "run-1", "mode": "dryrun"},
            "mode: 'dryrun': must be 'instance' or 'dry-run'. Remedy: write 'dry-run'.",
        ),
        (
            {"recovery_point": "run-1", "subnet": "subnet-0123456789abcdef0"},
            "subnet: is not a field that quiesce knows. Remedy: write 'overrides.subnet_id'.",
        ),
        (
            {"recovery_point": "run-1", "dryrun": True},
            "dryrun: is not a field that quiesce knows. Remedy: write 'mode': 'dry-run'.",
        ),
        (
            {"recovery_point": "run-1", "cleanup": True},
            "cleanup: is not a field that quiesce knows. Remedy: write 'on_failure': 'clean-up'.",
        ),
        (
            {"recovery_point": "run-1", "on_failure": "cleanup"},
            "on_failure: 'cleanup': must be 'keep' or 'clean-up'. Remedy: write 'clean-up'.",
        ),
        ({"recovery_point": 17}, "recovery_point: 17: must be text. Remedy: write it in quotes."),
    ],
)
def test_what_was_probably_meant_is_the_remedy(raw: Any, words: str) -> None:
    assert refusal(raw) == words


def test_a_recovery_point_may_name_its_server() -> None:
    request = read_recovery_request({"recovery_point": "run-1", "instance_id": INSTANCE}, "Europe/Berlin")
    assert (request.recovery_point, request.instance_id, request.at) == ("run-1", INSTANCE, None)


def test_what_is_left_out_is_what_is_safe() -> None:
    request = read_recovery_request({"instance_id": INSTANCE, "at": "latest"}, "Europe/Berlin")
    assert (request.mode, request.on_failure, request.agent) == ("instance", "keep", "ssm")


def test_a_time_needs_its_zone_and_is_a_moment() -> None:
    request = read_recovery_request({"instance_id": INSTANCE, "at": "2026-03-14T01:30:00Z"}, "Europe/Berlin")
    assert request.moment is not None
    assert request.moment.isoformat() == "2026-03-14T01:30:00+00:00"
    assert read_recovery_request({"instance_id": INSTANCE, "at": "latest whole"}, "Europe/Berlin").moment is None
