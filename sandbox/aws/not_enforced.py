"""What no run in the sandbox can prove, by name: tests of the template and of the definitions look at these instead.

The sandbox's own tests show for most of them that they are still so: one that a newer MiniStack mends leaves the list.
"""

SERVICES_NOT_ENFORCED = ("logs:", "xray:", "kms:")
"""Actions that no call of a function is checked for."""

NOT_ENFORCED = {
    "state machine roles": "the engine calls functions in its own process",
    "schedule time zones": "dropped by MiniStack's CloudFormation",
    "Scheduler and EventBridge targets": "delivered without a look at roles, retries and dead-letter queues",
    "iam:PassRole": "the deployer is the account's root",
    "logs, xray, kms": "a function's log lines do not travel by API call; keys are not modelled",
    "point-in-time recovery": "dropped by MiniStack's CloudFormation",
    "TimeoutSeconds of a machine": "ignored by MiniStack's engine",
    "MaxDelaySeconds and JitterStrategy": "ignored by MiniStack's engine",
    "256 KiB between states": "MiniStack's engine knows no limit",
    "StartExecution under a taken name": "always ExecutionAlreadyExists, even while it runs with the same input",
}
