"""Runs with scripts, in which nothing goes wrong in AWS."""

import json

import pytest

from tests.statemachine.truth import record_of
from tests.support.environment import BUCKET
from tests.support.factories.policy import a_policy


def test_a_server_with_scripts_gets_an_application_consistent_recovery_point(machine, cloud, shop, frozen_request):
    run = machine.start(frozen_request)
    record = record_of(cloud, run, shop.instance_id)
    assert (run.status, record["status"], record["consistency"]["level"]) == ("SUCCEEDED", "Successful", "application")
    assert shop.application.asked == ["before", "after 1", "complete 1"]
    assert {s["tags"]["quiesce:consistency"] for s in cloud.snapshots()} == {"application"}
    assert cloud.lease(shop.instance_id) is None


def test_the_nonce_of_stage_ends_the_backup_as_good_and_stands_in_no_record_file_or_mail(
    machine, cloud, shop, frozen_request, monkeypatch, caplog, capsys
):
    nonce = "0123456789abcdef0123456789abcdef"
    monkeypatch.setattr("sandbox.windows.guest.new_nonce", lambda _known: nonce)
    run = machine.start(frozen_request)
    assert shop.application.asked[-1] == "complete 1"
    listed = cloud.s3.list_objects_v2(Bucket=BUCKET)["Contents"]
    files = [cloud.s3.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read() for each in listed]
    told = [json.dumps(run.output, default=str), str(cloud.mails()), caplog.text, *capsys.readouterr()]
    assert not [text for text in told if nonce in text]
    assert not [content for content in files if nonce.encode() in content]


@pytest.fixture
def file_of(cloud):
    """A file of a run's session, from the bucket."""

    def file_of(record, name):
        folder = record["logs"]["place"].removeprefix(f"s3://{BUCKET}/")
        return cloud.s3.get_object(Bucket=BUCKET, Key=folder + name)["Body"].read()

    return file_of


@pytest.mark.chapter("6.4.5 output")
def test_what_the_scripts_printed_is_whole_in_the_bucket_however_long(
    machine, cloud, shop, frozen_request, file_of, monkeypatch
):
    """Systems Manager cuts a command's output at 24,000 characters; the scripts' output does not go through it."""
    long = "A line of a chatty script.\n" * 4000
    monkeypatch.setattr(shop.application, "obey", lambda _stage, _argument: long)
    record = machine.start(frozen_request).output
    assert record["logs"]["files"] == [
        "after.out", "before.out", "complete.out", "manifest.json", "session.log", "state.json",
    ]  # fmt: skip
    assert file_of(record, "before.out").decode().rstrip() == long.rstrip()
    assert json.loads(file_of(record, "state.json"))["phase"] == "ended"


def test_a_policy_that_keeps_the_scripts_output_on_the_server_gets_log_and_state(machine, cloud, shop):
    settings = {"scripts": {"from": "bucket", "collect_output": False}}
    record = machine.start({"policy": a_policy(shop.instance_id, name="orders", defaults=settings)}).output
    assert record["logs"]["files"] == ["manifest.json", "session.log", "state.json"]


@pytest.mark.parametrize("garbage", [b"", b"<html>a proxy says hello</html>"])
def test_an_archive_that_cannot_be_read_stays_packed_and_costs_the_run_nothing(
    garbage, machine, cloud, shop, frozen_request
):
    def put_garbage(link, _content):
        return put(link, garbage)

    put, shop.windows.guest.put = shop.windows.guest.put, put_garbage
    record = machine.start(frozen_request).output
    assert record["status"] == "Successful"
    assert record["logs"]["place"].endswith("/session-1.zip")
    assert "the files stay packed" in record["logs"]["problem"]


@pytest.mark.chapter("6.4.3 seconds")
def test_the_freeze_window_is_measured_in_parts(machine, cloud, shop, frozen_request):
    window = machine.start(frozen_request).output["freeze_window"]
    assert window["total_ms"] == sum(window[part] for part in ("known_ms", "snapshots_ms", "thaw_ms"))
    assert 0 < window["total_ms"] < 2000


def test_a_copy_of_a_held_application_is_never_torn(machine, cloud, shop, frozen_request):
    for _ in range(3):
        machine.clock.now_s += 60
        record = machine.start(frozen_request).output
        assert not cloud.servers.examine({s["volume_id"]: s["snapshot_id"] for s in record["snapshots"]}).torn


def test_snapshots_that_take_so_long_that_the_server_thawed_are_no_application_consistency(
    machine, cloud, shop, frozen_request
):
    def late():
        machine.clock.now_s += 121

    machine.before("snapshot", late)
    record = machine.start(frozen_request).output
    assert (record["status"], record["consistency"]["level"]) == ("PartiallySuccessful", "crash")
    assert "the server thawed by itself" in record["reason"]
    assert shop.application.asked == ["before", "after 1", "complete 0"]
    assert {s["tags"]["quiesce:consistency"] for s in cloud.snapshots()} == {"crash"}
