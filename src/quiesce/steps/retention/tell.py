"""Tell: sum up what the table has of all servers of an execution, and tell who must know what was not removed."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from quiesce.aws import topic
from quiesce.aws.retention.outcomes import Outcomes
from quiesce.aws.retention.server_lists import ServerLists
from quiesce.executions import cause_of
from quiesce.retention.state import Finished, RetentionState, Told

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

# So that output and mail stay readable; the rest is in the plans.
TOLD = 20


@dataclass(frozen=True)
class Teller:
    """What is needed to tell how an execution ended."""

    sns: "SNSClient"
    lists: ServerLists
    outcomes: Outcomes
    topic_arn: str

    def tell(self, state: RetentionState) -> Told:
        """Return the whole execution in a few lines; a mail tells of problems, but not those of a dry run."""
        servers = self._servers(state)
        found, me, began = self.outcomes.all(), state.execution.id, state.execution.started_at
        mine = [each for each in found if each.execution == me]
        # Two executions may meet at a server: then the later one has written over what the earlier one had kept.
        known = {each.instance_id for each in found if each.execution == me or each.at >= began}
        problems = [f"{each.instance_id}: {problem}" for each in mine for problem in each.problems]
        notes = [f"{each.instance_id}: {note}" for each in mine for note in each.notes]
        if state.list and state.list.dry_run:
            return self._tell_plans(state, servers, mine)
        unknown = "not finished, and nothing says why; look at the execution"
        problems += [f"{server}: {unknown} {state.execution.id}" for server in servers if server not in known]
        if state.failure:
            cause = cause_of(state.failure)
            problems.insert(0, f"the servers could not be gone through, {cause.error}: {cause.words}")
        if problems:
            text = "\n".join([*problems[:TOLD], "", "docs/operate/runbook.md, Recovery points are not removed."])
            topic.publish(self.sns, self.topic_arn, "quiesce: recovery points were not removed", text)
        return Told(
            servers=len(servers),
            locked=sum(len(each.locked) for each in mine),
            removed=sum(len(each.removed) for each in mine),
            archived=sum(len(each.archived) for each in mine),
            would_go=0,
            problems=problems[:TOLD],
            notes=notes[:TOLD],
            plans=[],
        )

    def _tell_plans(self, state: RetentionState, servers: list[str], mine: list[Finished]) -> Told:
        plans = self.outcomes.planned(state.execution.id)
        groups = [group for plan in plans for group in plan.groups]
        texts = [plan.text or f"{g.policy}: {g.place}" for plan in plans for g in plan.groups[:1]]
        problems = [f"{plan.instance_id}: {g.problem}" for plan in plans for g in plan.groups if g.problem]
        failed = {each.instance_id: "; ".join(each.problems) for each in mine}
        planned = {plan.instance_id for plan in plans}
        unknown = f"not planned; look at the execution {state.execution.id}"
        problems += [f"{server}: {failed.get(server, unknown)}" for server in servers if server not in planned]
        would = sum(group.going for group in groups)
        return Told(
            servers=len(servers),
            locked=0,
            removed=0,
            archived=0,
            would_go=would,
            problems=problems[:TOLD],
            notes=[],
            plans=texts[:TOLD],
        )

    def _servers(self, state: RetentionState) -> list[str]:
        """Return the servers that List wrote down."""
        return self.lists.read_servers(state.list.items) if state.list else []
