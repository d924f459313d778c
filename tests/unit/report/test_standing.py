"""How a server stands: a passive node of a cluster by the newest runs of the others."""

from datetime import timedelta
from typing import Any

from quiesce.guest.cluster_node import ClusterNode
from quiesce.pages.calendar import SKIPPED, grade, legend_of
from quiesce.points.record import Record
from quiesce.report.explaining import causes_of
from quiesce.report.standing import NOBODY, standing
from tests.support.factories.run import NOW, a_record

A, B = "i-0123456789abcdef0", "i-0fedcba9876543210"
NAMES = {A: "SQL-A", B: "SQL-B"}


def ran(server: str, hours: float, status: str = "Successful", **changes: Any) -> Record:
    at = NOW - timedelta(hours=hours)
    node = ClusterNode(cluster="SHOP", node=NAMES[server], nodes=["SQL-A", "SQL-B"], role="secondary", why="")
    fields = {"instance_id": server, "status": status, "started_at": at, "ended_at": at, "reason": status, **changes}
    return a_record(**{"cluster": node, **fields})


def test_a_cluster_whose_nodes_were_all_skipped_is_not_good_since_the_first_of_them() -> None:
    own = [ran(A, 1, "Skipped"), ran(A, 25, "Skipped"), ran(A, 49)]
    found = standing("files-nightly", own, [*own, ran(B, 1, "Skipped"), ran(B, 25)])
    assert found.problem == f"Skipped; {NOBODY}"
    assert (found.since, found.bad) == (own[1].ended_at, 2)
    assert standing("files-nightly", own).problem == f"Skipped; {NOBODY}", "no other node is known at all"


def test_a_passive_node_is_good_while_another_one_is_not_skipped_however_that_one_ended() -> None:
    own = [ran(A, 1, "Skipped")]
    for status in ("Successful", "PartiallySuccessful", "Failed"):
        found = standing("files-nightly", own, [*own, ran(B, 1, status)])
        assert (found.problem, found.since, found.bad) == ("", None, 0)
    assert standing("files-nightly", [ran(B, 1, "Failed")], own).problem == "Failed", "and that one is not"


def test_a_node_whose_role_was_not_known_last_still_counts_by_what_it_said_before() -> None:
    own = [ran(A, 1, "Skipped")]
    assert standing("files-nightly", own, [*own, ran(B, 1, cluster=None), ran(B, 25)]).problem == ""
    assert standing("files-nightly", own, [*own, ran(B, 1, cluster=None)]).problem != ""


def test_another_policy_or_another_cluster_covers_no_node() -> None:
    own = [ran(A, 1, "Skipped")]
    other = ClusterNode(cluster="OTHER", node="SQL-B", nodes=["SQL-A", "SQL-B"], role="primary", why="")
    for covering in (ran(B, 1, policy="weekly"), ran(B, 1, cluster=other)):
        assert standing("files-nightly", own, [*own, covering]).problem != ""


def test_a_node_that_fails_after_it_was_skipped_is_bad_since_it_failed() -> None:
    own = [ran(A, 1, "Failed"), ran(A, 25, "Skipped"), ran(A, 49, "Failed"), ran(A, 73)]
    found = standing("files-nightly", own, own)
    assert (found.problem, found.since, found.bad) == ("Failed", own[2].ended_at, 2)


def test_explain_says_what_a_skipped_run_means() -> None:
    [cause] = causes_of(ran(A, 1, "Skipped"))
    assert cause.do.startswith("nothing, as long as another node of the cluster is backed up")
    assert cause.page == "docs/use/clusters.md"


def test_the_calendar_has_a_mark_of_its_own_for_a_skipped_run_and_names_it_only_where_there_is_one() -> None:
    assert grade(ran(A, 1, "Skipped")) == SKIPPED
    assert SKIPPED in legend_of([ran(A, 1), ran(A, 2, "Skipped")])
    assert SKIPPED not in legend_of([ran(A, 1)])
