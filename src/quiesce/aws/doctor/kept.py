"""What the doctor keeps: lists and diagnoses in the bucket, summaries and what was told in the table.

In the table ``pk`` is ``doctor`` or ``doctor-told``, ``sk`` is the instance id; a later examination writes over it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quiesce.aws.bucket import Bucket
from quiesce.aws.items import Items
from quiesce.doctor.diagnosis import Diagnosis
from quiesce.doctor.state import Item, Latest, Summary
from quiesce.errors import AwsUnavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SUMMARIES, TOLD = "doctor", "doctor-told"
LATEST = "doctor/latest.json"


@dataclass(frozen=True)
class Kept:
    """Table and bucket; every call is safe to repeat.

    Raises, in all of its calls:
        AwsThrottled, AwsUnavailable: retried by the state machine.
        AccessDenied: not retried.
    """

    bucket: Bucket
    dynamodb: "DynamoDBClient"
    table: str

    def write_items(self, execution_name: str, items: Sequence[Item]) -> str:
        """Write the servers to examine as the Distributed Map reads them: one JSON array; return its key."""
        key = f"doctor/lists/{execution_name}.json"
        self.bucket.write_json(key, json.dumps([item.model_dump(mode="json") for item in items]))
        return key

    def read_items(self, key: str) -> list[Item]:
        """Return the servers of a list."""
        return [Item.model_validate(item) for item in json.loads(self._read(key))]

    def keep(self, diagnosis: Diagnosis) -> None:
        """Keep the newest diagnosis of a server: the whole in the bucket, then its summary in the table."""
        self.bucket.write_json(_key(diagnosis.instance_id), diagnosis.model_dump_json())
        summary = Summary.of(diagnosis).model_dump_json()
        self._items.put(SUMMARIES, diagnosis.instance_id, {"summary": summary})

    def diagnosis(self, instance_id: str) -> Diagnosis:
        """Return the newest diagnosis of a server that was examined."""
        return Diagnosis.model_validate_json(self._read(_key(instance_id)))

    def summaries(self) -> dict[str, Summary]:
        """Return the newest summary of each server, by its id."""
        found = map(Summary.model_validate_json, self._items.query(SUMMARIES, "", "summary"))
        return {summary.instance_id: summary for summary in found}

    def write_latest(self, latest: Latest) -> str:
        """Write the newest summaries of all servers; return the place as people write it."""
        self.bucket.write_json(LATEST, latest.model_dump_json())
        return self.bucket.place(LATEST)

    def told(self) -> dict[str, str]:
        """Return the servers of which people were told that they are below their policy's level, with the words."""
        return dict(map(json.loads, self._items.query(TOLD, "", "told")))

    def remember(self, told: Mapping[str, str], over: Sequence[str]) -> None:
        """Remember what people were told, and forget those of which it is over."""
        for server, words in told.items():
            self._items.put(TOLD, server, {"told": json.dumps([server, words])})
        for server in over:
            self._items.delete(TOLD, server, "attribute_exists(pk)", {})

    @property
    def _items(self) -> Items:
        return Items(self.dynamodb, self.table)

    def _read(self, key: str) -> str:
        text = self.bucket.read_json(key)
        if text is None:
            raise AwsUnavailable(f"s3:GetObject: {self.bucket.place(key)} is not there")
        return text


def _key(instance_id: str) -> str:
    return f"doctor/{instance_id}.json"
