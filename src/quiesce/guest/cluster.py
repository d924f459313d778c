"""The failover cluster that a server is a node of, and whether it is the one on which a role runs.

An Always On availability group is a role of the cluster, too: the node that owns it has the primary replica. So nobody
has to log in to SQL Server.
"""

from collections.abc import Sequence

from quiesce.guest.cluster_node import ClusterNode, NodeRole, is_among, is_named, not_known
from quiesce.guest.examination import ClusterFacts, ResourceGroup, Told

# CLUSTER_GROUP_STATE of clusapi.h (learn.microsoft.com): of a role that runs, and of one that runs nowhere.
ONLINE, OFFLINE, PARTIALLY_ONLINE = 0, 1, 3
# CLUSGROUP_TYPE of clusapi.h: groups of the cluster's own, and those of Windows that hold no application's data.
NO_ROLES = frozenset({1, 2, 3, 4, 5, 116, 117, 123, 124, 125})
# So that the words stay short on a cluster with many roles.
NAMED_ROLES = 3


def node_of(told: Told[ClusterFacts] | None) -> ClusterNode:
    """Return what a server says of its cluster; None is what an older document, or no answer at all, says."""
    if told is None:
        return not_known("the server was not asked for it")
    if not told.known:
        return not_known(told.why)
    if not told.values or len(told.values[0].clusters) != 1:
        return not_known("the server is in no failover cluster")
    facts = told.values[0]
    cluster, nodes = facts.clusters[0].name, [each.name for each in facts.nodes]
    found = {"cluster": cluster, "node": facts.node, "nodes": nodes}
    if not is_among(facts.node, nodes):
        return not_known(f"cluster {cluster} does not list {facts.node or 'a node without a name'} as one of its nodes")
    role, why = _role([each for each in facts.roles if each.group_type not in NO_ROLES], facts.node, cluster)
    return ClusterNode(**found, role=role, why=why)


def _role(roles: Sequence[ResourceGroup], node: str, cluster: str) -> tuple[NodeRole, str]:
    running = [each for each in roles if each.state in (ONLINE, PARTIALLY_ONLINE)]
    if own := [each for each in running if is_named(each.owner_node, node)]:
        return "primary", f"it owns {_named(own)} of cluster {cluster}"
    # One that is failing over is on no node for a moment, and a failed one may still have its application running.
    if unclear := [each for each in roles if each.state not in (ONLINE, PARTIALLY_ONLINE, OFFLINE)]:
        return "not known", f"{_named(unclear)} of cluster {cluster} is failing over, or has failed"
    if nobodys := [each for each in running if not each.owner_node]:
        return "not known", f"cluster {cluster} does not say who owns {_named(nobodys)}"
    if not running:
        return "not known", f"no role of cluster {cluster} is online"
    owners = ", ".join(sorted({str(each.owner_node) for each in running}, key=str.casefold))
    return "secondary", f"of cluster {cluster} it owns no role that is online: {_named(running)} is on {owners}"


def _named(roles: Sequence[ResourceGroup]) -> str:
    more = f" and {len(roles) - NAMED_ROLES} more" if len(roles) > NAMED_ROLES else ""
    return f"{', '.join(each.name for each in roles[:NAMED_ROLES])}{more}"
