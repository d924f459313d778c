"""How far a recovery is, in a text in the bucket that a person reads while it runs; and how long its states took.

Neither may keep a recovery from going on: what can't be written is logged.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from quiesce.aws.bucket import Bucket, build_progress_key, progress_key
from quiesce.aws.clients import ANY_REFUSAL
from quiesce.aws.recoveries import Recoveries
from quiesce.errors import QuiesceError
from quiesce.executions import Crossing
from quiesce.recovery.account import Account
from quiesce.recovery.progress import MOVES, PAST_RECOVERIES, Progress, ended_text, how_long, past_of, states_ahead
from quiesce.recovery.servers import full_name
from quiesce.recovery.state import Planned, RecoveryState
from quiesce.telemetry import logger

# The states that steps stand for, as a person sees them in the console; Weigh takes no time, and counts with Look.
STATE_OF = {
    "plan": "Plan",
    "restore": "Restore",
    "weigh": "Look",
    "launch": "Launch",
    "stop": "Stop",
    "make_volumes": "MakeVolumes",
    "swap": "Swap",
    "start": "Start",
    "await_online": "AwaitOnline",
    "end_session": "EndSession",
    "finish": "Finish",
}


@dataclass(frozen=True)
class ProgressTeller:
    """What is needed to tell how far a recovery is, ``now`` in UTC."""

    bucket: Bucket
    recoveries: Recoveries
    now: datetime

    def with_past(self, planned: Planned) -> Planned:
        """Return what Plan answers with how long the recovery takes, by past ones of the stack."""
        past = past_of(self.recoveries.durations(PAST_RECOVERIES))
        states = states_ahead(restore=planned.to_restore, look=planned.to_look, build=planned.to_build)
        return planned.model_copy(
            update={"past": past, "how_long": how_long(states, past), "planned_at": self.now},
        )

    def answered(self, state: RecoveryState, answer: Crossing) -> None:
        """Tell which state comes after the one whose step has answered."""
        kept = "plan" if isinstance(answer, Planned) else state.step
        done = state.model_copy(update={kept: answer})
        if done.plan and (ahead := _ahead(state.step, done.plan)):
            self._tell(done, done.plan, ahead, self._of_build(done.plan) if ahead[0] == "Revert" else "")

    def waits(self, state: RecoveryState, error: QuiesceError) -> None:
        """Tell what a step waits for that the machine tries again."""
        if state.plan and error.retryable and state.step in STATE_OF:
            self._tell(state, state.plan, [STATE_OF[state.step], *_ahead(state.step, state.plan)], str(error))

    def ended(self, account: Account) -> None:
        """Tell how an execution of the recovery ended."""
        self._try(lambda: self.bucket.write_text(progress_key(account.recovery_id), ended_text(account)))

    def keep_durations(self, state: RecoveryState) -> None:
        """Keep how long each state took; of a recovery that went on where another one stopped, that says nothing."""
        if state.plan and not state.plan.goes_on:
            self._try(lambda: self.recoveries.keep_durations(state.execution, state.took(self.now)))

    def _tell(self, state: RecoveryState, planned: Planned, ahead: list[str], said: str) -> None:
        plan, done = planned.plan, state.took()
        if plan.mode != "instance":
            return  # a dry run leaves nothing
        server = full_name(plan.from_instance_id, plan.instance_name)
        progress = Progress(
            recovery=f"{plan.recovery_id} of {server}, recovery point {plan.recovery_point}",
            execution=state.execution.id,
            done=done,
            state=ahead[0],
            since=state.execution.started_at + timedelta(seconds=sum(done.values())),
            said=said,
            to_come=ahead[1:],
            past=planned.past,
            written_at=self.now,
        )
        self._try(lambda: self.bucket.write_text(progress_key(plan.recovery_id), progress.text))

    def _of_build(self, planned: Planned) -> str:
        place = self.bucket.place(build_progress_key(planned.plan.recovery_id))
        return f"a machine of its own builds the snapshots; how far it is stands in {place}"

    def _try(self, write: Callable[[], None]) -> None:
        try:
            write()
        except ANY_REFUSAL as error:
            logger.warning("how far the recovery is could not be written", reason=str(error))


def _ahead(step: str, planned: Planned) -> list[str]:
    """Return the states that come after that of a step, the next one first; none after the last."""
    if step in ("plan", "restore", "weigh"):
        restores = planned.to_restore and step == "plan"
        return states_ahead(restore=restores, look=planned.to_look and step != "weigh", build=planned.to_build)
    return list(MOVES[MOVES.index(STATE_OF[step]) + 1 :]) if step in STATE_OF else []
