"""The posture: what counts as good, who is behind, who is left out, whom to tell; each as of an input time."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiesce.points.evidence import Verified
from quiesce.points.listed import ListedPoint, listed
from quiesce.policy.policy import Policy
from quiesce.policy.selection import Candidate
from quiesce.posture import state
from quiesce.posture.judging import Seen, judge, waiting
from quiesce.posture.state import PolicyPosture, Posture, ServerPosture
from quiesce.posture.summary import MOST_POLICIES, summary_of
from quiesce.posture.tally import Counts, Tally, counts_of, tally
from quiesce.posture.telling import Told, telling_of
from quiesce.posture.unclaimed import UnclaimedList
from quiesce.report.posture_mail import NAMED, age, mail_of_notice, mail_of_unclaimed
from tests.support.factories.run import a_record
from tests.support.project import ROOT

NOW = datetime(2026, 3, 30, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


def a_policy(name: str = "nightly", **changes: Any) -> Policy:
    fields = {"name": name, "targets": [{"tags": {"backup": name}}], "alert": {"no_good_point_for": "26h"}}
    return Policy.model_validate({**fields, **changes})


def a_listed(run_id: str = "run-1", hours: float = 10, **changes: Any) -> ListedPoint:
    at = NOW - hours * HOUR
    fields = {
        "run_id": run_id,
        "policy": "nightly",
        "instance_id": "i-1",
        "status": "Successful",
        "level": "application",
        "at": at,
        "ended_at": at,
        "snapshots": [f"snap-{run_id}"],
        "evidence": "present",
    }
    return ListedPoint.model_validate({**fields, **changes})


def a_server(instance_id: str = "i-1", policy: str = "nightly", **changes: Any) -> Candidate:
    return Candidate(**{"instance_id": instance_id, "tags": {"backup": policy, "Name": "SQL07"}, **changes})


SERVERS = (a_server(),)


def seen(*points: ListedPoint, servers: Any = SERVERS, **changes: Any) -> Seen:
    """Return what a look sees of servers that one policy means, all of them with these recovery points."""
    policies = changes.pop("policies", {"nightly": a_policy()})
    counts = {name: counts_of(policy) for name, policy in policies.items()}
    covered = {name: [s.instance_id for s in servers if policy.entries_for(s)] for name, policy in policies.items()}
    by_server: dict[str, list[ListedPoint]] = {}
    for point in points:
        by_server.setdefault(point.instance_id, []).append(point)
    return Seen(
        **{
            "stack": "quiesce",
            "now": NOW,
            "unknown": [],
            "policies": policies,
            "unread": [],
            "covered": covered,
            "servers": {server.instance_id: server for server in servers},
            "tallies": {i: tally(sorted(own, key=lambda p: p.at), counts, NOW) for i, own in by_server.items()},
            "first_seen": {},
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("changes", "counts", "good"),
    [
        ({}, Counts("application"), True),
        ({"level": "crash"}, Counts("application"), False),
        ({"level": "crash"}, Counts("crash"), True),
        ({"level": "none"}, Counts("crash"), False),
        ({"status": "PartiallySuccessful"}, Counts("application"), False),
        ({"status": "PartiallySuccessful"}, Counts("application", partial=True), True),
        ({"status": "PartiallySuccessful", "level": "crash"}, Counts("application", partial=True), False),
        ({"status": "Failed"}, Counts("crash", partial=True), False),
    ],
)
def test_what_counts_as_good(changes: dict[str, Any], counts: Counts, good: bool) -> None:
    assert counts.is_good(a_listed(**changes)) is good


def test_a_policy_without_an_alert_counts_any_whole_recovery_point() -> None:
    assert counts_of(a_policy(alert=None)) == Counts("crash", partial=False)
    assert counts_of(a_policy(keep={"last": 3}, partial_counts=True)) == Counts("application", partial=True)


def test_of_two_recovery_points_of_one_second_the_later_one_in_the_list_is_the_newest() -> None:
    found = tally([a_listed("run-a", 5), a_listed("run-b", 5)], {}, NOW)
    assert found["nightly"].newest.run_id == "run-b"


def test_a_lost_recovery_point_that_is_older_than_the_newest_is_not_told() -> None:
    points = [a_listed("run-a", 9), a_listed("run-b", 6), a_listed("run-c", 3)]
    found = tally(points, {}, NOW, gone={"run-a", "run-c"})["nightly"]
    assert (found.points, found.newest.run_id, found.lost) == (3, "run-b", ("run-c",))
    assert tally(points, {}, NOW, gone={"run-a", "run-b", "run-c"})["nightly"] == Tally(
        3, points[2].at, None, ("run-a", "run-b", "run-c")
    )


@pytest.mark.parametrize(
    ("hours", "standing"), [(0, "good"), (25.9, "good"), (26, "good"), (26.001, "behind"), (-0.5, "good")]
)
def test_a_server_is_behind_once_its_newest_good_recovery_point_is_older_than_the_goal(
    hours: float, standing: str
) -> None:
    [server] = judge(seen(a_listed(hours=hours))).policies[0].servers
    assert (server.standing, server.age_s) == (standing, max(0, int(hours * 3600)))


def test_a_change_of_summer_time_makes_no_server_behind() -> None:
    """Ages are of instants: the night of 29 March 2026 has 23 hours in Berlin, and 26 hours stay 26."""
    [server] = judge(seen(a_listed(at="2026-03-29T07:00:00+02:00"))).policies[0].servers
    assert server.age_s == 27 * 3600


def test_a_policy_stands_as_its_worst_server_which_is_the_first() -> None:
    servers = [a_server(f"i-{number}") for number in range(1, 5)]
    points = [
        a_listed("a", 3, instance_id="i-1"),
        a_listed("b", 30, instance_id="i-2"),
        a_listed("c", 40, instance_id="i-3"),
    ]
    [policy] = judge(seen(*points, servers=servers, first_seen={("nightly", "i-4"): NOW - HOUR})).policies
    assert [(s.instance_id, s.standing) for s in policy.servers] == [
        ("i-3", "behind"),
        ("i-2", "behind"),
        ("i-4", "waiting"),
        ("i-1", "good"),
    ]
    assert (policy.standing, policy.behind, policy.points, policy.oldest_age_s) == ("behind", 2, 3, 40 * 3600)
    assert policy.goal.no_good_point_for_s == 26 * 3600


def test_a_policy_without_servers_and_one_without_a_goal_say_so() -> None:
    policies = {"empty": a_policy("empty"), "nightly": a_policy(alert=None, schedules=[{"cron": "0 2 * * ? *"}])}
    empty, nightly = judge(seen(a_listed(hours=900), policies=policies)).policies
    assert (empty.standing, empty.servers, empty.oldest_age_s, empty.scheduled) == ("no servers", [], None, False)
    assert (nightly.standing, nightly.goal, nightly.oldest_age_s, nightly.scheduled) == (
        "no goal",
        None,
        900 * 3600,
        True,
    )


def test_who_waits_for_a_first_good_recovery_point_is_remembered_where_there_is_a_goal() -> None:
    servers = [a_server("i-1"), a_server("i-2"), a_server("i-3", "bare")]
    policies = {"nightly": a_policy(), "bare": a_policy("bare", alert=None)}
    look = seen(a_listed(), a_listed("x", instance_id="i-2", status="Failed"), servers=servers, policies=policies)
    assert waiting(look) == {("nightly", "i-2")}
    first = judge(look).policies[1].servers[0]
    assert (first.instance_id, first.standing, first.age_s) == ("i-2", "waiting", None)


def test_a_recovery_point_that_is_not_proven_is_listed_with_the_reason() -> None:
    policies = {"nightly": a_policy(alert={"no_good_point_for": "26h", "level": "crash"})}

    def reasons(**changes: Any) -> list[str]:
        return [each.reason for each in judge(seen(a_listed(**changes), policies=policies)).unproven]

    assert reasons() == []
    assert reasons(level="crash") == ["it is crash-consistent"]
    assert reasons(evidence="") == ["no shadow copies were looked for in its snapshots"]
    assert reasons(evidence="not verifiable") == ["the shadow copies in its snapshots are not verifiable"]


def test_the_list_of_recovery_points_keeps_what_verify_read() -> None:
    snapshot = {"snapshot_id": "snap-1", "volume_id": "vol-1", "device": "xvda", "root": True, "size_gib": 8}
    snapshot |= {"state": "completed", "started_at": NOW, "completed_at": NOW, "volume": None}
    proven = a_record(snapshots=[snapshot], evidence=Verified(verdict="present", reason="all of them"))
    assert listed(proven).evidence == "present"
    assert listed(proven.model_copy(update={"evidence": None})).evidence == ""
    # What an older version has listed.
    assert ListedPoint.model_validate(listed(proven).model_dump(exclude={"evidence"})).evidence == ""


def test_a_server_that_is_being_recovered_is_neither_left_nor_unprotected() -> None:
    made = a_server("i-1", "other", recovery="drill-7")
    posture = judge(seen(a_listed(), servers=[made]))
    assert (posture.left, posture.unprotected, posture.windows_servers) == ([], [], 1)


def test_a_policy_of_which_nothing_is_known_has_lost_no_server() -> None:
    posture = judge(seen(a_listed(), policies={}, unread=["nightly"], unknown=["policy nightly: bad"]))
    assert (posture.left, posture.unknown, posture.policies) == ([], ["policy nightly: bad"], [])
    [server] = posture.unprotected
    assert server.newest_at == NOW - 10 * HOUR


def test_a_server_that_a_policy_excludes_now_has_left_it() -> None:
    policies = {"nightly": a_policy(exclude=[{"instance_id": "i-0123456789abcdef0"}])}
    server = a_server("i-0123456789abcdef0")
    look = seen(a_listed(instance_id=server.instance_id), servers=[server], policies=policies)
    posture = judge(replace(look, covered={"nightly": []}))
    assert [each.reason for each in posture.left] == ["the policy excludes it"]
    assert [each.reason for each in posture.unprotected] == ["policy nightly excludes it"]


def a_posture(*standings: str, goal: bool = True) -> PolicyPosture:
    servers = [
        ServerPosture(instance_id=f"i-{number}", state="running", standing=standing, points=1)
        for number, standing in enumerate(standings)
    ]
    return PolicyPosture(
        policy="nightly",
        goal=state.Goal(no_good_point_for_s=60, level="crash") if goal else None,
        scheduled=True,
        standing="good",
        points=1,
        behind=standings.count("behind"),
        servers=servers,
    )


@given(st.lists(st.lists(st.sampled_from(["good", "behind", "waiting"]), min_size=3, max_size=3), max_size=8))
def test_each_server_that_falls_behind_is_told_once_until_it_is_good_and_the_end_is_told_once(
    looks: list[list[str]],
) -> None:
    told, behind_before, any_before = Told(), set[str](), False
    for standings in looks:
        telling = telling_of("nightly", a_posture(*standings), told)
        behind = {f"i-{number}" for number, standing in enumerate(standings) if standing == "behind"}
        new = {server.instance_id for server in telling.notice.new} if telling.notice else set()
        assert new == behind - behind_before
        assert bool(telling.notice and telling.notice.kind == "over") == (any_before and not behind)
        assert {*telling.behind} == behind
        told, behind_before, any_before = Told(telling.behind), behind, bool(behind)


def test_what_may_not_have_been_told_is_told_again() -> None:
    again = telling_of("nightly", a_posture("behind", "good"), Told(("i-0",), "behind"))
    assert [server.instance_id for server in again.notice.new] == ["i-0"]
    over = telling_of("nightly", a_posture("good"), Told((), "over"))
    assert over.notice.kind == "over"
    assert telling_of("nightly", a_posture("good"), Told()).notice is None
    gone = telling_of("nightly", a_posture("behind", goal=False), Told(("i-0",)))
    assert (gone.notice.kind, gone.behind) == ("unwatched", ())


def test_a_mail_of_ten_thousand_servers_names_twenty_and_says_how_many_more() -> None:
    telling = telling_of("p" * 40, a_posture(*["behind"] * 10_000), Told())
    mail = mail_of_notice(telling.notice, "", NOW, "s3://bucket/posture/latest.json")
    assert len(mail.subject) <= 100
    assert len(mail.text.splitlines()) < NAMED + 10
    assert f"and {10_000 - NAMED} more, see All" in mail.text
    # What is remembered fits an item of DynamoDB: ids have 19 characters, and a comma between them.
    assert 10_000 * 20 < 400 * 1024 / 2


def test_ten_thousand_servers_are_judged_and_the_numbers_of_them_fit_an_item() -> None:
    servers = [a_server(f"i-{number:017x}", f"p{number % 10}") for number in range(10_000)]
    policies = {f"p{number}": a_policy(f"p{number}") for number in range(10)}
    points = [a_listed(f"r{n}", n % 40, policy=f"p{n % 10}", instance_id=s.instance_id) for n, s in enumerate(servers)]
    look = seen(*points, servers=servers, policies=policies)
    posture = judge(look)
    assert (posture.covered, len(posture.policies), posture.unprotected) == (10_000, 10, [])
    assert posture.behind == sum(n % 40 > 26 for n in range(10_000))
    assert len(summary_of(posture).model_dump_json()) < 400 * 1024 / 4


def test_the_numbers_of_more_policies_than_an_item_holds_are_cut_from_the_best_and_say_so() -> None:
    policies = [a_posture("behind").model_copy(update={"policy": "worst"})] + [a_posture("good")] * MOST_POLICIES
    unknown = ["x" * 2000] * 1000
    posture = judge(seen()).model_copy(update={"policies": [*policies[1:], policies[0]], "unknown": unknown})
    summary = summary_of(posture)
    assert (summary.policies[0].policy, summary.more) == ("worst", 1)
    assert len(summary.model_dump_json()) < 400 * 1024


def test_a_posture_of_a_later_version_is_read() -> None:
    posture = judge(seen(a_listed()))
    later = posture.model_dump(mode="json") | {"something_new": 1}
    assert Posture.model_validate(later) == posture


@pytest.mark.parametrize(("seconds", "words"), [(59, "0 min"), (3599, "59 min"), (3600, "1 h"), (172_800, "2 days")])
def test_an_age_is_written_as_a_person_reads_it(seconds: int, words: str) -> None:
    assert age(seconds) == words


def test_a_weekly_list_without_anything_is_no_mail() -> None:
    nothing = UnclaimedList(stack="quiesce", looked_at=NOW, unknown=[], items=[])
    assert mail_of_unclaimed(nothing, "s3://bucket") is None
    # SNS takes 256 KB, and an error of ours has 2,000 characters at most.
    mail = mail_of_unclaimed(nothing.model_copy(update={"unknown": ["x" * 2000] * 1000}), "s3://bucket")
    assert "and 980 more, see All" in mail.text
    assert len(mail.text) < 256 * 1024


PARTS = (
    state.Goal,
    state.GoodPoint,
    state.ServerPosture,
    state.PolicyPosture,
    state.Unprotected,
    state.LeftOver,
    state.Unproven,
    state.Posture,
    UnclaimedList,
)


def test_every_field_of_the_posture_is_explained_in_the_reference() -> None:
    page = (ROOT / "docs/reference/posture.md").read_text()
    named = {name.split(".")[-1].removesuffix("[]") for name in re.findall(r"`([a-z_.\[\]]+)`", page)}
    assert {name for part in PARTS for name in part.model_fields} <= named
