"""What a run in the sandbox cannot prove, by name; tests of the template and of the definitions check it instead.

The sandbox's own tests show that most of these gaps still exist: delete an entry once a newer MiniStack closes its gap.
"""

SERVICES_NOT_ENFORCED = ("logs:", "xray:")
"""The sandbox does not check calls of these services."""

NOT_ENFORCED = {
    "state machine roles": "the engine calls functions in its own process",
    "Scheduler and EventBridge targets": "roles and retries are ignored, and so are EventBridge's dead-letter queues",
    "iam:PassRole": "the deployer is the account's root",
    "logs, xray": "a function logs without an API call",
    "key policies": "the sandbox checks what a role may do with a key, and takes the key's own policy to allow it",
    "point-in-time recovery": "dropped by MiniStack's CloudFormation",
    "TimeoutSeconds of a machine": "ignored by MiniStack's engine",
    "MaxDelaySeconds and JitterStrategy": "ignored by MiniStack's engine",
    "256 KiB between states": "MiniStack's engine has no limit",
    "StartExecution under a taken name": "always ExecutionAlreadyExists, even while it runs with the same input",
    "States.Runtime": "moto's engine catches a missing path by States.ALL, and to MiniStack's it is null",
    "DryRun": "moto says of most calls that they would succeed, also for a server that does not exist",
    "lambda:SourceFunctionArn": "a condition key that no call of a function carries",
    "networks and keys of a stack": "dropped by MiniStack's CloudFormation: tests/template/test_organizations.py",
    "queue policies": "stored, and evaluated by none; the sender is always the account",
    "static checks": (
        "asl-validator and statelint pass a States.ALL before another retrier, cfn-lint no definition in a template "
        "with a Transform, sam validate and sam build an AWS::Include file that is not there"
    ),
}
