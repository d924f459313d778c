"""Plan: which recovery points of one server stay and go, by the rule of each policy, with every reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from quiesce.aws.bucket import Bucket, plan_key
from quiesce.aws.retention.looks import existing, find_server, uses
from quiesce.aws.retention.points import Points
from quiesce.aws.retention.rules import Rules
from quiesce.errors import PolicyRefused, RetentionRefused
from quiesce.policy.archive import Archive
from quiesce.policy.file import read_policy_file
from quiesce.policy.keep import Retention
from quiesce.policy.selection import Candidate
from quiesce.retention.archiving import Due, due
from quiesce.retention.decision import Point
from quiesce.retention.gather import Existing, Known, point_of
from quiesce.retention.listing import describe
from quiesce.retention.plan import Former, Group, Plan, clock_problem, make_plan
from quiesce.retention.state import GroupPlan, RetentionRequest, ServerPlan

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

NO_DATE = "AWS's answer has no time, so nobody knows whether this machine's clock is right; the next run looks again"
# What an execution's output has room for.
MAX_TEXT = 20_000


@dataclass(frozen=True)
class InForce:
    """The rule for one server and policy, and why nothing may go by it without a person's word."""

    rule: Retention
    formers: Sequence[Former]
    problem: str
    archive: Archive | None = None


@dataclass(frozen=True)
class Gathered:
    """All that is known of a server now."""

    known: Mapping[str, Known]
    snapshots: Mapping[str, Existing]
    server: Candidate | None
    clock: str

    def there(self, known: Known) -> list[str]:
        """Return the snapshots of a recovery point that EC2 has."""
        return [snapshot_id for snapshot_id in known.listed.all_snapshots if snapshot_id in self.snapshots]


class Planned(NamedTuple):
    """The plan of one policy of a server, by which rule, out of what; ``archive`` is None if nothing is archived."""

    plan: Plan
    rule: Retention
    gathered: Gathered
    archive: Archive | None

    def to_archive(self, now: datetime) -> list[Due]:
        """Return what is to be archived; nothing as long as a person has to look at the plan."""
        if self.archive is None or self.plan.problem:
            return []
        return due(self.plan.decisions, self.gathered.known, self.rule, self.archive, now)


@dataclass(frozen=True)
class Planner:
    """What is needed to plan the retention of a server."""

    ec2: "EC2Client"
    bucket: Bucket
    points: Points
    rules: Rules
    stack: str

    def plan(self, instance_id: str, request: RetentionRequest, now: datetime) -> ServerPlan:
        """Plan one server, and keep the plans' texts in the bucket.

        Raises:
            RetentionRefused: the plan that a person confirmed is no longer the same; not retried.
        """
        groups, texts, archives = [], [], False
        for planned in self.plans(instance_id, request, now):
            plan, to_archive = planned.plan, [] if request.remove else planned.to_archive(now)
            archives = archives or bool(to_archive)
            text = describe(plan, planned.rule, to_archive)
            key = plan_key(plan.group.instance_id, plan.group.policy)
            self.bucket.write_text(key, text)
            texts.append(text)
            groups.append(
                GroupPlan(
                    policy=plan.group.policy,
                    plan_id=plan.plan_id,
                    points=len(plan.decisions),
                    going=len([d for d in plan.removals if not planned.gathered.known[d.point.run_id].removing]),
                    problem=plan.problem,
                    place=self.bucket.place(key),
                )
            )
        text = "\n".join(texts)[:MAX_TEXT]
        return ServerPlan(instance_id=instance_id, groups=groups, text=text, archives=archives)

    def plans(self, instance_id: str, request: RetentionRequest, now: datetime) -> list[Planned]:
        """Return the plan of each policy of a server that has, or had, a rule; nothing is changed but the rules' list.

        Raises:
            RetentionRefused: the plan that a person confirmed is no longer the same; not retried.
        """
        gathered = self.gather(instance_id, now)
        found = []
        for policy in sorted({known.listed.policy for known in gathered.known.values()}):
            if request.policy in (None, policy):
                force = self._in_force(policy, instance_id, gathered, now)
                if force:
                    plan = self._plan_group(Group(instance_id, policy), force, gathered, request, now)
                    found.append(Planned(plan, force.rule, gathered, force.archive))
        return found

    def gather(self, instance_id: str, now: datetime) -> Gathered:
        """Look at all recovery points of a server, in the table and in EC2; those that are gone leave the list."""
        server, theirs = find_server(self.ec2, instance_id)
        known = {}
        points = self.points.of_server(instance_id, now)
        truths = self.points.truths(points)
        for listed in points:
            truth = truths[listed.run_id]
            if truth.removed:
                self.points.forget(listed)
            else:
                known[listed.run_id] = Known(
                    listed,
                    truth.status,
                    truth.leased_until,
                    truth.leased_by,
                    removing=truth.removing,
                    locked=truth.locked,
                    archiving=truth.archiving,
                    archived_at=truth.archived_at,
                    weighed_at=truth.weighed_at,
                )
        clock = clock_problem(now, theirs) if theirs else NO_DATE
        return Gathered(known, existing(self.ec2, self.stack, instance_id), server, clock)

    def kept_for(self, known: Known, gathered: Gathered, now: datetime) -> tuple[str, ...]:
        """Return what keeps one recovery point whatever the rule says, looked at now.

        That the archive is billed does not: it ends by itself, and a person may not want to wait.
        """
        found = uses(self.ec2, gathered.there(known))
        point = point_of(replace(known, archived_at=None), gathered.snapshots, now, found)
        return point.kept_for if point else ()

    def _plan_group(
        self, group: Group, force: InForce, gathered: Gathered, request: RetentionRequest, now: datetime
    ) -> Plan:
        known = [k for k in gathered.known.values() if k.listed.policy == group.policy]
        removed = self.points.removals(group.instance_id, group.policy, now)
        confirmed = "" if request.remove else request.confirm or ""

        def planned(used: Mapping[str, str]) -> Plan:
            points = [p for k in known if (p := point_of(k, gathered.snapshots, now, used))]
            return make_plan(
                group, points, force.rule, now, formers=force.formers, removed=removed, confirmed=confirmed
            )

        # Of what stays anyway nobody needs to know what else uses it: the look takes a call for each snapshot.
        going: list[Point] = [decision.point for decision in planned({}).removals]
        snapshots = [i for p in going for i in gathered.there(gathered.known[p.run_id])]
        plan = planned(uses(self.ec2, snapshots) if snapshots else {})
        if confirmed and confirmed != plan.plan_id:
            raise RetentionRefused(
                "confirm", f"the plan is now {plan.plan_id}", "look at it, and confirm that one if it is right"
            )
        problem = "" if confirmed else force.problem
        problems = [*filter(None, [gathered.clock, problem, plan.problem])]
        return Plan(group, plan.plan_id, plan.decisions, "; ".join(problems))

    def _in_force(self, policy: str, instance_id: str, gathered: Gathered, now: datetime) -> InForce | None:
        """Return the rule for a server, None if every recovery point stays.

        It is the policy's as it is now; of one that is gone, that can't be read or has lost the server, the last.
        """
        try:
            content, where = self.bucket.read_policy(policy)
            found = read_policy_file(content, policy, where)
        except PolicyRefused as error:
            last = self.rules.last(policy)
            return InForce(last, (), f"the policy can't be read: {error}") if last else None
        formers = self.rules.in_force(policy, found.retention, now)
        problem = ""
        if gathered.server is None:
            problem = f"{instance_id} is terminated or gone"
        elif not found.entries_for(gathered.server) or found.exclusion_of(gathered.server) is not None:
            problem = f"{instance_id} is no target of the policy any more"
        # What a former rule keeps for its days may be no monthly or yearly one by that.
        archive = None if formers else found.archive
        return InForce(found.retention, formers, problem, archive) if found.retention else None
