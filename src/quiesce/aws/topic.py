"""The topic: its subscribers get a mail about every run that went wrong, and about every recovery."""

from typing import TYPE_CHECKING

from quiesce.aws.clients import ANY_REFUSAL, repeatable
from quiesce.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient


def publish(client: "SNSClient", topic_arn: str, subject: str, text: str) -> None:
    """Publish one notice; a repeated one is a second mail, which is better than none."""
    with repeatable("sns:Publish"):
        client.publish(TopicArn=topic_arn, Subject=subject, Message=text)


def publish_or_note(client: "SNSClient", topic_arn: str, subject: str, text: str) -> str:
    """Publish a notice of something that stays true without it; return why it was not sent, as a note, else nothing."""
    try:
        publish(client, topic_arn, subject, text)
    except ANY_REFUSAL as error:
        logger.exception("the mail was not sent")
        return f"the mail was not sent: {error}"
    return ""
