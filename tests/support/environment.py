"""The environment of the functions in tests: the template's variables, and credentials without any rights."""

ACCOUNT = "123456789012"
REGION = "eu-central-1"
STACK = "quiesce"
TABLE = "quiesce-table"
BUCKET = "quiesce-bucket"
LOOK_DOCUMENT, ACT_DOCUMENT = "quiesce-LookDocument", "quiesce-ActDocument"
MEND_DOCUMENT, UPDATE_DOCUMENT, COMPONENTS_DOCUMENT = (
    f"quiesce-{kind}Document" for kind in ("Mend", "Update", "Components")
)
# The instance profile that the stack has with ServerProfile: yes.
SERVER_PROFILE = f"arn:aws:iam::{ACCOUNT}:instance-profile/quiesce-InstanceProfile"
TOPIC_ARN = f"arn:aws:sns:{REGION}:{ACCOUNT}:quiesce-topic"
SCHEDULE_GROUP = "quiesce-schedules"

# Step Functions' limit for what one state passes to the next; more ends the execution, past any Catch.
MAX_STATE_BYTES = 256 * 1024

ENVIRONMENT = {
    "STACK_NAME": STACK,
    "TABLE_NAME": TABLE,
    "BUCKET_NAME": BUCKET,
    "TOPIC_ARN": TOPIC_ARN,
    "LOOK_DOCUMENT": LOOK_DOCUMENT,
    "ACT_DOCUMENT": ACT_DOCUMENT,
    "MAY_BE_CHANGED": "yes",
    "SERVER_PROFILE": SERVER_PROFILE,
    "MEND_DOCUMENT": MEND_DOCUMENT,
    "UPDATE_DOCUMENT": UPDATE_DOCUMENT,
    "COMPONENTS_DOCUMENT": COMPONENTS_DOCUMENT,
    "TIMEZONE": "Europe/Berlin",
    "SNAPSHOT_FUNCTION": "quiesce-SnapshotFunction",
    "SNAPSHOT_BY_AWS_FUNCTION": "quiesce-SnapshotByAwsFunction",
    "THAW_FUNCTION": "quiesce-ThawFunction",
    "SCHEDULE_GROUP": SCHEDULE_GROUP,
    "MACHINE_ARN": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:quiesce-policy",
    "SCHEDULE_ROLE_ARN": f"arn:aws:iam::{ACCOUNT}:role/quiesce-schedules",
    "MISSED_QUEUE_ARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:quiesce-missed",
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    # moto's own list of AMIs takes seconds to load; the tests register their own.
    "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",
    # Else it looks at each request for the account that the key belongs to, in every partition of AWS.
    "MOTO_ACCOUNT_ID": ACCOUNT,
}
