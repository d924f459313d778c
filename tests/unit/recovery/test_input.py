"""A recovery's input, and the message for each mistake in it."""

from typing import Any

import pytest

from quiesce.errors import RecoveryRefused
from quiesce.recovery.input import EXAMPLE, read_recovery_request
from tests.support.factories.run import INSTANCE

REMEDY = f"Remedy: write it as docs/use/recover.md shows, for example {EXAMPLE}."


def refusal(raw: Any) -> str:
    with pytest.raises(RecoveryRefused) as refused:
        read_recovery_request(raw)
    return str(refused.value)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({}, "input: give either recovery_point, or instance_id and at. "),
        ({"recovery_point": "run-1", "instance_id": INSTANCE, "at": "latest"}, "input: give either recovery_point"),
        ({"instance_id": INSTANCE}, "input: instance_id and at belong together. "),
        ({"recovery_point": "run-1", "at": "latest"}, "input: instance_id and at belong together. "),
        ({"recovery_point": "run-1", "colour": "red"}, "colour: is not a field that quiesce knows. "),
        ({"recovery_point": "run-1", "overrides": {"subnet": "x"}}, "overrides.subnet: is not a field that quiesce"),
        (
            {"recovery_point": "run-1", "overrides": {"zone": "Frankfurt"}},
            "overrides.zone: string should match pattern",
        ),
        ({"recovery_point": "run-1", "recovery_id": "a b"}, "recovery_id: string should match pattern"),
        (
            {"recovery_point": "run-1", "overrides": {"tags": {"quiesce:stack": "x"}}},
            "the tag quiesce:stack is reserved",
        ),
        ({"recovery_point": "run-1", "overrides": {"tags": {"aws:x": "x"}}}, "the tag aws:x is reserved"),
        ({"recovery_point": "run-1", "overrides": {"initialization_rate_mibps": 99}}, "greater than or equal to 100"),
        ({"instance_id": INSTANCE, "at": "yesterday"}, "at"),
        ({"instance_id": INSTANCE, "at": "2026-03-14T01:30:00"}, "at"),
        ("latest", "input"),
        (None, "input"),
    ],
)
def test_an_input_that_cannot_be_used_is_refused_with_its_field(raw: Any, words: str) -> None:
    assert words in refusal(raw)
    assert refusal(raw).endswith(REMEDY)


def test_what_is_left_out_is_what_is_safe() -> None:
    request = read_recovery_request({"instance_id": INSTANCE, "at": "latest"})
    assert (request.mode, request.on_failure, request.agent) == ("instance", "keep", "ssm")


def test_a_time_needs_its_zone_and_is_a_moment() -> None:
    request = read_recovery_request({"instance_id": INSTANCE, "at": "2026-03-14T01:30:00Z"})
    assert request.moment is not None
    assert request.moment.isoformat() == "2026-03-14T01:30:00+00:00"
    assert read_recovery_request({"instance_id": INSTANCE, "at": "latest whole"}).moment is None
