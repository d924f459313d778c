"""What the command line makes of records: standing, recommendation, causes, costs."""

from datetime import timedelta

import pytest
from quiesce_cli.answers.costs import costs
from quiesce_cli.answers.explaining import explain
from quiesce_cli.answers.naming import name_of_start
from quiesce_cli.answers.points import shapes
from quiesce_cli.answers.standing import standing

from quiesce.backup.planning import possible_consistency, without_asking
from quiesce.points.evidence import Verified
from quiesce.points.parts import Consistency, ShadowOutcome
from quiesce.points.record import FailureRecord, Record
from quiesce.prices import STORED_GIB_DOLLARS
from quiesce.recovery.flaws import FoundSnapshot
from quiesce.report.explaining import causes_of
from tests.project.test_links import anchors
from tests.support.factories.run import INSTANCE, NOW, a_plan, a_record, a_script, a_session, snapshot_id, some_settings
from tests.support.project import ROOT
from tests.unit.cli.test_views import a_snapshot_record

FOUND = {snapshot_id(0): FoundSnapshot("completed", "standard")}
APPLICATION = Consistency(level="application", reason="held")


def a_point(run_id: str, **changes: object) -> Record:
    return a_record(run_id=run_id, snapshots=[a_snapshot_record()], **changes)


def test_the_newest_good_one_of_each_server_is_recommended_and_no_other() -> None:
    other = "i-0fedcba9876543210"
    records = [
        a_point("failed", status="Failed"),
        a_point("newest"),
        a_point("of another", instance_id=other),
        a_point("older"),
    ]
    points = shapes(records, FOUND)
    assert [point.run_id for point in points if point.recommended] == ["newest", "of another"]
    assert points[1].recover == f"quiesce recover newest --server {INSTANCE}"


def test_a_point_whose_snapshots_are_gone_is_not_there_and_has_no_command() -> None:
    gone, there = shapes([a_point("newest")], {}), shapes([a_point("newest")], FOUND)
    assert (gone[0].there, gone[0].recommended, gone[0].recover) == (False, False, "")
    assert "was deleted" in gone[0].flaw
    assert (there[0].there, there[0].flaw) == (True, "")


def test_a_server_stands_as_its_newest_run_of_that_policy_ended() -> None:
    old = a_record(run_id="old", started_at=NOW)
    new = a_record(run_id="new", started_at=NOW + timedelta(days=1), status="Failed", reason="no agent")
    stands = standing(INSTANCE, "files-nightly", [old, new])
    assert (stands.good, stands.problem) == (False, "no agent")
    assert stands.newest is not None
    assert stands.newest_good is not None
    assert (stands.newest.run_id, stands.newest_good.run_id) == ("new", "old")
    assert (stands.since, stands.do) == (new.ended_at, causes_of(new)[0].do)
    good = standing(INSTANCE, "files-nightly", [old])
    assert (good.good, good.since, good.do) == (True, None, "")


def test_a_server_is_called_as_ec2_calls_it_now_and_else_as_its_newest_run_did() -> None:
    runs = [a_record(), a_record(run_id="old", instance_name="OLD", started_at=NOW - timedelta(days=1))]
    assert standing(INSTANCE, "files-nightly", runs, "RENAMED").name == "RENAMED"
    assert standing(INSTANCE, "files-nightly", runs).name == "FILES01"
    assert standing(INSTANCE, "files-nightly", []).name == ""


def test_a_server_without_a_run_of_that_policy_is_not_good() -> None:
    stands = standing(INSTANCE, "another", [a_record()])
    assert (stands.good, stands.newest, stands.newest_good) == (False, None, None)
    assert "never backed up" in stands.problem


CAUSES = {
    "nobody asked": a_record(),
    "the agent": a_record(status="Failed", failure=FailureRecord(error="AgentUnreachable", cause="no answer")),
    "the guest": a_record(status="Failed", failure=FailureRecord(error="GuestRefused", cause="LanguageMode: no")),
    "another error": a_record(status="Failed", failure=FailureRecord(error="ServerBusy", cause="run x")),
    "VSS": a_record(
        status="PartiallySuccessful",
        shadow=ShadowOutcome(good=False, kind="failed", reason="a writer timed out", hresults=["0x800423F2"]),
    ),
    "a script": a_record(status="PartiallySuccessful", session=a_session("ended", before=a_script(succeeded=False))),
    "the after script": a_record(
        status="PartiallySuccessful", session=a_session("ended", after=a_script("1", succeeded=False))
    ),
    "thawed": a_record(status="PartiallySuccessful", session=a_session("ended", auto_thawed=True)),
    "lost": a_record(status="PartiallySuccessful", session=a_session("ended", runner_lost=True, alive=["runner"])),
    "absent": a_record(status="PartiallySuccessful", evidence=Verified(verdict="absent", reason="not there")),
    "unread": a_record(status="PartiallySuccessful", evidence=Verified(verdict="not verifiable", reason="archived")),
    "words alone": a_record(status="PartiallySuccessful", reason="something new"),
}


@pytest.mark.parametrize("name", CAUSES)
def test_each_cause_says_what_where_and_what_to_do_and_its_page_exists(name: str) -> None:
    explained = explain(CAUSES[name])
    assert not explained.good
    assert explained.causes
    for why in explained.causes:
        assert why.what
        assert why.source
        assert why.do
        path, _, anchor = why.page.partition("#")
        assert (ROOT / path).is_file(), why.page
        assert not anchor or anchor in anchors(ROOT / path), why.page


def test_a_writers_timeout_is_explained_with_microsofts_advice() -> None:
    [why] = explain(CAUSES["VSS"]).causes
    assert "wait ten minutes" in why.do
    assert why.page == "docs/operate/runbook.md#vss-failed"


def test_a_server_that_could_not_be_asked_is_explained_with_what_to_do_about_it() -> None:
    whole = a_plan()
    for obstacle, words in {
        "the server was stopped": "start the server before its backup, or write 'agent: none'",
        "Systems Manager does not know the server": "mend that on the server, in its instance profile or its network;",
    }.items():
        reason = without_asking(whole, obstacle).consistency.reason
        [why] = explain(a_record(status="PartiallySuccessful", reason=reason)).causes
        assert (why.what, why.do.startswith(words), why.page) == (
            reason,
            True,
            "docs/operate/runbook.md#partially-successful",
        )


def test_a_run_that_is_as_good_as_can_be_needs_no_explanation() -> None:
    best = explain(a_record(consistency=APPLICATION))
    assert (best.good, best.causes) == (True, [])
    assert not explain(a_record(consistency=possible_consistency("running", some_settings()))).good


def test_a_volume_is_counted_once_in_store_and_a_gone_snapshot_not_at_all() -> None:
    twice = [a_point("a", calls={"ebs:GetSnapshotBlock": 1000}), a_point("b", calls={"ec2:DescribeInstances": 2})]
    counted = costs(twice, FOUND)
    assert [(cost.count, cost.dollars) for cost in counted.stored] == [(8, round(8 * STORED_GIB_DOLLARS, 2))]
    assert counted.runs_dollars == pytest.approx(0.003)
    assert [cost.what for cost in counted.runs] == ["ebs:GetSnapshotBlock", "calls of EC2 and SSM"]
    assert costs(twice, {}).stored == []
    assert counted.not_counted


def test_what_is_archived_is_there_with_its_hours_and_is_counted_in_full_by_the_archives_price() -> None:
    archived = {snapshot_id(0): FoundSnapshot("completed", "archive", full_bytes=2 * 2**30, was_archived=True)}
    [point] = shapes([a_point("a")], archived)
    assert (point.there, point.flaw, point.archived) == (True, "", 1)
    assert point.recover
    [cost] = costs([a_point("a")], archived).stored
    assert (cost.what, cost.count, cost.dollars) == ("in the archive", 2.0, 0.03)
    [bound] = costs([a_point("a")], {snapshot_id(0): FoundSnapshot("completed", "archive", was_archived=True)}).stored
    assert bound.count == 8


def test_two_starts_in_one_second_have_two_names_that_every_place_accepts() -> None:
    first, second = (name_of_start("p" * 40, NOW) for _ in range(2))
    assert first != second
    assert first.startswith(f"{'p' * 40}-20260314T013000Z-")
    assert len(first) <= 80
