"""What fixes have changed, and what it was before: in the table, and for people in the bucket.

In the table ``pk`` is ``doctor-fix#<fix id>``, ``sk`` the instance id.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from quiesce.aws.bucket import Bucket
from quiesce.aws.items import Items
from quiesce.doctor.fix import Fix

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@dataclass(frozen=True)
class Fixes:
    """Table and bucket; every call is safe to repeat.

    Raises, in all of its calls:
        AwsThrottled, AwsUnavailable: retried by the state machine.
        AccessDenied: not retried.
    """

    bucket: Bucket
    dynamodb: "DynamoDBClient"
    table: str

    def keep(self, fix: Fix) -> None:
        """Keep a fix of one server as it is now: first where an undo reads it."""
        content = fix.model_dump_json()
        self._items.put(_partition(fix.id), fix.instance_id, {"fix": content})
        self.bucket.write_json(fix_key(fix), content)

    def read(self, fix_id: str, instance_id: str) -> Fix | None:
        """Return the fix of one server, None if it has changed nothing there."""
        found = self._items.read(_partition(fix_id), instance_id).get("fix")
        return Fix.model_validate_json(found) if found else None

    def of(self, fix_id: str) -> list[Fix]:
        """Return the fixes of all servers of an id, in the order of theirs; none if there is no such fix."""
        return [Fix.model_validate_json(each) for each in self._items.query(_partition(fix_id), "", "fix")]

    @property
    def _items(self) -> Items:
        return Items(self.dynamodb, self.table)


def fix_key(fix: Fix) -> str:
    """Return the name of a fix of one server in the bucket."""
    return f"fixes/{fix.id}/{fix.instance_id}.json"


def _partition(fix_id: str) -> str:
    return f"doctor-fix#{fix_id}"
