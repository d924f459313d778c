"""The logger and the metrics that all steps share: every line carries the run, the server and the step."""

import logging
from collections.abc import Mapping
from datetime import datetime

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

# Lambda reads level and time of each line that a function prints, and takes another form of time for none.
logger = Logger(service="quiesce", use_rfc3339=True)
metrics = Metrics(namespace="Quiesce", service="quiesce")
# The names of levels that are not Python's: Lambda developer guide, "Log-level filtering".
LAMBDA_LEVELS = {"WARNING": "WARN", "CRITICAL": "FATAL"}

UNITS = {"AgeOfNewestGoodPoint": MetricUnit.Seconds, "FreezeMilliseconds": MetricUnit.Milliseconds}


def begin(step: str, **keys: str) -> None:
    """Put the step and these keys, which name what it works on, on every line that follows."""
    logger.append_keys(step=step, **keys)


def count_run(status: str, *, stack: str, ended_at: datetime, auto_thawed: bool) -> None:
    """Count one ended run of a stack under its status, and send it at once.

    Args:
        status: the run's, which is the metric's name.
        stack: its name, so that no stack raises another one's alarm.
        ended_at: in UTC.
        auto_thawed: counted under a name of its own, 1 or 0.
    """
    _begin_metrics(stack, ended_at)
    metrics.add_metric(name=status, unit=MetricUnit.Count, value=1)
    metrics.add_metric(name="AutoThawed", unit=MetricUnit.Count, value=int(auto_thawed))
    metrics.flush_metrics()


def measure(values: Mapping[str, float], *, stack: str, at: datetime, policy: str = "") -> None:
    """Send measures of a stack, or of one of its policies, at once.

    Args:
        values: by the metric's name.
        stack: its name.
        at: as of when, in UTC.
        policy: whose they are; CloudWatch charges for each name of each policy, so there are at most four.
    """
    _begin_metrics(stack, at)
    if policy:
        metrics.add_dimension(name="policy", value=policy)
    for name, value in values.items():
        metrics.add_metric(name=name, unit=UNITS.get(name, MetricUnit.Count), value=value)
    metrics.flush_metrics()


def _begin_metrics(stack: str, at: datetime) -> None:
    metrics.add_dimension(name="stack", value=stack)
    # A line without both is INFO to Lambda: where LogLevel is WARNING or ERROR, it would drop line and metrics.
    level = logging.getLevelName(logger.log_level)
    metrics.add_metadata(key="level", value=LAMBDA_LEVELS.get(level, level))
    metrics.add_metadata(key="timestamp", value=at.isoformat(timespec="milliseconds"))
