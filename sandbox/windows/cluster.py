"""A failover cluster as its nodes show it: each asks its own provider, and all see the same roles."""

from dataclasses import dataclass, field, replace

from sandbox.windows.host import Json

NAMESPACE, FEATURE = "root/MSCluster", "MSCluster"
# CLUSTER_GROUP_STATE and CLUSGROUP_TYPE of clusapi.h (learn.microsoft.com); a role of SQL Server is of an unknown type.
ONLINE, OFFLINE, FAILED, PARTIAL, PENDING = range(5)
CORE, STORAGE, UNKNOWN_TYPE = 1, 2, 9999


@dataclass(frozen=True)
class Role:
    """A resource group; None for what the provider does not say."""

    name: str
    owner: str | None
    state: int | None = ONLINE
    group_type: int | None = UNKNOWN_TYPE


@dataclass
class Cluster:
    """A cluster; without a name the feature is installed, and nobody has made one."""

    name: str = "SHOP-SQL"
    nodes: tuple[str, ...] = ("SQL-A", "SQL-B")
    roles: list[Role] = field(default_factory=list)

    def move(self, name: str, owner: str, state: int = ONLINE) -> None:
        """Let another node own a role."""
        self.roles = [replace(role, owner=owner, state=state) if role.name == name else role for role in self.roles]

    def instances(self) -> dict[str, list[Json]]:
        """Return what the provider has, by its classes."""
        return {
            "MSCluster_Cluster": [{"Name": self.name}] if self.name else [],
            "MSCluster_Node": [{"Name": node} for node in self.nodes],
            "MSCluster_ResourceGroup": [
                {"Name": role.name, "OwnerNode": role.owner, "State": role.state, "GroupType": role.group_type}
                for role in self.roles
            ],
        }

    def facts(self, node: str) -> Json:
        """Return what the guest says of it on a node."""
        found = self.instances()
        return {
            "node": node,
            "clusters": [*found["MSCluster_Cluster"]],
            "nodes": [*found["MSCluster_Node"]],
            "roles": [*found["MSCluster_ResourceGroup"]],
        }


def sql_cluster(owner: str = "SQL-A", *, core: str = "SQL-B") -> Cluster:
    """Return a cluster of two nodes: one owns the role of SQL Server, the other what each cluster has for itself."""
    roles = [Role("Cluster Group", core, group_type=CORE), Role("Available Storage", core, OFFLINE, STORAGE)]
    return Cluster(roles=[*roles, Role("SQL1", owner)])
