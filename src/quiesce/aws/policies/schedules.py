"""The schedules of the stack's group in EventBridge Scheduler: read, list, put and delete."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from quiesce.aws.clients import code_of, repeatable
from quiesce.errors import ScheduleRefused
from quiesce.schedules.wanted import Definition

if TYPE_CHECKING:
    from mypy_boto3_scheduler import EventBridgeSchedulerClient

# What GetSchedule says of a schedule beside its definition.
ABOUT = {"Arn", "CreationDate", "LastModificationDate", "GroupName", "Name", "ResponseMetadata"}


@dataclass(frozen=True)
class Schedules:
    """The schedules of one group; every call is safe to repeat.

    Raises, in all of its calls:
        AwsThrottled, AwsUnavailable: the event is delivered again.
        AccessDenied: not retried.
    """

    client: "EventBridgeSchedulerClient"
    group: str

    def names(self, prefix: str = "") -> list[str]:
        """Return the names of the group's schedules that begin like this, through all pages."""
        beginning: dict[str, Any] = {"NamePrefix": prefix} if prefix else {}
        with repeatable("scheduler:ListSchedules"):
            pages = self.client.get_paginator("list_schedules").paginate(GroupName=self.group, **beginning)
            return [found["Name"] for page in pages for found in page["Schedules"]]

    def read(self, name: str) -> Definition | None:
        """Return every field of a schedule, None if there is none."""
        try:
            with repeatable("scheduler:GetSchedule"):
                found: dict[str, Any] = dict(self.client.get_schedule(GroupName=self.group, Name=name))
        except ClientError as error:
            if code_of(error) != "ResourceNotFoundException":
                raise
            return None
        return {key: value for key, value in found.items() if key not in ABOUT}

    def put(self, name: str, definition: Definition) -> None:
        """Make a schedule, or set every field of the one that is there.

        Raises:
            ScheduleRefused: EventBridge Scheduler does not take it; the schedule is as it was.
        """
        given: dict[str, Any] = {"GroupName": self.group, "Name": name, **definition}
        try:
            with repeatable("scheduler:CreateSchedule"):
                self.client.create_schedule(**given)
        except ClientError as error:
            if code_of(error) != "ConflictException":
                raise _refusal(name, error) from error
            self._update(name, given)

    def _update(self, name: str, given: dict[str, Any]) -> None:
        try:
            with repeatable("scheduler:UpdateSchedule"):
                self.client.update_schedule(**given)
        except ClientError as error:
            raise _refusal(name, error) from error

    def delete(self, name: str) -> None:
        """Delete a schedule; one that is gone already is success."""
        try:
            with repeatable("scheduler:DeleteSchedule"):
                self.client.delete_schedule(GroupName=self.group, Name=name)
        except ClientError as error:
            if code_of(error) != "ResourceNotFoundException":
                raise


def _refusal(name: str, error: ClientError) -> ScheduleRefused:
    words = error.response.get("Error", {}).get("Message", str(error))
    return ScheduleRefused(
        f"schedule {name}",
        f"EventBridge Scheduler refuses it ({code_of(error)}: {words})",
        "correct the policy's file; what was there before stays",
    )
