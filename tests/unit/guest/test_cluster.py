"""The role of a server in its cluster: only what is certain leaves a node out."""

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiesce.guest.cluster import NO_ROLES, node_of
from quiesce.guest.cluster_node import ClusterNode, NodeRole, not_known
from quiesce.guest.examination import ClusterFacts, Told

NODES = ("SQL-A", "SQL-B", "SQL-C")


def facts(*roles: tuple[Any, ...], node: str = "SQL-A", nodes: Any = NODES, clusters: Any = ("SHOP",)) -> Told[Any]:
    listed = [
        {"Name": name, "OwnerNode": owner, "State": state, "GroupType": kind}
        for name, owner, state, kind in ((*role, 0, 9999)[:4] if len(role) < 4 else role for role in roles)
    ]
    value = {
        "node": node,
        "clusters": [{"Name": each} for each in clusters],
        "nodes": [{"Name": each} for each in nodes],
        "roles": listed,
    }
    return Told[ClusterFacts].model_validate({"values": [value], "why": ""})


def a_node(node: str, nodes: list[str], cluster: str = "SHOP") -> ClusterNode:
    return ClusterNode(cluster=cluster, node=node, nodes=nodes, role="primary", why="")


@pytest.mark.parametrize(
    ("told", "role", "why"),
    [
        (None, "not known", "the server was not asked for it"),
        (Told(values=[], why="cluster: Timed out"), "not known", "cluster: Timed out"),
        (Told(values=[], why=""), "not known", "the server is in no failover cluster"),
        (facts(clusters=()), "not known", "the server is in no failover cluster"),
        (facts(clusters=("A", "B")), "not known", "the server is in no failover cluster"),
        (facts(("X", "SQL-B"), node=""), "not known", "does not list a node without a name as one of its nodes"),
        (facts(("X", "SQL-B"), nodes=("SQL-B",)), "not known", "does not list SQL-A as one of its nodes"),
        (facts(), "not known", "no role of cluster SHOP is online"),
        (facts(("X", "sql-a")), "primary", "it owns X of cluster SHOP"),
        (facts(("X", "SQL-A", 3)), "primary", "it owns X of cluster SHOP"),
        (facts(("X", "SQL-B"), ("Y", "SQL-A")), "primary", "it owns Y of cluster SHOP"),
        (facts(("X", "SQL-A", 1), ("Y", "SQL-B")), "secondary", "Y is on SQL-B"),
        (facts(("X", "SQL-B"), ("Y", "SQL-C")), "secondary", "X, Y is on SQL-B, SQL-C"),
        (facts(("X", "SQL-B", 1)), "not known", "no role of cluster SHOP is online"),
        (facts(("X", "SQL-B", 4), ("Y", "SQL-B")), "not known", "X of cluster SHOP is failing over, or has failed"),
        (facts(("X", "SQL-B", 2)), "not known", "X of cluster SHOP is failing over, or has failed"),
        (facts(("X", "SQL-B", None)), "not known", "X of cluster SHOP is failing over, or has failed"),
        (facts(("X", "SQL-B", 4), ("Y", "SQL-A")), "primary", "it owns Y of cluster SHOP"),
        (facts(("X", None), ("Y", "SQL-B")), "not known", "does not say who owns X"),
        (facts(("X", ""),), "not known", "does not say who owns X"),
        (facts(*((f"R{n}", "SQL-B") for n in range(5))), "secondary", "R0, R1, R2 and 2 more is on SQL-B"),
    ],
)  # fmt: skip
def test_the_role_of_a_node(told: Any, role: str, why: str) -> None:
    found = node_of(told)
    assert found.role == role
    assert found.why.endswith(why)


@pytest.mark.parametrize("kind", sorted(NO_ROLES))
def test_what_a_cluster_has_for_itself_makes_no_node_the_primary(kind: int) -> None:
    own = facts(("Cluster Group", "SQL-A", 0, kind), ("X", "SQL-B"))
    assert node_of(own).role == "secondary"
    assert node_of(facts(("Cluster Group", "SQL-A", 4, kind), ("X", "SQL-B"))).role == "secondary"


ROLES = st.lists(
    st.tuples(
        st.sampled_from("XYZ"),
        st.sampled_from([*NODES, "sql-a", "SQL-D", "", None]),
        st.sampled_from([0, 1, 2, 3, 4, 2**32 - 1, None]),
        st.sampled_from([1, 2, 111, 9999, None]),
    ),
    max_size=5,
)


@given(ROLES)
def test_never_are_all_nodes_of_a_cluster_secondary_while_they_see_the_same(roles: list[Any]) -> None:
    seen = [node_of(facts(*roles, node=node)).role for node in NODES]
    owners = {str(owner).upper() for _, owner, state, kind in roles if state in (0, 3) and kind not in NO_ROLES}
    # A node that the cluster does not list may own a role: then those that are listed are passive, and the alarm tells.
    if owners - {*NODES} <= {"", "NONE"}:
        assert set(seen) != {"secondary"}
    assert {*seen} <= {*get_args(NodeRole)}


def test_nodes_are_of_one_cluster_if_each_lists_the_other() -> None:
    both = ["SQL-A", "SQL-B"]
    one, other = a_node("SQL-A", both), a_node("sql-b", both, "shop")
    assert one.shares_cluster(other)
    assert other.shares_cluster(one)
    assert not one.shares_cluster(a_node("SQL-B", both, "OTHER"))
    assert not one.shares_cluster(a_node("SQL-B", ["SQL-B"]))
    assert not one.shares_cluster(a_node("SQL-C", [*both, "SQL-C"]))
    assert not not_known("").shares_cluster(not_known(""))
