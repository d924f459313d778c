"""Gather what one look at the posture sees: policies, servers, and the newest good recovery point of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from quiesce.aws.point_looks import find_snapshots
from quiesce.aws.policies.policies_in_force import PoliciesInForce
from quiesce.aws.posture.clusters import Clusters
from quiesce.aws.retention.points import Points
from quiesce.aws.servers import find_candidates
from quiesce.errors import PolicyRefused
from quiesce.points.listed import ListedPoint
from quiesce.policy.file import read_policy_file
from quiesce.policy.policy import Policy
from quiesce.policy.selection import Candidate
from quiesce.policy_run.resolving import resolve
from quiesce.posture.judging import Seen
from quiesce.posture.tally import Counts, Tally, counts_of, tally

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

Tallies = dict[str, dict[str, Tally]]


@dataclass(frozen=True)
class _Policies:
    """The policies in force, the servers of each, and what could not be known of some."""

    read: Mapping[str, Policy]
    covered: Mapping[str, Sequence[str]]
    unread: Mapping[str, str]


@dataclass(frozen=True)
class Gatherer:
    """Where a look gathers what it sees."""

    ec2: "EC2Client"
    in_force: PoliciesInForce
    points: Points
    clusters: Clusters
    stack: str

    def gather(self, now: datetime) -> Seen:
        """Look at everything.

        A server's list of recovery points is read whole, and forgotten once it is counted: there may be 10,000 servers.
        What an application would be recovered from must still be there, so EC2 is asked for the snapshots of each
        newest good one, and for all of a server where some are gone.
        """
        servers = {each.instance_id: each for each in find_candidates(self.ec2)}
        policies = self._policies(list(servers.values()))
        counts = {name: counts_of(policy) for name, policy in policies.read.items()}
        # A server whose recovery points are all removed still has its place among those that have a list.
        tallies = {i: own for i in self.points.servers() if (own := tally(self.points.listed(i), counts, now))}
        tallies |= self._without_gone(tallies, counts, now)
        return Seen(
            stack=self.stack,
            now=now,
            unknown=[f"policy {name}: {words}" for name, words in policies.unread.items()],
            policies=policies.read,
            unread=list(policies.unread),
            covered=policies.covered,
            servers=servers,
            tallies=tallies,
            first_seen={},
            nodes=self.clusters.nodes(),
        )

    def _policies(self, servers: Sequence[Candidate]) -> _Policies:
        read, covered, unread = {}, {}, {}
        for name in self.in_force.names():
            try:
                policy = read_policy_file(self.in_force.text(name).encode(), name, f"the text of '{name}' in force")
                covered[name] = [target.instance_id for target in resolve(policy, servers).targets]
                read[name] = policy
            except PolicyRefused as error:
                # Also one that was deleted at this moment. Nobody is told anything of it before it can be read.
                unread[name] = str(error)
        return _Policies(read, covered, unread)

    def _without_gone(self, tallies: Tallies, counts: Mapping[str, Counts], now: datetime) -> Tallies:
        """Return the tallies of those servers of which a newest good recovery point has lost snapshots."""
        newest = {i: [t.newest for t in own.values() if t.newest] for i, own in tallies.items()}
        there = self._there([point for points in newest.values() for point in points])
        found = {}
        for instance_id, points in newest.items():
            if not all(_is_whole(point, there) for point in points):
                listed = list(self.points.listed(instance_id))
                still = self._there(listed)
                gone = {point.run_id for point in listed if not _is_whole(point, still)}
                found[instance_id] = tally(listed, counts, now, gone)
        return found

    def _there(self, points: Sequence[ListedPoint]) -> set[str]:
        """Return the snapshots of these that EC2 has, complete, and not about to be removed."""
        found = find_snapshots(self.ec2, [snapshot_id for point in points for snapshot_id in point.snapshots])
        return {i for i, each in found.items() if each.state == "completed" and not each.removing}


def _is_whole(point: ListedPoint, there: set[str]) -> bool:
    return there.issuperset(point.snapshots)
