"""Page: a run's page beside its record, the overview after a policy run, and no page that takes a run with it."""

from datetime import timedelta
from types import SimpleNamespace

import pytest

from quiesce.aws.clients import AwsThrottled
from quiesce.aws.policies.policies_in_force import PoliciesInForce
from quiesce.points.record import Logs, Record
from quiesce.recovery.account import Account
from tests.support.environment import BUCKET, TABLE
from tests.support.factories.pages import a_good_run, a_recovery
from tests.support.factories.run import INSTANCE, NOW
from tests.support.machine import APPS
from tests.support.wire import refused

KEY = f"records/{INSTANCE}/run-1.json"
PAGE = f"records/{INSTANCE}/run-1.html"
OVERVIEW = "pages/overview.html"
SUMMARY = "policy-runs/orders/orders-20260314T013000Z/summary.json"


@pytest.fixture
def put(cloud):
    def put(key, content):
        text = content.model_dump_json() if isinstance(content, Record | Account) else content
        cloud.s3.put_object(Bucket=BUCKET, Key=key, Body=text.encode())

    return put


@pytest.fixture
def page(cloud, clock, wire):
    def page(key):
        with wire.listen():
            return APPS["page"].handler({"detail": {"object": {"key": key}}}, SimpleNamespace())

    return page


@pytest.fixture
def html(cloud):
    def html(key):
        found = cloud.s3.get_object(Bucket=BUCKET, Key=key)
        assert found["ContentType"] == "text/html; charset=utf-8"
        return found["Body"].read().decode()

    return html


def test_a_record_that_is_written_has_its_page_with_the_logs_of_the_session(put, page, html):
    folder = f"logs/{INSTANCE}/run-1/session-1/"
    files = ["session.log", "gone.log", "state.cab"]
    put(f"{folder}session.log", "x" * 70_000 + "the end of it")
    put(KEY, a_good_run(logs=Logs(place=f"s3://{BUCKET}/{folder}", files=files, problem="")))
    assert page(KEY) == {"page": PAGE, "problem": ""}
    text = html(PAGE)
    assert "the end of it" in text
    assert "The last 65,536 of 70,013 bytes" in text
    assert "gone.log" in text
    assert "could not be read" in text
    assert "state.cab" not in text
    assert "../../pages/overview.html" in text


def test_a_record_that_no_page_can_be_made_of_has_a_page_that_says_so(put, page, html):
    put(KEY, '{"status": "<b>Good</b>"}')
    assert "ValidationError" in page(KEY)["problem"]
    text = html(PAGE)
    assert "could not be made" in text
    assert f"s3://{BUCKET}/{KEY}" in text
    assert "<b>" not in text


def test_the_page_is_that_of_the_record_that_was_written_while_it_was_made(put, page, html, monkeypatch):
    put(KEY, a_good_run(reason="the first"))
    files = type(APPS["page"].step._files)
    write = files.write_page

    def write_slowly(self, key, text):
        if "The first." in text:
            put(KEY, a_good_run(reason="the second"))
        write(self, key, text)

    monkeypatch.setattr(files, "write_page", write_slowly)
    page(KEY)
    assert "The second." in html(PAGE)


def test_what_is_no_record_has_no_page(page):
    assert page("policies/orders.yaml") == {"page": "", "problem": ""}
    assert page(KEY)["problem"] == "the record is gone"


def test_a_refusal_is_told_to_lambda_which_calls_again(put, page, wire):
    put(KEY, a_good_run())
    wire.on("s3:PutObject", refused("SlowDown"), times=6)
    with pytest.raises(AwsThrottled):
        page(KEY)


def test_a_policy_run_has_the_overview_made_anew(cloud, server, put, page, html):
    schedules = "schedules: [{cron: '0 2 * * ? *'}, {every: 6h}]"
    policy = f"name: orders\n{schedules}\ntargets: [{{instance_id: {server.instance_id}}}]\n"
    put("policies/orders.yaml", policy)
    put("policies/web.yaml", "name: web\n")
    in_force = PoliciesInForce(cloud.dynamodb, TABLE)
    in_force.keep("web", policy.replace("orders", "web"), "v1", NOW - timedelta(days=2))
    in_force.starts("web", dict.fromkeys(["x"], NOW))
    put(f"records/{server.instance_id}/a.json", a_good_run(instance_id=server.instance_id))
    put(f"records/{server.instance_id}/b.json", "{}")
    put("recoveries/drill-march/x.json", a_recovery())
    put("recoveries/other/x.json", "{}")
    put("policies/_pause.yaml", "")
    assert page(SUMMARY) == {"page": OVERVIEW, "problem": ""}
    text = html(OVERVIEW)
    assert "Not everything is good." in text
    assert "All schedules are paused" in text
    assert "drill-march" in text
    assert f"s3://{BUCKET}/records/{server.instance_id}/b.json" in text
    assert "it was never backed up" in text.replace("It was", "it was")
    assert "Not known: nobody has looked yet" in text


def test_of_more_runs_than_are_read_the_newest_are_and_the_page_says_since_when(cloud, put, page, html, monkeypatch):
    from quiesce.aws.pages import overview_looks

    monkeypatch.setattr(overview_looks, "MOST_RECORDS", 1)
    for n in range(3):
        put(f"records/i-{n}/a.json", a_good_run(instance_id=f"i-{n}"))
    page(SUMMARY)
    assert "runs were read: all that ended since" in html(OVERVIEW)
