"""What goes to the log of Lambda, which makes metrics of it, and drops what is below the stack's LogLevel."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aws_lambda_powertools.shared.constants import LAMBDA_ADVANCED_LOGGING_LEVELS

from quiesce.telemetry import count_run, logger, measure

ENDED_AT = datetime(2026, 11, 24, 1, 30, 7, 250_000, tzinfo=UTC)
RFC_3339 = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"


@pytest.fixture
def level() -> Iterator[None]:
    before = logger.log_level
    yield
    logger.setLevel(before)


def counted(capsys: pytest.CaptureFixture[str], stack: str = "quiesce", *, auto_thawed: bool = True) -> dict[str, Any]:
    count_run("Successful", stack=stack, ended_at=ENDED_AT, auto_thawed=auto_thawed)
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def dimensions(document: dict[str, Any]) -> dict[str, str]:
    [metrics] = document["_aws"]["CloudWatchMetrics"]
    [names] = metrics["Dimensions"]
    return {name: document[name] for name in names}


def test_each_stack_counts_its_own_runs(capsys: pytest.CaptureFixture[str]) -> None:
    documents = [counted(capsys, stack) for stack in ("quiesce", "quiesce-test")]
    assert [dimensions(document) for document in documents] == [
        {"service": "quiesce", "stack": "quiesce"},
        {"service": "quiesce", "stack": "quiesce-test"},
    ]


@pytest.mark.parametrize(("auto_thawed", "count"), [(True, [1.0]), (False, [0.0])])
def test_a_run_counts_under_its_status_and_as_thawed_by_itself_or_not(
    capsys: pytest.CaptureFixture[str], auto_thawed: bool, count: list[float]
) -> None:
    document = counted(capsys, auto_thawed=auto_thawed)
    assert (document["Successful"], document["AutoThawed"]) == ([1.0], count)
    [metrics] = document["_aws"]["CloudWatchMetrics"]
    assert metrics["Namespace"] == "Quiesce"


@pytest.mark.parametrize("of_lambda", ["DEBUG", "INFO", "WARN", "ERROR", "FATAL"])
@pytest.mark.usefixtures("level")
def test_lambda_drops_no_metrics_at_any_level(capsys: pytest.CaptureFixture[str], of_lambda: str) -> None:
    """Lambda developer guide, "Log-level filtering": without a level and an RFC 3339 time a line is INFO."""
    logger.setLevel(LAMBDA_ADVANCED_LOGGING_LEVELS[of_lambda])
    document = counted(capsys)
    assert document["level"] == of_lambda
    assert document["timestamp"] == "2026-11-24T01:30:07.250+00:00"
    assert re.fullmatch(RFC_3339, document["timestamp"])


@pytest.mark.usefixtures("level")
def test_measures_are_of_a_stack_or_of_one_of_its_policies_and_lambda_drops_none(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logger.setLevel("ERROR")
    measure({"AgeOfNewestGoodPoint": 7200.0, "RecoveryPoints": 3.0}, stack="quiesce", at=ENDED_AT, policy="nightly")
    measure({"PostureLooks": 1.0}, stack="quiesce", at=ENDED_AT)
    policy, stack = map(json.loads, capsys.readouterr().out.splitlines())
    assert dimensions(policy) == {"service": "quiesce", "stack": "quiesce", "policy": "nightly"}
    assert dimensions(stack) == {"service": "quiesce", "stack": "quiesce"}
    [metrics] = policy["_aws"]["CloudWatchMetrics"]
    units = {metric["Name"]: metric["Unit"] for metric in metrics["Metrics"]}
    assert units == {"AgeOfNewestGoodPoint": "Seconds", "RecoveryPoints": "Count"}
    assert (policy["level"], stack["PostureLooks"]) == ("ERROR", [1.0])


def test_a_line_of_the_log_has_a_time_that_lambda_reads(capsys: pytest.CaptureFixture[str]) -> None:
    record = logger._logger.makeRecord("quiesce", 40, __file__, 1, "the mail was not sent", (), None)
    line = json.loads(logger.registered_formatter.format(record))
    assert line["level"] == "ERROR"
    assert re.fullmatch(RFC_3339, line["timestamp"])
