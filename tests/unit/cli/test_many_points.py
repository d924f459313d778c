"""A page of recovery points costs the same few calls, however many there are."""

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from moto.core.botocore_stubber import MockRawResponse
from quiesce_cli.aws.records import find_record
from quiesce_cli.aws.stack import moment, quick_session
from quiesce_cli.troubles import Usage

from quiesce.aws.bucket import Bucket
from quiesce.aws.pages.records import list_records, read_records
from quiesce.points.record import Record
from tests.support.environment import BUCKET
from tests.support.factories.run import INSTANCE, NOW, a_record

POINTS, PAGE = 10_000, 1000


class Store:
    """S3 with the records of many runs, as ListObjectsV2 and GetObject answer; anything else is an error."""

    def __init__(self, points: int = POINTS) -> None:
        self.calls: list[str] = []
        self.read: list[int] = []
        # The names are in another order than the times.
        self.written = {
            f"records/{INSTANCE}/run-{(n * 7919) % POINTS:05}.json": NOW + timedelta(minutes=n) for n in range(points)
        }
        self.keys = sorted(self.written)

    def answer(self, request, event_name, **_more) -> AWSResponse:
        call = event_name.rpartition(".")[2]
        self.calls.append(call)
        parts = urlsplit(request.url)
        query = parse_qs(parts.query)
        body = (
            self._list(query) if call == "ListObjectsV2" else self._get(unquote(parts.path).rpartition("records/")[2])
        )
        self.read.append(len(body))
        return AWSResponse(request.url, 200, {}, MockRawResponse(body.encode()))

    def _list(self, query: dict[str, list[str]]) -> str:
        keys = [key for key in self.keys if key.startswith(query["prefix"][0])]
        start = int(query.get("continuation-token", ["0"])[0])
        page, more = keys[start : start + PAGE], start + PAGE < len(keys)
        found = "".join(
            f"<Contents><Key>{escape(k)}</Key><LastModified>{self.written[k].isoformat()}</LastModified></Contents>"
            for k in page
        )
        token = f"<NextContinuationToken>{start + PAGE}</NextContinuationToken>" if more else ""
        truncated = f"<IsTruncated>{str(more).lower()}</IsTruncated>"
        return f"<ListBucketResult>{truncated}<KeyCount>{len(page)}</KeyCount>{token}{found}</ListBucketResult>"

    def _get(self, name: str) -> str:
        assert f"records/{name}" in self.written, name
        return a_record(run_id=name.rpartition("/")[2].removesuffix(".json")).model_dump_json()


def bucket_of(store: Store) -> Bucket:
    client = boto3.Session(botocore_session=quick_session()).client("s3")
    client.meta.events.register("before-send.s3", store.answer)
    return Bucket(client, client, BUCKET)


@pytest.fixture
def slowly_read(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Times that botocore reads its own way, which takes it most of 2 s of CPU for 10,000."""
    read: list[Any] = []
    monkeypatch.setattr("botocore.utils.parse_timestamp", read.append)
    monkeypatch.setattr("botocore.parsers.parse_timestamp", read.append)
    return read


def test_a_page_of_ten_thousand_points_is_read_with_a_call_for_each_thousand_and_one_for_each_row(
    slowly_read: list[Any],
) -> None:
    store = Store()
    bucket = bucket_of(store)
    page = read_records(bucket, list_records(bucket)[:20])
    assert store.calls.count("ListObjectsV2") == POINTS / PAGE
    assert store.calls.count("GetObject") == 20
    assert len(store.calls) == POINTS / PAGE + 20
    # As much as the names of the records, and the twenty that are shown: none of the others is read.
    assert sum(store.read) < POINTS * 180 + 20 * 5_000
    assert slowly_read == []
    newest = sorted(store.written, key=lambda key: store.written[key], reverse=True)[:20]
    assert [record.run_id for record in page if isinstance(record, Record)] == [
        key.rpartition("/")[2].removesuffix(".json") for key in newest
    ]


def test_one_run_among_ten_thousand_is_found_by_its_beginning_and_read_alone() -> None:
    store = Store()
    bucket = bucket_of(store)
    with pytest.raises(Usage, match="10 runs begin with 'run-0042'"):
        find_record(bucket, "run-0042")
    assert find_record(bucket, "run-00421").run_id == "run-00421"
    assert store.calls.count("GetObject") == 1


def test_a_run_that_is_named_after_its_server_is_looked_for_in_that_servers_folder_first() -> None:
    store = Store(10)
    key = f"records/{INSTANCE}/nightly-{INSTANCE}-20260314T013000Z.json"
    others = {f"records/i-0fedcba9876543210/run-{n}.json": NOW for n in range(PAGE)}
    store.written |= {key: NOW, **others}
    store.keys = sorted(store.written)
    assert find_record(bucket_of(store), f"nightly-{INSTANCE}-2026").run_id == f"nightly-{INSTANCE}-20260314T013000Z"
    assert store.calls == ["ListObjectsV2", "GetObject"]
    assert sum(store.read) < 11 * 200 + 5_000


def test_a_run_that_a_person_named_after_another_server_is_found_too() -> None:
    store = Store(0)
    store.written[f"records/{INSTANCE}/before-i-0fedcba9876543210.json"] = NOW
    store.keys = sorted(store.written)
    assert find_record(bucket_of(store), "before-i-0fedcba9876543210").instance_id == INSTANCE


@pytest.mark.parametrize("text", ["2026-03-14T01:30:00.000Z", "2026-03-14T01:30:00Z", 1773451800, "1773451800"])
def test_a_time_is_read_in_each_form_that_aws_writes(text: Any) -> None:
    assert moment(text) == NOW


def test_the_place_of_a_record_names_its_run() -> None:
    assert find_record(bucket_of(Store(10)), f"s3://{BUCKET}/records/{INSTANCE}/run-07919.json").run_id == "run-07919"


def test_a_run_that_is_not_there_is_a_usage_error_with_the_way_to_find_it() -> None:
    with pytest.raises(Usage, match="quiesce points --all lists them"):
        find_record(bucket_of(Store(10)), "nothing")
