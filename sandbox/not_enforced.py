"""What no run in the sandbox can prove, by name. Tests of the template and of the definitions look at these instead."""

SERVICES_NOT_ENFORCED = ("logs:", "xray:", "kms:")
"""Actions that no call of a function is checked for."""

NOT_ENFORCED = {
    "state machine roles": "the engine calls functions in its own process",
    "Scheduler and EventBridge targets": "roles not looked at; no time zone, no retries, no dead letters",
    "iam:PassRole": "the deployer is the account's root",
    "logs and xray": "a function's log lines do not travel by API call",
    "KMS": "keys are not modelled",
    "point-in-time recovery": "dropped by MiniStack's CloudFormation",
    "TimeoutSeconds of a machine, MaxDelaySeconds, JitterStrategy": "ignored by MiniStack's engine",
    "StartExecution under a taken name": "always ExecutionAlreadyExists, even while it runs with the same input",
}
