"""The alert of a policy: its bounds, and that it can be met."""

from typing import Any

import pytest
from pydantic import ValidationError

from quiesce.policy.policy import Policy

TARGET = {"instance_id": "i-0123456789abcdef0"}


def a_policy(alert: Any, **changes: Any) -> Policy:
    return Policy.model_validate({"name": "nightly", "targets": [TARGET], "alert": alert, **changes})


def test_an_alert_counts_application_consistent_recovery_points_unless_it_says_otherwise() -> None:
    alert = a_policy({"no_good_point_for": "26h"}).alert
    assert (alert.level, alert.within.total_seconds()) == ("application", 26 * 3600)


@pytest.mark.parametrize("span", ["59m", "367d", "26", 26, "", "1.5h", None])
def test_a_span_out_of_bounds_is_refused(span: Any) -> None:
    with pytest.raises(ValidationError):
        a_policy({"no_good_point_for": span})


@pytest.mark.parametrize("span", ["60m", "366d"])
def test_the_bounds_are_in(span: str) -> None:
    a_policy({"no_good_point_for": span})


def test_an_alert_for_application_consistency_that_nothing_can_give_is_refused_with_the_way_out() -> None:
    alert, off = {"no_good_point_for": "26h"}, {"vss": "off", "consistency": "application-or-crash"}
    with pytest.raises(ValidationError, match=r"targets\[0\] makes none.*set alert.level to crash"):
        a_policy(alert, defaults=off)
    with pytest.raises(ValidationError, match=r"targets\[1\] makes none"):
        a_policy(alert, targets=[TARGET, {"tags": {"a": "b"}, "agent": "none"}])
    a_policy({**alert, "level": "crash"}, defaults=off)
    a_policy(alert, defaults={**off, "scripts": {}})
