"""Writes of several items at once: all or none, and what kept them from being written has a name."""

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from quiesce.aws.items import PASSING, Items, Write
from quiesce.errors import AwsThrottled

WRITES = (
    Write.put("pk", "run", {"a": "b"}, "attribute_not_exists(pk)"),
    Write.delete("pk", "lease", "a = :a", {":a": "b"}),
)


@pytest.fixture
def cancelled() -> Any:
    """Write two items of which DynamoDB cancels the transaction, with a reason for each."""
    client = boto3.client("dynamodb", region_name="eu-central-1")

    def cancelled(*reasons: str) -> bool:
        with Stubber(client) as stub:
            stub.add_client_error(
                "transact_write_items",
                "TransactionCanceledException",
                modeled_fields={"CancellationReasons": [{"Code": reason} for reason in reasons]},
            )
            return Items(client, "table").write_together(*WRITES)

    return cancelled


@pytest.mark.parametrize("other", ["None", "ConditionalCheckFailed", *sorted(PASSING)])
def test_a_condition_that_does_not_hold_is_an_answer_whatever_else_stood_in_the_way(other: str, cancelled: Any) -> None:
    assert cancelled("ConditionalCheckFailed", other) is False


@pytest.mark.parametrize("reason", sorted(PASSING))
def test_what_passes_is_tried_again(reason: str, cancelled: Any) -> None:
    with pytest.raises(AwsThrottled, match=r"^dynamodb:TransactWriteItems: "):
        cancelled("None", reason)


def test_what_does_not_pass_keeps_its_own_name(cancelled: Any) -> None:
    with pytest.raises(boto3.client("dynamodb", region_name="eu-central-1").exceptions.ClientError, match="Canceled"):
        cancelled("ValidationError", "None")
