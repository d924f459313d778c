"""Mark and finish: begin the removal of recovery points, delete their snapshots, look that they are gone, record it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from quiesce.aws.bucket import Bucket, record_key
from quiesce.aws.images import deregister, find_images
from quiesce.aws.point_looks import find_snapshots
from quiesce.aws.retention.outcomes import Outcomes
from quiesce.aws.retention.removing import delete, mark
from quiesce.errors import AccessDenied, ImageRefused, NotReady, RetentionRefused
from quiesce.retention.gather import Known
from quiesce.retention.images import retired
from quiesce.retention.state import Finished, Marked, RetentionState
from quiesce.steps.retention.plan import Gathered, Planner
from quiesce.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

# Longer than one call of the function and the longest wait for the next: each call holds the server anew.
HOLD_SERVER = timedelta(minutes=30)
# What is left of a function's time when it begins nothing more.
RESERVE_MS = 60_000
BY_A_PERSON = "a person removed it by its id"


@dataclass(frozen=True)
class Remover:
    """What is needed to remove recovery points of a server."""

    ec2: "EC2Client"
    bucket: Bucket
    outcomes: Outcomes
    planner: Planner

    def mark(self, state: RetentionState, now: datetime) -> Marked:
        """Mark all recovery points that go by the plans that were shown, each by a conditional write.

        Returns:
            What was marked. A plan that is no longer the same, and a point that somebody uses by now, are problems.

        Raises:
            PruningBusy: another execution is at work on the server; not retried.
            RetentionRefused: what a person asked for is not possible; not retried.
        """
        self.outcomes.take_server(state.server, state.execution.id, now, now + HOLD_SERVER)
        try:
            return self._mark_one(state, now) if state.request.remove else self._mark_plans(state, now)
        except RetentionRefused:
            # Nothing was begun, and the person may try again at once.
            self.outcomes.free_server(state.server, state.execution.id)
            raise

    def _mark_plans(self, state: RetentionState, now: datetime) -> Marked:
        marked, problems = [], []
        shown = {group.policy: group.plan_id for group in state.plan.groups} if state.plan else {}
        for planned in self.planner.plans(state.server, state.request, now):
            plan = planned.plan
            if plan.problem:
                problems.append(f"policy {plan.group.policy}: {plan.problem}")
            elif plan.plan_id != shown.get(plan.group.policy):
                problems.append(
                    f"policy {plan.group.policy}: its recovery points changed meanwhile; the next run looks"
                )
            else:
                for decision in plan.removals:
                    known = planned.gathered.known[decision.point.run_id]
                    if known.removing:
                        continue
                    if self.planner.points.begin_removal(known.listed, ", ".join(decision.because), now):
                        marked.append(known.listed.run_id)
                    else:
                        problems.append(f"{known.listed.run_id} is in use by now, or being removed")
        return Marked(marked=marked, problems=problems)

    def _mark_one(self, state: RetentionState, now: datetime) -> Marked:
        run_id = state.request.remove or ""
        gathered = self.planner.gather(state.server, now)
        known = gathered.known.get(run_id)
        if known is None:
            raise RetentionRefused(
                "remove", f"{state.server} has no recovery point '{run_id}'", "a dry run lists those that there are"
            )
        if gathered.clock:
            raise RetentionRefused("remove", gathered.clock, "start it again later")
        if kept := self.planner.kept_for(known, gathered, now):
            raise RetentionRefused("remove", f"'{run_id}' is {', '.join(kept)}", "end that first, then remove it")
        because = f"{BY_A_PERSON}, in {state.execution.id}"
        if not known.removing and not self.planner.points.begin_removal(known.listed, because, now):
            raise RetentionRefused("remove", f"'{run_id}' is in use by now", "remove it when that has ended")
        return Marked(marked=[run_id], problems=[])

    def finish(self, state: RetentionState, remaining_ms: Callable[[], int], now: datetime) -> Finished:
        """Finish every removal of the server that has begun, by whichever execution; free the server.

        Raises:
            PruningBusy: another execution is at work on the server; not retried.
            NotReady: EC2 still lists what it has agreed to delete, or there is more than one call has time for.
        """
        self.outcomes.take_server(state.server, state.execution.id, now, now + HOLD_SERVER)
        gathered = self.planner.gather(state.server, now)
        begun = [known for known in gathered.known.values() if known.removing]
        done = Finished(
            execution=state.execution.id,
            at=now,
            instance_id=state.server,
            locked=state.lock.locked if state.lock else [],
            removed=[],
            images=[],
            notes=[],
            problems=[problem for each in (state.lock, state.mark) if each for problem in each.problems],
        )
        waiting = []
        for known in begun:
            if remaining_ms() < RESERVE_MS:
                waiting.append(f"{known.listed.run_id} has to wait for another call")
            elif refused := self._delete(known, gathered, now):
                done.problems.append(f"{known.listed.run_id}: {refused}")
            elif left := self._left(known, done):
                waiting.append(f"EC2 still lists {', '.join(left)} of {known.listed.run_id}")
            else:
                self._record(known, now)
                done.removed.append(known.listed.run_id)
                if known.billed_until and known.billed_until > now:
                    done.notes.append(
                        f"{known.listed.run_id} was in the archive, which EBS bills until {known.billed_until:%Y-%m-%d}"
                    )
        self._retire_images(state.server, done, now)
        self.outcomes.keep(done.model_copy(update={"problems": [*done.problems, *waiting]}))
        if waiting:
            raise NotReady("; ".join(waiting))
        self.outcomes.free_server(state.server, state.execution.id)
        return done

    def _delete(self, known: Known, gathered: Gathered, now: datetime) -> str:
        """Mark, then delete what exists of one recovery point; return why that is not possible, else nothing."""
        if kept := self.planner.kept_for(known, gathered, now):
            return f"its removal has begun, but it is {', '.join(kept)}"
        run_id, snapshots = known.listed.run_id, gathered.snapshots
        mine = [i for i in known.listed.all_snapshots if i in snapshots and snapshots[i].belongs_to(run_id)]
        problems = mark(self.ec2, [snapshot_id for snapshot_id in mine if not snapshots[snapshot_id].removing])
        # Only once no recovery can choose it any more.
        problems = problems or [*filter(None, (delete(self.ec2, snapshot_id) for snapshot_id in mine))]
        return "; ".join(problems)

    def _left(self, known: Known, done: Finished) -> list[str]:
        """Return what EC2 still has of a recovery point: an accepted deletion is no proof of one."""
        found = find_snapshots(self.ec2, known.listed.all_snapshots)
        kept = sorted(snapshot_id for snapshot_id, one in found.items() if one.state == "recoverable")
        if kept:
            done.notes.append(f"{known.listed.run_id}: {', '.join(kept)} are in the Recycle Bin, by a rule of yours")
        return sorted(found.keys() - {*kept})

    def _retire_images(self, instance_id: str, done: Finished, now: datetime) -> None:
        """Deregister what no recovery needs any more; what EC2 refuses is a problem, and stays."""
        for image_id in retired(find_images(self.ec2, self.planner.stack, instance_id), now):
            try:
                done.problems.extend(deregister(self.ec2, image_id))
                done.images.append(image_id)
            except (AccessDenied, ImageRefused) as error:
                done.problems.append(f"{image_id}: {error}")

    def _record(self, known: Known, now: datetime) -> None:
        record = self.planner.points.without_snapshots(known.listed, now)
        if record is not None:
            self.bucket.write_json(record_key(record), record.model_dump_json(indent=2))
        # Last: who comes after a crash before it does all of this again.
        self.planner.points.end_removal(known.listed, record, now)
        logger.info("removed a recovery point", run_id=known.listed.run_id, snapshots=known.listed.all_snapshots)
