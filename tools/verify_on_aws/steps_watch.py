"""Steps on what tells people: alarms and their topics, missed schedules, metrics, and how a dead function is named."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from tools.verify_on_aws.session import TAG, Seen, Step, Verification, seen
from tools.verify_on_aws.steps_rights import ROLE_LIMIT_S, key_alias

ACTION_LIMIT_S, METRIC_LIMIT_S, MESSAGE_LIMIT_S, UPDATE_LIMIT_S, DEATH_LIMIT_S = 300.0, 1800.0, 900.0, 900.0, 300.0
# The error names that the state machines try again (template.yaml, TransientErrors).
DIED = {"Sandbox.Timedout", "Lambda.Unknown", "Runtime.ExitError", "States.Timeout"}
SUCCEEDED, FAILED = "Successfully executed action", "Failed to execute action"
# Little for a function that loads boto3.
SMALLEST_MB = 128


def topic_name(name: str) -> str:
    """Return the name of the topic, and of its alarm, under AWS's own key."""
    return f"{name}-sns-key"


def alarm_topics(it: Verification) -> Seen:
    """Set off an alarm of the stack, and one whose topic is under ``alias/aws/sns``; read what became of both."""
    calls, name = it.calls, topic_name(it.name)
    tags = [{"Key": TAG, "Value": it.name}]
    topic = calls("sns:CreateTopic", Name=name, Attributes={"KmsMasterKeyId": "alias/aws/sns"}, Tags=tags)["TopicArn"]
    calls(
        "cloudwatch:PutMetricAlarm",
        AlarmName=name,
        Namespace="QuiesceVerify",
        MetricName="None",
        Statistic="Sum",
        Period=300,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
        AlarmActions=[str(topic)],
        Tags=tags,
    )
    ours = set_off(it, str(it.resources["MissedScheduleAlarm"]))
    theirs = set_off(it, name)
    words = f"the stack's topic: {ours}; a topic under alias/aws/sns: {theirs}"
    return seen(ours.startswith(SUCCEEDED) and theirs.startswith(FAILED), words)


def set_off(it: Verification, alarm: str) -> str:
    """Set off an alarm, and return what CloudWatch says of its action."""
    it.calls("cloudwatch:SetAlarmState", AlarmName=alarm, StateValue="ALARM", StateReason="verify-on-aws")
    history = it.calls.until(
        "cloudwatch:DescribeAlarmHistory",
        lambda found: bool(found["AlarmHistoryItems"]),
        limit_s=ACTION_LIMIT_S,
        AlarmName=alarm,
        HistoryItemType="Action",
    )
    return str(history["AlarmHistoryItems"][0]["HistorySummary"])


def missed_schedule(it: Verification) -> Seen:
    """Schedule a start that fails, under the schedule's own role, and look for its message and the queue's metric."""
    calls, url = it.calls, str(it.resources["MissedSchedules"])
    role = calls("iam:GetRole", RoleName=str(it.resources["ScheduleRole"]))["Role"]["Arn"]
    queue = calls("sqs:GetQueueAttributes", QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    began = datetime.now(UTC)
    target = {
        # No such machine, and the role may not start it.
        "Arn": f"{it.outputs['PolicyMachineArn']}-gone",
        "RoleArn": str(role),
        "DeadLetterConfig": {"Arn": str(queue)},
        "RetryPolicy": {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60},
        "Input": "{}",
    }
    calls(
        "scheduler:CreateSchedule",
        Name=it.name,
        # The role trusts no other; the group goes with the stack, and with it what is left in it.
        GroupName=str(it.resources["ScheduleGroup"]),
        ScheduleExpression=f"at({began + timedelta(minutes=1):%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow={"Mode": "OFF"},
        ActionAfterCompletion="DELETE",
        Target=target,
    )
    calls.until(
        "sqs:GetQueueAttributes",
        lambda found: int(found["Attributes"]["ApproximateNumberOfMessages"]) > 0,
        limit_s=MESSAGE_LIMIT_S,
        QueueUrl=url,
        AttributeNames=["ApproximateNumberOfMessages"],
    )
    counted = _await_metric(it, began, "AWS/SQS", "NumberOfMessagesSent", {"QueueName": str(queue).rpartition(":")[2]})
    return seen(counted > 0, f"the queue got the message; NumberOfMessagesSent counted {counted:g}")


def metrics_at_error(it: Verification) -> Seen:
    """Let Report log errors only, run a backup, and look for the metric of its run."""
    name, began = str(it.resources["ReportFunction"]), datetime.now(UTC)
    logging = it.calls("lambda:GetFunctionConfiguration", FunctionName=name)["LoggingConfig"]
    changed = {key: str(logging[key]) for key in ("LogFormat", "LogGroup")} | {"ApplicationLogLevel": "ERROR"}
    with _changed(it, name, {"LoggingConfig": changed}, {"LoggingConfig": {**changed, "ApplicationLogLevel": "INFO"}}):
        record = it.run("metrics-at-error", {"policy": it.policy(vss="off"), "instance_id": it.instance_id})
        status = str(record.get("status"))
        dimensions = {"service": "quiesce", "stack": it.name}
        counted = _await_metric(it, began, "Quiesce", status, dimensions)
    return seen(counted > 0, f"a run that was {status} counted {counted:g} in the metric of this name")


def dead_function(it: Verification) -> Seen:
    """Give Plan one second, then little memory; read by which error Step Functions reports it, and stop the run."""
    name = str(it.resources["PlanFunction"])
    has = it.calls("lambda:GetFunctionConfiguration", FunctionName=name)
    found = {}
    for what, setting, value in (("one second", "Timeout", 1), ("little memory", "MemorySize", SMALLEST_MB)):
        with _changed(it, name, {setting: value}, {setting: has[setting]}):
            arn = it.start(f"dead-function-{setting}", {"policy": it.policy(vss="off"), "instance_id": it.instance_id})
            events = it.calls.until(
                "stepfunctions:GetExecutionHistory",
                lambda found: bool(_errors(found["events"])) or _left_plan(found["events"]),
                limit_s=DEATH_LIMIT_S,
                executionArn=arn,
                maxResults=1000,
            )["events"]
            it.calls("stepfunctions:StopExecution", executionArn=arn, error="VerifyOnAws", cause="seen enough")
            found[what] = sorted(_errors(events))
    words = "; ".join(f"{what}: {', '.join(errors) or 'no error'}" for what, errors in found.items())
    names = {error for errors in found.values() for error in errors}
    return seen(names <= DIED, words) if names else Seen("not seen", words)


def _errors(events: Any) -> set[str]:
    details = [event[key] for event in events for key in _failures(event)]
    return {str(each.get("error")) for each in details}


def _failures(event: Any) -> list[str]:
    kinds = ("lambdaFunctionFailedEventDetails", "lambdaFunctionTimedOutEventDetails", "taskFailedEventDetails")
    return [key for key in (*kinds, "taskTimedOutEventDetails") if key in event]


def _left_plan(events: Any) -> bool:
    return any(str(e["stateExitedEventDetails"]["name"]) == "Plan" for e in events if "stateExitedEventDetails" in e)


@contextmanager
def _changed(it: Verification, function: str, new: dict[str, Any], old: dict[str, Any]) -> Iterator[None]:
    """Change a function's configuration, and change it back whatever happens."""

    def settle(configuration: dict[str, Any]) -> None:
        it.calls("lambda:UpdateFunctionConfiguration", FunctionName=function, **configuration)
        it.calls.until(
            "lambda:GetFunctionConfiguration",
            lambda found: found["LastUpdateStatus"] == "Successful",
            limit_s=UPDATE_LIMIT_S,
            FunctionName=function,
        )

    settle(new)
    try:
        yield
    finally:
        settle(old)


def _await_metric(it: Verification, since: datetime, space: str, metric: str, dimensions: dict[str, str]) -> float:
    """Return the sum of a metric since then, once CloudWatch has any."""
    counted: Callable[[Any], float] = lambda found: sum(float(str(p["Sum"])) for p in found["Datapoints"])  # noqa: E731
    found = it.calls.until(
        "cloudwatch:GetMetricStatistics",
        lambda answer: counted(answer) > 0,
        limit_s=METRIC_LIMIT_S,
        Namespace=space,
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=since - timedelta(minutes=5),
        EndTime=since + timedelta(hours=2),
        Period=300,
        Statistics=["Sum"],
    )
    return 1.0 if it.calls.dry else counted(found)


def stack_key(it: Verification) -> Seen:
    """Put the stack under the verification's own key, run a backup, and set off an alarm."""
    if not it.key and not it.calls.dry:
        return Seen("not seen", "the step customer-key made no key")
    calls, key = it.calls, it.key or "<key>"
    found = calls("kms:GetKeyPolicy", KeyId=key, PolicyName="default")["Policy"]
    policy = {} if calls.dry else json.loads(found)
    services = {"Service": ["cloudwatch.amazonaws.com", f"logs.{it.region}.amazonaws.com"]}
    use = ["kms:Decrypt", "kms:Encrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
    statement = {"Effect": "Allow", "Principal": services, "Action": use, "Resource": "*"}
    changed = {**policy, "Statement": [*policy.get("Statement", []), statement]}
    calls("kms:PutKeyPolicy", KeyId=key, PolicyName="default", Policy=json.dumps(changed))
    stack = calls("cloudformation:DescribeStacks", StackName=it.name)["Stacks"][0]
    kept = [str(p["ParameterKey"]) for p in stack["Parameters"] if str(p["ParameterKey"]) != "EncryptionKey"]
    parameters: list[dict[str, Any]] = [{"ParameterKey": name, "UsePreviousValue": True} for name in kept]
    calls(
        "cloudformation:UpdateStack",
        StackName=it.name,
        UsePreviousTemplate=True,
        Parameters=[*parameters, {"ParameterKey": "EncryptionKey", "ParameterValue": key}],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    ended = calls.until(
        "cloudformation:DescribeStacks",
        lambda found: not str(found["Stacks"][0]["StackStatus"]).endswith("IN_PROGRESS"),
        limit_s=UPDATE_LIMIT_S + ROLE_LIMIT_S,
        StackName=it.name,
    )["Stacks"][0]["StackStatus"]
    if str(ended) != "UPDATE_COMPLETE" and not calls.dry:
        return Seen("otherwise", f"the update ended as {ended}")
    record = it.run("stack-key", {"policy": it.policy(vss="off"), "instance_id": it.instance_id})
    told = set_off(it, str(it.resources["SweepAlarm"]))
    words = f"the stack is under {key_alias(it.name)}; a backup: {record.get('status', record)}; an alarm: {told}"
    return seen(record.get("status") == "Successful" and told.startswith(SUCCEEDED), words)


STEPS = (
    Step(
        "alarm-topics",
        "CloudWatch publishes to the stack's topic, and can't to one under alias/aws/sns",
        "executed; failed",
        alarm_topics,
    ),
    Step(
        "missed-schedule",
        "a start that Scheduler gives up reaches the queue with the schedule's role, and counts in its metric",
        "a message, and 1 or more in NumberOfMessagesSent",
        missed_schedule,
    ),
    Step(
        "metrics-at-error",
        "Lambda keeps a printed line of metrics where the function logs errors only",
        "the run counts in its metric",
        metrics_at_error,
    ),
    Step(
        "dead-function",
        "how Step Functions reports a function that ran out of time, or of memory",
        "Sandbox.Timedout, Runtime.ExitError, Lambda.Unknown or States.Timeout",
        dead_function,
    ),
    Step(
        "stack-key",
        "under EncryptionKey the roles need no more of the key, and CloudWatch can publish",
        "Successful; executed",
        stack_key,
    ),
)
