"""All steps, in the order in which they are taken: those that need a run come after it."""

from tools.verify_on_aws import (
    steps_ec2,
    steps_limits,
    steps_rights,
    steps_runs,
    steps_ssm,
    steps_stack,
    steps_watch,
    steps_windows,
)
from tools.verify_on_aws.session import Step

_MODULES = (steps_stack, steps_ssm, steps_ec2, steps_runs, steps_rights, steps_limits, steps_windows, steps_watch)
_BY_NAME = {step.name: step for module in _MODULES for step in module.STEPS}
ORDER = (
    *("deployment", "public-images", "launch-dry-run", "agent-latency", "allowed-pattern", "document-versions"),
    *("agent-queue", "windows-beliefs", "excluded-root", "missing-policy", "first-run", "vss-run", "package-link"),
    *("stopped-run", "large-input", "redriven-run", "initial-image", "snapshots-by-tag", "function-rights"),
    *("customer-key", "policy-run", "volume-token", "devices", "security-group", "recovery", "stopped-server"),
    *("disabled-key", "alarm-topics", "missed-schedule", "metrics-at-error", "dead-function", "stack-key"),
    *("hibernation", "image-at-once", "snapshot-limits", "terminated-server"),
)
STEPS: tuple[Step, ...] = tuple(_BY_NAME[name] for name in ORDER)


def table() -> str:
    """Return the table of all steps, for docs/operate/verify-on-aws.md."""
    rows = [f"| `{step.name}` | {step.beliefs} | {step.expected} |" for step in STEPS]
    return "\n".join(["| Step | We believe | Expected |", "|---|---|---|", *rows])


if __name__ == "__main__":
    print(table())  # noqa: T201
