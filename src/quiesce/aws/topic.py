"""The topic: its subscribers get a mail about every run that went wrong, and about every recovery."""

from typing import TYPE_CHECKING

from quiesce.aws.clients import repeatable

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient


def publish(client: "SNSClient", topic_arn: str, subject: str, text: str) -> None:
    """Publish one notice; a repeated one is a second mail, which is better than none."""
    with repeatable("sns:Publish"):
        client.publish(TopicArn=topic_arn, Subject=subject, Message=text)
