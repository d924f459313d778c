"""A server with 10,000 runs: how often the table is asked by all that read its records, and with what answer."""

from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest

from quiesce.aws.items import Items
from quiesce.aws.recoveries import Recoveries
from quiesce.aws.retention.outcomes import Outcomes
from quiesce.aws.retention.points import RELISTED, Points, sort_key
from quiesce.aws.retention.server_lists import ServerLists
from quiesce.errors import AwsThrottled
from quiesce.points.listed import listed
from quiesce.retention.state import Finished, GroupPlan, RetentionState, ServerPlan
from quiesce.steps.retention.tell import Teller
from tests.support.factories.run import INSTANCE, a_record, a_snapshot
from tests.unit.aws.grown_table import GrownTable

RUNS, HOURLY = 10_000, timedelta(hours=1)
FIRST = datetime(2025, 10, 1, 2, tzinfo=UTC)
NOW = FIRST + RUNS * HOURLY


def at(number: int) -> datetime:
    return FIRST + number * HOURLY


def a_run(number: int, record: str) -> str:
    """Return a record, out of the text of one: to make 10,000 models would take longer than all that is measured."""
    return record.replace("the-run", f"run-{number:05}").replace(
        "2001-01-01T00:00:00", f"{at(number):%Y-%m-%dT%H:%M:%S}"
    )


@pytest.fixture(scope="module")
def grown():
    """A server whose 10,000 hourly runs have all left snapshots."""
    table, base = GrownTable(), datetime(2001, 1, 1, tzinfo=UTC)
    parts = a_snapshot().model_dump(include={"snapshot_id", "volume_id", "size_gib", "state", "started_at"})
    snapshots = [{**parts, "completed_at": None, "device": "xvdf", "root": False, "volume": None}]
    times = dict.fromkeys(("started_at", "snapshots_at", "ended_at"), base)
    model = a_record(run_id="the-run", record="", execution="", snapshots=snapshots, **times)
    record, point = model.model_dump_json(), listed(model).model_dump_json()
    table.put("servers", INSTANCE, name="SERVER1", runs_listed_at=NOW.isoformat())
    for number in range(RUNS):
        key, run_id = sort_key(at(number), f"run-{number:05}"), f"run-{number:05}"
        table.put(INSTANCE, f"run#{run_id}", record=a_run(number, record), status="Successful")
        table.put(f"points#{INSTANCE}", key, run=run_id, point=a_run(number, point))
    return table


@pytest.fixture
def table(grown):
    grown.calls.clear()
    return grown


def test_a_recovery_to_the_latest_reads_a_page_of_the_list_and_its_records_alone(table):
    assert Points(table, "table").has_all_runs(INSTANCE)
    window = Recoveries(table, "table").around(INSTANCE, None, 20)
    assert {point.run_id for point in window.points} == {f"run-{n:05}" for n in range(RUNS - 20, RUNS)}
    assert (window.goes_on_before, window.goes_on_after) == (True, False)
    assert table.calls == ["GetItem servers", f"Query points#{INSTANCE}", "BatchGetItem 20"]


def test_a_recovery_to_a_time_reads_what_is_on_both_sides_of_it(table):
    """The run of that very second is before it."""
    window = Recoveries(table, "table").around(INSTANCE, at(5_000), 20)
    assert {point.run_id for point in window.points} == {f"run-{n:05}" for n in range(4_981, 5_021)}
    assert (window.goes_on_before, window.goes_on_after) == (True, True)
    assert table.calls == [f"Query points#{INSTANCE}"] * 2 + ["BatchGetItem 40"]


def test_at_either_end_of_the_list_nothing_goes_on(table):
    first = Recoveries(table, "table").around(INSTANCE, at(0), 20)
    assert (len(first.points), first.goes_on_before, first.goes_on_after) == (21, False, True)
    assert Recoveries(table, "table").around("i-0fedcba9876543210", None, 20).is_whole


def test_a_recovery_point_is_found_by_its_id_and_of_a_beginning_no_more_than_is_told_is_read(table):
    recoveries = Recoveries(table, "table")
    assert [point.run_id for point in recoveries.named(INSTANCE, "run-00007")] == ["run-00007"]
    assert table.calls == ["BatchGetItem 1"]
    assert len(recoveries.named(INSTANCE, "run-")) == 6
    assert table.calls[1:] == ["BatchGetItem 1", f"Query {INSTANCE}"]


def test_retention_lists_the_points_by_pages_and_reads_what_became_of_a_hundred_at_a_time(table):
    points = Points(table, "table")
    found = points.of_server(INSTANCE, NOW)
    truths = points.truths(found)
    assert ([point.run_id for point in found[:2]], len(truths)) == (["run-00000", "run-00001"], RUNS)
    assert all(truth.status == "Successful" and not truth.removing for truth in truths.values())
    pages = table.calls.count(f"Query points#{INSTANCE}")
    assert pages <= 6
    assert table.calls == ["GetItem servers", *[f"Query points#{INSTANCE}"] * pages, *["BatchGetItem 100"] * 100]


def test_the_records_are_gone_through_once_a_week_and_by_retention_alone(table):
    Points(table, "table").of_server(INSTANCE, NOW + RELISTED - HOURLY)
    assert f"Query {INSTANCE}" not in table.calls
    few = GrownTable(items={INSTANCE: dict(list(table.items[INSTANCE].items())[:100])})
    few.update_item = lambda **given: None
    assert not Points(few, "table").has_all_runs(INSTANCE)
    assert len(Points(few, "table").of_server(INSTANCE, NOW)) == 100
    assert few.calls.count(f"Query {INSTANCE}") == 2


def test_what_dynamodb_leaves_unread_is_asked_for_again_and_nothing_read_is_asking_for_slower_calls(table):
    answer, asked = table.batch_get_item, []

    def half(**given):
        [(name, wanted)] = given["RequestItems"].items()
        asked.append(len(wanted["Keys"]))
        rest = wanted["Keys"][1:]
        some = answer(RequestItems={name: {**wanted, "Keys": wanted["Keys"][:1]}})
        return {**some, "UnprocessedKeys": {name: {**wanted, "Keys": rest}} if rest else {}}

    table.batch_get_item = half
    keys = [(INSTANCE, f"run#run-{n:05}") for n in range(3)]
    assert list(Items(table, "table").read_many(keys, "status")) == keys
    assert asked == [3, 2, 1]
    table.batch_get_item = lambda **given: {"Responses": {}, "UnprocessedKeys": given["RequestItems"]}
    with pytest.raises(AwsThrottled):
        Items(table, "table").read_many(keys, "status")
    table.batch_get_item = answer


class Bucket:
    """A bucket with one list of 10,000 servers, and a topic."""

    def __init__(self):
        self.objects, self.mails = {}, []

    def put_object(self, **given):
        self.objects[given["Key"]] = given["Body"]

    def get_object(self, **given):
        return {"Body": BytesIO(self.objects[given["Key"]])}

    def publish(self, **given):
        self.mails.append(given["Message"])


@pytest.fixture
def tell():
    """Tell how an execution for 10,000 servers ended, as the states get it: the table has what became of each."""
    bucket, table = Bucket(), GrownTable()
    lists, outcomes = ServerLists(bucket, "bucket"), Outcomes(table, "table")
    servers = [f"i-{number:017x}" for number in range(RUNS)]
    key = lists.write_servers("night", servers)
    execution = {"id": "arn:night", "name": "night", "started_at": NOW}

    def told(mode, keep):
        for server in servers[:-1]:
            keep(outcomes, server)
        of = {"servers": RUNS, "items": key, "dry_run": mode == "dry-run"}
        state = RetentionState(step="tell", execution=execution, input={"mode": mode}, list=of)
        return Teller(bucket, lists, outcomes, "topic").tell(state), bucket.mails

    return told


def test_what_retention_tells_of_10000_servers_is_as_small_as_that_of_20(tell):
    def keep(outcomes, server):
        parts = {"removed": ["run-1", "run-2"], "images": [], "notes": ["in the bin"], "problems": ["refused"]}
        outcomes.keep(Finished(execution="arn:night", at=NOW, instance_id=server, **parts))

    told, mails = tell("prune", keep)
    assert (told.servers, told.removed) == (RUNS, 2 * (RUNS - 1))
    assert (len(told.problems), len(told.notes)) == (20, 20)
    assert len(told.model_dump_json()) < 4_000
    [mail] = mails
    assert len(mail) < 4_000


def test_a_dry_run_of_10000_servers_counts_all_and_shows_20_and_what_could_not_be_planned(tell):
    def keep(outcomes, server):
        group = GroupPlan(policy="nightly", plan_id="0" * 16, points=9, going=2, problem="", place="s3://bucket/x")
        outcomes.keep_planned(ServerPlan(execution="arn:night", instance_id=server, groups=[group]))

    told, mails = tell("dry-run", keep)
    assert (told.servers, told.would_go, len(told.plans), mails) == (RUNS, 2 * (RUNS - 1), 20, [])
    assert told.problems == [f"i-{RUNS - 1:017x}: not planned; look at the execution arn:night"]
    assert len(told.model_dump_json()) < 4_000
