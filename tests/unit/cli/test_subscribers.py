"""Who hears of runs: an address that has not confirmed is no help on the day."""

import boto3
import pytest
from botocore.stub import Stubber
from quiesce_cli.aws import alarms

from tests.support.environment import TOPIC_ARN


def test_an_address_that_has_not_confirmed_is_told_from_one_that_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """SNS lists a pending subscription under this word instead of an ARN (API reference, Subscription)."""
    sns = boto3.client("sns")
    pending = {
        "SubscriptionArn": "PendingConfirmation",
        "Endpoint": "new@example.com",
        "TopicArn": TOPIC_ARN,
        "Protocol": "email",
    }
    known = {"SubscriptionArn": f"{TOPIC_ARN}:1", "Endpoint": "+4930", "TopicArn": TOPIC_ARN, "Protocol": "sms"}
    monkeypatch.setattr(alarms, "client", lambda _service: sns)
    with Stubber(sns) as stub:
        stub.add_response("list_subscriptions_by_topic", {"Subscriptions": [pending, known]}, {"TopicArn": TOPIC_ARN})
        assert alarms.subscribers(TOPIC_ARN) == [
            ("new@example.com", False, "email"),
            ("+4930", True, "sms"),
        ]
