"""The stack's alarms in CloudWatch, and who hears of them by mail."""

from typing import NamedTuple

from quiesce.aws.clients import repeatable
from quiesce_cli.answers.shapes import AlarmStatus
from quiesce_cli.aws.stack import client

PENDING = "PendingConfirmation"


class Subscriber(NamedTuple):
    """Who hears of runs and alarms; ``confirmed`` is false until they have followed the link in SNS's mail."""

    address: str
    confirmed: bool
    protocol: str = "email"


def alarms_on(stack: str) -> list[AlarmStatus]:
    """Return the stack's alarms that are on."""
    with repeatable("cloudwatch:DescribeAlarms"):
        pages = client("cloudwatch").get_paginator("describe_alarms")
        found = pages.paginate(AlarmNamePrefix=f"{stack}-", StateValue="ALARM", AlarmTypes=["MetricAlarm"])
        return [
            AlarmStatus(
                name=alarm["AlarmName"],
                state=alarm["StateValue"],
                about=alarm.get("AlarmDescription", ""),
                since=alarm["StateUpdatedTimestamp"],
            )
            for page in found
            for alarm in page["MetricAlarms"]
        ]


def subscribers(topic_arn: str) -> list[Subscriber]:
    """Return who hears of runs by the stack's topic."""
    with repeatable("sns:ListSubscriptionsByTopic"):
        pages = client("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic_arn)
        return [
            Subscriber(each["Endpoint"], each["SubscriptionArn"] != PENDING, each["Protocol"])
            for page in pages
            for each in page["Subscriptions"]
        ]


def subscribe(topic_arn: str, address: str) -> None:
    """Have SNS send an address a mail with a link; whoever is subscribed already stays so."""
    with repeatable("sns:Subscribe"):
        client("sns").subscribe(TopicArn=topic_arn, Protocol="email", Endpoint=address)
