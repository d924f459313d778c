"""Tell: sum up what was found, and tell who must know that a policy's server is below the level that it wants."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from quiesce.aws import topic
from quiesce.aws.doctor.fixes import Fixes
from quiesce.aws.doctor.kept import Kept
from quiesce.doctor.findings import LEVELS
from quiesce.doctor.fix import Fix
from quiesce.doctor.state import DoctorState, Item, Latest, Summary, Told
from quiesce.doctor.telling import SUBJECT, TOLD, below, mail_text
from quiesce.executions import cause_of

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

# So that the output stays below Step Functions' 256 KiB; the rest is in the bucket.
TOLD_CHANGES = 200
# A server that nobody has examined for so long is gone, or in no policy any more.
FORGOTTEN = timedelta(days=30)


@dataclass(frozen=True)
class Teller:
    """What is needed to tell what an execution found."""

    sns: "SNSClient"
    kept: Kept
    fixes: Fixes
    topic_arn: str

    def tell(self, state: DoctorState, now: datetime) -> Told:
        """Return the whole execution in a few lines; a mail tells of servers that have fallen below since the last."""
        items = self.kept.read_items(state.list.items) if state.list else []
        found = self.kept.summaries()
        # Two executions may meet at a server: then the later one has written over what the earlier one had kept.
        new = {
            i: each
            for i, each in found.items()
            if each.execution == state.execution.id or each.at >= state.execution.started_at
        }
        newest = sorted(found.values(), key=lambda each: each.instance_id)
        place = self.kept.write_latest(Latest(at=now, servers=[each for each in newest if each.at > now - FORGOTTEN]))
        lacking = below(items, new)
        self._tell(items, lacking, found, place)
        mine = [new[item.server] for item in items if item.server in new]
        asked, fixes = state.request.instance_id, self._fixes(state.fix_id)
        return Told(
            servers=len(items),
            ready={level: sum(each.ready[level] == "yes" for each in mine) for level in LEVELS},
            below=[f"{server}: {words}" for server, words in sorted(lacking.items())][:TOLD],
            problems=_problems(state, items, new)[:TOLD],
            place=place,
            diagnosis=self.kept.diagnosis(asked) if asked in new and asked else None,
            fix=state.fix_id if fixes else "",
            changes=[line for fix in fixes for line in fix.told][:TOLD_CHANGES],
        )

    def _fixes(self, fix_id: str) -> list[Fix]:
        return self.fixes.of(fix_id) if fix_id else []

    def _tell(
        self, items: Sequence[Item], lacking: Mapping[str, str], found: Mapping[str, Summary], place: str
    ) -> None:
        told, asked = self.kept.told(), {item.server for item in items if item.wants}
        fallen = {server: words for server, words in lacking.items() if told.get(server) != words}
        if fallen:
            names = {server: found[server].name for server in fallen}
            topic.publish(self.sns, self.topic_arn, SUBJECT, mail_text(fallen, names, place))
        self.kept.remember(fallen, sorted(told.keys() & asked - lacking.keys()))


def _problems(state: DoctorState, items: Sequence[Item], new: Mapping[str, Summary]) -> list[str]:
    why = "not examined, and nothing says why; look at the execution"
    missing = [f"{item.server}: {why} {state.execution.id}" for item in items if item.server not in new]
    problems = [*(state.list.unread if state.list else []), *missing]
    if state.failure is None:
        return problems
    cause = cause_of(state.failure)
    return [f"the servers could not be gone through, {cause.error}: {cause.words}", *problems]
