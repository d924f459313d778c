"""A server as a node of its failover cluster, as runs and records keep it."""

from collections.abc import Sequence
from typing import Literal

from quiesce.executions import Crossing

NodeRole = Literal["primary", "secondary", "not known"]


class ClusterNode(Crossing):
    """A server as a node of its cluster, when the run was planned.

    ``role`` is ``primary`` if the node owns a role that runs, ``secondary`` if all that run are on others, and ``why``
    says how that is known, or why it is not. ``cluster`` and ``nodes`` are empty where they are not known.
    """

    cluster: str = ""
    node: str = ""
    nodes: list[str] = []
    role: NodeRole
    why: str

    def shares_cluster(self, other: "ClusterNode") -> bool:
        """Say whether both are nodes of one cluster: each must list the other, since its name alone may occur twice."""
        listed = is_among(other.node, self.nodes) and is_among(self.node, other.nodes)
        return bool(self.cluster) and self.cluster.casefold() == other.cluster.casefold() and listed


def not_known(why: str) -> ClusterNode:
    """Return a server of whose role nothing is known."""
    return ClusterNode(role="not known", why=why)


def is_among(node: str, nodes: Sequence[str]) -> bool:
    """Say whether a node is one of these."""
    return any(is_named(each, node) for each in nodes)


def is_named(name: str | None, node: str) -> bool:
    """Say whether a name is that of a node: in upper and lower case it is the same, and nothing is no name."""
    return bool(node) and (name or "").casefold() == node.casefold()
