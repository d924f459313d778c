"""The logger and the metrics that all steps share: every line carries the run, the server and the step."""

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

logger = Logger(service="quiesce")
metrics = Metrics(namespace="Quiesce", service="quiesce")


def begin(step: str, **keys: str) -> None:
    """Put the step and these keys, which name what it works on, on every line that follows."""
    logger.append_keys(step=step, **keys)


def count_run(status: str, *, auto_thawed: bool) -> None:
    """Count one ended run under its status, and send it at once: a step that ends no run has nothing to flush."""
    metrics.add_metric(name=status, unit=MetricUnit.Count, value=1)
    metrics.add_metric(name="AutoThawed", unit=MetricUnit.Count, value=int(auto_thawed))
    metrics.flush_metrics()
