"""The alarm counts the cluster: a node stands by the others, and for no longer than it says that it is one."""

from datetime import timedelta
from typing import Any

import pytest

from quiesce.guest.cluster_node import ClusterNode
from quiesce.posture.cluster import NodeSeen
from quiesce.posture.judging import judge, waiting
from quiesce.posture.telling import Told, telling_of
from quiesce.report.posture_mail import mail_of_notice
from tests.unit.posture.test_posture import HOUR, NOW, a_listed, a_policy, a_server, seen

BOTH = (a_server("i-1"), a_server("i-2"))
OVER = 27


def said(
    instance_id: str, hours: float = 1, policy: str = "nightly", **changes: Any
) -> dict[tuple[str, str], NodeSeen]:
    number = int(instance_id.removeprefix("i-"))
    fields = {"cluster": "SHOP", "node": f"SQL-{number}", "nodes": ["SQL-1", "SQL-2", "SQL-3"], **changes}
    node = ClusterNode.model_validate({"role": "secondary", "why": "", **fields})
    return {(policy, instance_id): NodeSeen(policy=policy, instance_id=instance_id, node=node, at=NOW - hours * HOUR)}


def standings(*points: Any, nodes: Any, **changes: Any) -> dict[str, str]:
    [policy] = judge(seen(*points, servers=BOTH, nodes=nodes, **changes)).policies
    return {server.instance_id: server.standing for server in policy.servers}


def test_a_cluster_all_of_whose_nodes_are_skipped_is_behind() -> None:
    """The worst day: each believes that the other one is backed up, and says so each night."""
    old = a_listed("run-1", hours=OVER, instance_id="i-2")
    assert standings(old, nodes=said("i-1") | said("i-2")) == {"i-1": "behind", "i-2": "behind"}
    never = {("nightly", "i-1"): NOW - OVER * HOUR, ("nightly", "i-2"): NOW - OVER * HOUR}
    assert standings(nodes=said("i-1") | said("i-2"), first_seen=never) == {"i-1": "behind", "i-2": "behind"}


def test_a_passive_node_stands_by_the_recovery_point_of_another_node() -> None:
    point = a_listed("run-2", hours=10, instance_id="i-2")
    [policy] = judge(seen(point, servers=BOTH, nodes=said("i-1") | said("i-2"))).policies
    found = {server.instance_id: server for server in policy.servers}
    assert (policy.standing, policy.oldest_age_s, policy.behind) == ("good", 10 * 3600, 0)
    assert (found["i-1"].standing, found["i-1"].age_s, found["i-1"].newest) == ("good", 10 * 3600, None)
    assert (found["i-1"].cluster, found["i-1"].through) == ("SHOP", "i-2")
    assert (found["i-2"].cluster, found["i-2"].through) == ("SHOP", "")
    assert waiting(seen(point, servers=BOTH)) == {("nightly", "i-1")}


def test_an_old_recovery_point_of_its_own_does_not_make_a_passive_node_behind() -> None:
    points = [a_listed("run-1", hours=500), a_listed("run-2", hours=2, instance_id="i-2")]
    assert standings(*points, nodes=said("i-1") | said("i-2")) == {"i-1": "good", "i-2": "good"}
    newer = [a_listed("run-1", hours=1), a_listed("run-2", hours=2, instance_id="i-2")]
    [policy] = judge(seen(*newer, servers=BOTH, nodes=said("i-1") | said("i-2"))).policies
    assert {server.instance_id: server.through for server in policy.servers} == {"i-1": "", "i-2": "i-1"}


@pytest.mark.parametrize(
    ("nodes", "why"),
    [
        ({}, "nobody has said anything of a cluster"),
        (said("i-2"), "the passive one has not said that it is a node"),
        (said("i-1"), "the other one has not"),
        (said("i-1", hours=OVER) | said("i-2"), "nobody has asked the passive one for long: it may have left"),
        (said("i-1") | said("i-2", cluster="OTHER"), "it is of another cluster"),
        (said("i-1") | said("i-2", nodes=["SQL-2"]), "that cluster of the same name does not list it"),
        (said("i-1", nodes=["SQL-1"]) | said("i-2"), "its cluster does not list the other one"),
        (said("i-1", policy="weekly") | said("i-2", policy="weekly"), "another policy backs them up"),
    ],
)
def test_a_server_stands_by_another_one_only_if_both_are_nodes_of_one_cluster_and_say_so(nodes: Any, why: str) -> None:
    point = a_listed("run-2", hours=10, instance_id="i-2")
    never = {("nightly", "i-1"): NOW - OVER * HOUR}
    assert standings(point, nodes=nodes, first_seen=never) == {"i-1": "behind", "i-2": "good"}, why


def test_a_node_that_the_policy_no_longer_means_covers_none() -> None:
    point = a_listed("run-2", hours=10, instance_id="i-2")
    [policy] = judge(
        seen(
            point,
            servers=(a_server("i-1"), a_server("i-2", policy="another")),
            nodes=said("i-1") | said("i-2"),
            first_seen={("nightly", "i-1"): NOW - OVER * HOUR},
        )
    ).policies
    assert [(server.instance_id, server.standing) for server in policy.servers] == [("i-1", "behind")]


def test_a_recovery_point_that_is_not_good_covers_none() -> None:
    point = a_listed("run-2", hours=1, instance_id="i-2", level="crash")
    never = {("nightly", i): NOW - OVER * HOUR for i in ("i-1", "i-2")}
    assert standings(point, nodes=said("i-1") | said("i-2"), first_seen=never) == {"i-1": "behind", "i-2": "behind"}


def test_a_passive_node_is_covered_by_its_policy_and_so_is_not_unprotected() -> None:
    posture = judge(seen(a_listed(instance_id="i-2"), servers=BOTH, nodes=said("i-1") | said("i-2")))
    assert (posture.unprotected, posture.covered) == ([], 2)


def test_the_mails_name_the_cluster_and_the_node_that_counts() -> None:
    nodes = said("i-1") | said("i-2")
    [behind] = judge(seen(a_listed(hours=OVER, instance_id="i-2"), servers=BOTH, nodes=nodes)).policies
    notice = telling_of("nightly", behind, Told()).notice
    assert notice
    text = mail_of_notice(notice, "", NOW, "s3://b").text
    assert text.count("no node of its cluster SHOP has a newer one") == 2
    [good] = judge(seen(a_listed(hours=1, instance_id="i-2"), servers=BOTH, nodes=nodes)).policies
    notice = telling_of("nightly", good, Told(("i-1", "i-2"))).notice
    assert notice
    text = mail_of_notice(notice, "", NOW, "s3://b").text
    assert "SQL07 (i-1): a passive node of cluster SHOP; the good one is that of i-2" in text


def test_a_goal_is_not_needed_to_see_through_whom_a_node_is_backed_up() -> None:
    point = a_listed("run-2", hours=10, instance_id="i-2")
    [policy] = judge(
        seen(point, servers=BOTH, nodes=said("i-1") | said("i-2"), policies={"nightly": a_policy(alert=None)})
    ).policies
    assert {server.standing for server in policy.servers} == {"no goal"}
    assert policy.oldest_age_s == int(timedelta(hours=10).total_seconds())
