"""Through which node of its cluster a server is backed up: a passive node needs no recovery point of its own. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from quiesce.guest.cluster_node import ClusterNode
from quiesce.posture.state import PosturePart


class NodeSeen(PosturePart):
    """What a server said of its cluster in the newest run of a policy that knew; ``at`` is when that run began."""

    policy: str
    instance_id: str
    node: ClusterNode
    at: datetime


@dataclass(frozen=True)
class Through:
    """The node whose recovery point counts for a server, and the time that counts."""

    instance_id: str
    at: datetime


def through(
    policy: str,
    instance_id: str,
    servers: Sequence[str],
    nodes: Mapping[tuple[str, str], NodeSeen],
    newest: Mapping[str, datetime],
) -> Through | None:
    """Return through which other server a server is backed up, None if through none.

    What counts is no newer than the server's own last word: a node that nobody asks any more falls behind by itself.

    Args:
        policy: its name.
        instance_id: the server.
        servers: all that the policy means.
        nodes: what servers said of their clusters, by policy and server.
        newest: when the newest good recovery point of each was taken, by server.
    """
    own = nodes.get((policy, instance_id))
    if own is None:
        return None
    others = [nodes[policy, each] for each in servers if each != instance_id and (policy, each) in nodes]
    found = [
        Through(other.instance_id, min(own.at, newest[other.instance_id]))
        for other in others
        if other.instance_id in newest and own.node.shares_cluster(other.node)
    ]
    return max(found, key=lambda each: each.at, default=None)
