"""The overview: whether all is good, what is not, since when, what to do; and what nobody has looked at is said."""

from datetime import timedelta

import pytest

from quiesce.guest.cluster_node import ClusterNode
from quiesce.pages.found import Found, PolicyFound, RunningFound, ServerFound, Unprotected
from quiesce.pages.overview import OverviewView, overview_view
from quiesce.pages.render import overview_html
from quiesce.pages.storage import chart
from tests.support.factories.pages import (
    BERLIN,
    DAYS,
    MORNING,
    SAMPLES,
    a_failed_run,
    a_good_stack,
    a_month,
    a_recovery,
    a_troubled_stack,
    nightly,
    server_id,
)

ONE = server_id(1)


def a_stack_of_one(worth: str, **changes: object) -> Found:
    """Return a stack with one server in one policy, and a night for each letter."""
    policy = PolicyFound(
        "orders", nightly("orders", ONE), servers=[ServerFound(ONE, "DB1")], since=MORNING - timedelta(days=90)
    )
    return a_good_stack(policies=[policy], records=a_month("orders", ONE, "DB1", worth), **changes)


def verdict(view: OverviewView) -> tuple[str, str, str]:
    return view.mark.word, view.headline, view.standfirst


def test_all_is_good_where_each_servers_newest_run_is() -> None:
    assert verdict(overview_view(a_good_stack())) == (
        "Good",
        "Everything is good.",
        "The newest backup of each of 2 servers is good, 2 application-consistent.",
    )


def a_cluster(*statuses: str) -> Found:
    """Return a stack with one policy and a server for each status, that of its newest run; all are of one cluster."""
    names = [f"SQL-{number}" for number, _ in enumerate(statuses)]
    ids = [server_id(number) for number, _ in enumerate(statuses)]
    policy = nightly("orders", *ids)
    records = []
    for number, status in enumerate(statuses):
        newest, *_ = a_month("orders", ids[number], names[number], "a" * 31)
        node = ClusterNode(cluster="SHOP", node=names[number], nodes=names, role="secondary", why="")
        left = {} if status != "Skipped" else {"snapshots": [], "snapshots_at": None}
        records.append(newest.model_copy(update={"status": status, "cluster": node, **left}))
    servers = [ServerFound(each, name) for each, name in zip(ids, names, strict=True)]
    found = PolicyFound("orders", policy, servers=servers, since=MORNING - timedelta(days=1))
    return a_good_stack(policies=[found], records=records)


def test_a_passive_node_is_good_by_the_other_one_and_is_not_said_to_have_a_backup() -> None:
    view = overview_view(a_cluster("Successful", "Skipped"))
    assert view.standfirst == (
        "The newest backup of each of 1 server is good, 1 application-consistent. "
        "1 passive node of clusters was skipped."
    )
    assert dict(view.facts)["Runs in 24 hours"] == "2, 1 good, 1 skipped"
    assert [row.last_good for part in view.parts for row in part.servers][-1] == "passive node of a cluster"
    assert any(mark.word.startswith("Skipped") for mark in view.legend)


def test_a_cluster_all_of_whose_nodes_were_skipped_is_not_good() -> None:
    view = overview_view(a_cluster("Skipped", "Skipped"))
    assert (view.mark.word, view.standfirst) == ("Not good", "2 of 2 servers are not good.")
    assert all("no other node of the cluster is known" in trouble.what for trouble in view.troubles)


def test_what_is_not_good_is_counted_by_server_and_the_rest_by_thing() -> None:
    assert overview_view(a_stack_of_one("a" * 30 + "f")).standfirst == "1 of 1 server is not good."
    assert overview_view(a_troubled_stack()).standfirst == "3 of 5 servers are not good, 3 other things to look at."
    assert overview_view(a_good_stack(problems=["x"])).standfirst == "1 thing to look at."


def test_a_trouble_says_since_when_what_to_do_and_where_to_look() -> None:
    [trouble] = overview_view(a_stack_of_one("a" * 30 + "fff")).troubles
    assert (trouble.name, trouble.policy) == ("DB1", "orders")
    assert trouble.what == "SnapshotRefused: vol-0000000000000000b is attached twice; detach it from one server."
    assert trouble.since == "Wed 2026-03-18 01:39 UTC, 2 days ago"
    assert trouble.do == "Do what the message says, then start a new run."
    assert trouble.command == f"quiesce explain orders-{ONE}-20260320T013000Z"
    assert trouble.link == f"../records/{ONE}/orders-{ONE}-20260320T013000Z.html"


def test_a_server_that_no_run_has_backed_up_and_a_schedule_that_went_by_are_troubles() -> None:
    never = overview_view(a_good_stack(records=[]))
    assert [(each.since, each.command) for each in never.troubles] == [
        ("Mon 2026-02-16 01:30 UTC, 32 days ago", f"quiesce run orders {server_id(number)}") for number in (1, 2)
    ]
    [late] = overview_view(a_stack_of_one("a" * 32 + "--")).troubles
    assert late.what == "2 scheduled runs did not happen: nothing is known of a run then."
    assert (late.since, late.command) == ("Thu 2026-03-19 01:30 UTC, 29 h ago", "quiesce policy next orders")


def test_the_worst_server_comes_first_and_of_a_large_policy_the_rest_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    orders = next(part for part in overview_view(a_troubled_stack()).parts if part.name == "orders")
    assert [server.name for server in orders.servers] == ["SHOP-DB2", "SHOP-APP1", "SHOP-DB1"]
    assert orders.left_out == 0
    monkeypatch.setattr("quiesce.pages.servers.MOST_SERVERS", 2)
    orders = next(part for part in overview_view(a_troubled_stack()).parts if part.name == "orders")
    assert ([server.name for server in orders.servers], orders.left_out) == (["SHOP-DB2", "SHOP-APP1"], 1)


def test_of_a_policy_that_cannot_be_read_the_servers_of_its_runs_are_shown() -> None:
    broken = PolicyFound("orders", None, "name: is missing; add it")
    view = overview_view(a_good_stack(policies=[broken]))
    assert [server.name for server in view.parts[0].servers] == ["SHOP-DB1", "SHOP-DB2"]
    assert [(each.name, each.do) for each in view.troubles] == [
        ("Policy orders", "Put a file that 'quiesce policy check' takes.")
    ]


def test_what_nobody_has_looked_at_is_said_and_never_called_good() -> None:
    unknown = a_good_stack(alarms=None, running=None, unprotected=None, unprotected_at=None, whole_since=MORNING)
    view, html = overview_view(unknown), overview_html(unknown)
    assert ("Servers without one", "not known") in view.facts
    assert "Not known: nobody has looked yet for servers that no policy covers." in html
    assert view.remarks == [
        "The newest 68 runs were read: all that ended since Fri 2026-03-20 06:40 UTC.",
        "Alarms were not looked at: quiesce status shows them.",
    ]
    assert "Running now" not in html
    looked = overview_html(a_good_stack())
    assert "A policy covers every Windows server" in looked
    assert "Alarms were not looked at" not in looked


def test_a_server_that_a_policy_means_by_now_is_not_shown_as_one_without() -> None:
    """The look for such servers comes once an hour, and a policy may be newer."""
    unprotected = [Unprotected(ONE, "SHOP-DB1", "no policy means it"), Unprotected(server_id(30), "PRINT01")]
    view = overview_view(a_good_stack(unprotected=unprotected))
    assert [each.name for each in view.unprotected or ()] == ["PRINT01"]
    assert ("Servers without one", "1") in view.facts


def test_a_stack_without_a_policy_says_how_to_begin() -> None:
    empty = overview_view(SAMPLES["overview-empty"]())
    assert verdict(empty) == (
        "Nothing yet",
        "No policy names a server yet.",
        "Begin with: quiesce policy put FILE",
    )
    assert ("Runs in 24 hours", "none") in empty.facts
    assert ("Next backup", "none is scheduled") in empty.facts
    assert empty.storage is None


def test_paused_schedules_are_not_good_however_good_the_backups_are() -> None:
    view = overview_view(a_good_stack(paused=True))
    assert verdict(view)[:2] == ("Not good", "Nothing is backed up by schedule.")
    assert ("Next backup", "paused") in view.facts
    assert view.parts[0].next_start == ""


@pytest.mark.parametrize(
    ("cron", "words"),
    [("0 8 * * ? *", "in 20 min"), ("30 2 * * ? *", "in 18 h 50 min"), ("0 8 1 * ? *", "in 11 days")],
)
def test_the_next_backup_is_as_near_as_a_person_wants_to_know_it(cron: str, words: str) -> None:
    policy = PolicyFound("orders", nightly("orders", ONE, schedules=[{"cron": cron}]))
    assert ("Next backup", words) in overview_view(a_good_stack(policies=[policy], records=[])).facts


def test_next_starts_are_on_the_policys_clock_and_in_utc_with_what_is_left_out() -> None:
    policy = PolicyFound("orders", nightly("orders", ONE, **{"except": ["Sat,Sun"]}), servers=[ServerFound(ONE)])
    by_hand = PolicyFound("adhoc", nightly("adhoc", ONE, schedules=[]))
    view = overview_view(a_good_stack(policies=[policy, by_hand]))
    assert [(each.clock, each.zone, each.utc, each.remark) for each in view.next_starts[:2]] == [
        ("Sat 2026-03-21 02:30", "Europe/Berlin", "01:30 UTC", "nothing: 'except' has Sat,Sun"),
        ("Sun 2026-03-22 02:30", "Europe/Berlin", "01:30 UTC", "nothing: 'except' has Sat,Sun"),
    ]
    assert view.by_hand == ["adhoc"]


def test_recoveries_and_what_runs_now_are_shown_the_newest_first() -> None:
    older = a_recovery(recovery_id="older", ended_at=MORNING - timedelta(days=9), instance_id="")
    view = overview_view(
        a_good_stack(recoveries=[older, a_recovery()], running=[RunningFound("recovery", "drill-2", MORNING)])
    )
    assert [(row.recovery_id, row.server) for row in view.recoveries] == [
        ("drill-march", server_id(40)),
        ("older", "none"),
    ]
    assert view.running == [("recovery", "drill-2", "Fri 2026-03-20 06:40 UTC")]


def test_storage_counts_what_was_kept_at_the_end_of_each_day_and_each_volume_once() -> None:
    from quiesce.pages.calendar import span_of

    records = a_month("orders", ONE, "DB1", "a" * DAYS)
    made = chart(records, span_of(MORNING, BERLIN))
    assert made
    there = [each for each in records if each.removed_at is None or each.removed_at > MORNING]
    assert (made.points, made.volumes) == (str(len(there)), "660 GiB")
    assert (made.first, made.last, len(made.columns)) == ("16 Feb", "today", 33)
    assert max(column.height for column in made.columns) == 100
    assert made.rows[0] == ("Fri 20 Mar", str(len(there)), "660 GiB")
    assert chart([a_failed_run()], span_of(MORNING, BERLIN)) is None
