"""Judge the posture of all servers by what one look saw; time is an input."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from quiesce.policy.policy import Policy
from quiesce.policy.selection import Candidate
from quiesce.policy_run.resolving import GONE
from quiesce.posture.cluster import NodeSeen, Through, through
from quiesce.posture.state import (
    STANDINGS,
    Goal,
    GoodPoint,
    LeftOver,
    PolicyPosture,
    PolicyStanding,
    Posture,
    ServerPosture,
    Standing,
    Unprotected,
    Unproven,
)
from quiesce.posture.tally import Tally


@dataclass(frozen=True)
class Seen:
    """What one look saw.

    Attributes:
        stack: the stack's name.
        now: when it was, in UTC.
        unknown: what it could not know, in words.
        policies: those in force, by name.
        unread: the names of those in force that can't be read, or whose servers can't be told.
        covered: the servers that each policy means now, by its name.
        servers: all that EC2 has in account and Region, by id.
        tallies: what the lists of recovery points come to, by server and policy.
        first_seen: since when a look has seen a server in a policy without a good recovery point, by both.
        nodes: what servers said of their clusters, by policy and server.
    """

    stack: str
    now: datetime
    unknown: Sequence[str]
    policies: Mapping[str, Policy]
    unread: Sequence[str]
    covered: Mapping[str, Sequence[str]]
    servers: Mapping[str, Candidate]
    tallies: Mapping[str, Mapping[str, Tally]]
    first_seen: Mapping[tuple[str, str], datetime]
    nodes: Mapping[tuple[str, str], NodeSeen] = field(default_factory=dict)

    def tally(self, policy: str, instance_id: str) -> Tally | None:
        """Return what a server's recovery points by a policy come to."""
        return self.tallies.get(instance_id, {}).get(policy)


def waiting(seen: Seen) -> set[tuple[str, str]]:
    """Return the policies and servers for which somebody must remember since when there is no good recovery point."""
    return {
        (name, instance_id)
        for name, policy in seen.policies.items()
        for instance_id in (seen.covered.get(name, []) if policy.alert else [])
        if not (tally := seen.tally(name, instance_id)) or tally.newest is None
    }


def judge(seen: Seen) -> Posture:
    """Judge all policies and servers."""
    windows = {i: each for i, each in seen.servers.items() if each.windows and each.state not in GONE}
    covered = {instance_id for ids in seen.covered.values() for instance_id in ids}
    policies = [_policy(seen, name) for name in sorted(seen.policies) if name not in seen.unread]
    left = sorted(_left(seen), key=lambda each: (each.kind, each.instance_id, each.policy))
    return Posture(
        stack=seen.stack,
        looked_at=seen.now,
        unknown=list(seen.unknown),
        windows_servers=len(windows),
        covered=len(covered & windows.keys()),
        policies=policies,
        unprotected=[
            _unprotected(seen, windows[i]) for i in sorted(windows.keys() - covered) if not windows[i].recovery
        ],
        left=left,
        unproven=[each for policy in policies for each in _unproven(policy)],
    )


def _policy(seen: Seen, name: str) -> PolicyPosture:
    policy = seen.policies[name]
    goal = None
    if policy.alert:
        goal = Goal(no_good_point_for_s=int(policy.alert.within.total_seconds()), level=policy.alert.level)
    servers = [_server(seen, name, instance_id, goal) for instance_id in seen.covered.get(name, [])]
    servers.sort(key=lambda each: (STANDINGS.index(each.standing), -(each.age_s or 0), each.instance_id))
    none: PolicyStanding = "no servers"
    return PolicyPosture(
        policy=name,
        goal=goal,
        scheduled=any(schedule.enabled for schedule in policy.schedules),
        standing=servers[0].standing if servers else none,
        oldest_age_s=max((each.age_s for each in servers if each.age_s is not None), default=None),
        points=sum(each.points for each in servers),
        behind=sum(each.standing == "behind" for each in servers),
        servers=servers,
    )


def _server(seen: Seen, policy: str, instance_id: str, goal: Goal | None) -> ServerPosture:
    tally, server = seen.tally(policy, instance_id), seen.servers[instance_id]
    point = tally.newest if tally else None
    newest = GoodPoint(run_id=point.run_id, at=point.at, level=point.level, evidence=point.evidence) if point else None
    other, said = _through(seen, policy, instance_id), seen.nodes.get((policy, instance_id))
    if other and newest and other.at <= newest.at:
        other = None
    first_seen = None if newest or other else seen.first_seen.get((policy, instance_id))
    since = other.at if other else newest.at if newest else first_seen
    # A clock that is behind EC2's by a little would make it less than nothing.
    age_s = max(0, int((seen.now - since).total_seconds())) if since else None
    return ServerPosture(
        instance_id=instance_id,
        name=_name(server),
        state=server.state,
        standing=_standing(age_s, goal, has_one=bool(newest or other)),
        points=tally.points if tally else 0,
        newest=newest,
        first_seen=first_seen,
        age_s=age_s,
        cluster=said.node.cluster if said else "",
        through=other.instance_id if other else "",
        lost=list(tally.lost) if tally else [],
    )


def _through(seen: Seen, policy: str, instance_id: str) -> Through | None:
    if (policy, instance_id) not in seen.nodes:
        return None
    servers = seen.covered.get(policy, [])
    tallies = {each: tally.newest for each in servers if (tally := seen.tally(policy, each)) and tally.newest}
    return through(policy, instance_id, servers, seen.nodes, {each: point.at for each, point in tallies.items()})


def _standing(age_s: int | None, goal: Goal | None, *, has_one: bool) -> Standing:
    if goal is None:
        return "no goal"
    if age_s is not None and age_s > goal.no_good_point_for_s:
        return "behind"
    return "good" if has_one else "waiting"


def _unprotected(seen: Seen, server: Candidate) -> Unprotected:
    own = seen.tallies.get(server.instance_id, {})
    excluding = [name for name, policy in seen.policies.items() if _excludes(policy, server)]
    if excluding:
        reason = f"policy {min(excluding)} excludes it"
    elif own:
        reason = f"no policy means it any more; it has recovery points by {', '.join(sorted(own))}"
    else:
        reason = "no policy means it"
    return Unprotected(
        instance_id=server.instance_id,
        name=_name(server),
        state=server.state,
        reason=reason,
        newest_at=max((tally.newest_at for tally in own.values()), default=None),
    )


def _excludes(policy: Policy, server: Candidate) -> bool:
    return bool(policy.entries_for(server)) and policy.exclusion_of(server) is not None


def _left(seen: Seen) -> Iterator[LeftOver]:
    covered = {name: set(ids) for name, ids in seen.covered.items()}
    for instance_id, tallies in seen.tallies.items():
        server = seen.servers.get(instance_id)
        for name, tally in tallies.items():
            known = name not in seen.unread and instance_id not in covered.get(name, ())
            if not known or (server and server.recovery):
                continue
            policy = seen.policies.get(name)
            words = "the policy does not mean it any more: its tags or the policy have changed"
            kind, reason = ("left", words)
            if server is None or server.state in GONE:
                kind, reason = "gone", "the server is terminated, or gone"
            elif policy is None:
                kind, reason = (
                    "no policy",
                    "no policy of this name is in force: it was deleted, renamed or given inline",
                )
            elif _excludes(policy, server):
                reason = "the policy excludes it"
            yield LeftOver(
                instance_id=instance_id,
                name=_name(server) if server else "",
                policy=name,
                kind=kind,
                reason=reason,
                points=tally.points,
                newest_at=tally.newest_at,
            )


def _unproven(policy: PolicyPosture) -> Iterator[Unproven]:
    for server in policy.servers:
        point = server.newest
        if point is None or (point.level, point.evidence) == ("application", "present"):
            continue
        reason = f"the shadow copies in its snapshots are {point.evidence}"
        if point.level != "application":
            reason = "it is crash-consistent"
        elif not point.evidence:
            reason = "no shadow copies were looked for in its snapshots"
        yield Unproven(
            instance_id=server.instance_id,
            name=server.name,
            policy=policy.policy,
            run_id=point.run_id,
            at=point.at,
            reason=reason,
        )


def _name(server: Candidate) -> str:
    return server.tags.get("Name", "")
