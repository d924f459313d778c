"""The doctor machine's states that change something on a server: mend, give back, and hold after an error.

What a setting was is kept before it is changed, and each change is safe to repeat: a step that dies anywhere is taken
again, and ends the same.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from quiesce import tags
from quiesce.aws.bucket import Bucket
from quiesce.aws.doctor.fixes import Fixes
from quiesce.aws.doctor.kept import Kept
from quiesce.aws.runs import DOCTORS, LEASE_S, Runs
from quiesce.aws.servers import describe_server
from quiesce.aws.ssm import Guest
from quiesce.backup.run import RunIdentity
from quiesce.clock import Clock
from quiesce.doctor.changes import Change
from quiesce.doctor.fix import Fix, Next, Outcome, next_of
from quiesce.doctor.state import MendState
from quiesce.errors import (
    AccessDenied,
    AgentUnreachable,
    AnswerUnreadable,
    ChangeRefused,
    CommandRefused,
    GuestRefused,
)
from quiesce.executions import Crossing, cause_of
from quiesce.guest.documents import MEND, Documents
from quiesce.settings import MendSettings
from quiesce.steps.doctor.change import Changer
from quiesce.telemetry import begin, logger

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_ssm import SSMClient

# One change that fails stops no other; the fix says why.
REFUSALS = (AccessDenied, AgentUnreachable, AnswerUnreadable, ChangeRefused, CommandRefused, GuestRefused)


@dataclass(frozen=True)
class MendStep:
    """What the steps need; EC2 and Systems Manager are asked once, since neither takes a token for what they do."""

    ec2: "EC2Client"
    ssm: "SSMClient"
    s3: "S3Client"
    dynamodb: "DynamoDBClient"
    settings: MendSettings
    clock: Clock

    def take(self, event: dict[str, Any]) -> dict[str, Any]:
        """Do the step that a state names.

        Args:
            event: ``step`` and the state ``document`` of one server.

        Returns:
            Whether the machine examines the server again, and after how many seconds.

        Raises:
            ServerBusy: a backup holds the server; retried by the state machine, for a bounded time.
            AwsThrottled, AwsUnavailable: retried by the state machine.
            ServerRefused: EC2 does not know the server any more; not retried.
        """
        state = MendState.model_validate({**event["document"], "step": event["step"]})
        begin(f"mend.{state.step}", instance_id=state.server)
        answer = self._answer(state).model_dump(mode="json")
        logger.info("took a step")
        return answer

    def _answer(self, state: MendState) -> Crossing:
        match state.step:
            case "mend":
                return self._mend(state)
            case "give_back":
                return self._give_back(state)
            case "hold":
                return self._hold(state)

    def _mend(self, state: MendState) -> Next:
        now, found = self.clock.now(), self._kept.diagnosis(state.server)
        fix = self._fixes.read(state.fix_id, state.server) or self._new(state)
        # Another execution may have examined it meanwhile, and what it found is as true.
        changes = found.changes
        if not changes:
            return next_of(fix, [], online=found.online, now=now)
        if why := self._not_allowed(state.server):
            self._fixes.keep(fix.holding(why))
            return Next(again=False)
        with self._held(state):
            fix = fix.planning(changes)
            self._fixes.keep(fix)
            fix = self._each(fix, changes, self._changer(state).do, "done", "failed")
        return next_of(fix, changes, online=found.online, now=self.clock.now())

    def _give_back(self, state: MendState) -> Next:
        fix = self._fixes.read(state.fix_id, state.server) or self._new(state)
        if why := self._not_allowed(state.server):
            self._fixes.keep(fix.holding(why))
            return Next(again=False)
        with self._held(state):
            self._each(fix.holding(""), fix.to_give_back, self._changer(state).give_back, "given back", "left")
        return Next(again=False)

    def _hold(self, state: MendState) -> Next:
        """Keep why nothing more is changed on a server: a backup holds it for too long, or there was another error."""
        cause = cause_of(state.failure) if state.failure else None
        words = f"{cause.error}: {cause.words}" if cause else "an error that nothing names"
        fix = self._fixes.read(state.fix_id, state.server) or self._new(state)
        self._fixes.keep(fix.holding(words))
        self._runs.release_lease(self._holder(state))
        return Next(again=False)

    def _each(
        self, fix: Fix, changes: Sequence[Change], act: Callable[[Change], None], well: Outcome, otherwise: Outcome
    ) -> Fix:
        """Do each change, and keep after each how it has turned out."""
        for change in changes:
            try:
                act(change)
                fix = fix.with_outcome(change, well)
            except REFUSALS as error:
                fix = fix.with_outcome(change, otherwise, f"{type(error).__name__}: {error}")
            self._fixes.keep(fix)
        return fix

    def _not_allowed(self, server: str) -> str:
        """Return why a server may not be changed; empty if its owner allows it. IAM has the same rule."""
        instance = describe_server(self.ec2, server, self.ec2.meta.region_name)
        key, value = tags.MAY_BE_CHANGED, self.settings.may_be_changed
        if instance.tags.get(key) == value:
            return ""
        put = f"aws ec2 create-tags --resources {server} --tags Key={key},Value={value}"
        return f"nothing was changed, since it has no tag {key}={value}, by which its owner allows it: {put}"

    @contextmanager
    def _held(self, state: MendState) -> Iterator[None]:
        """Hold the server, so that no backup begins; a step that died holds it until it is taken again, or in time."""
        now, run = self.clock.now(), self._holder(state)
        self._runs.take_lease(run, state.execution.id, now, now + timedelta(seconds=LEASE_S))
        yield
        self._runs.release_lease(run)

    @staticmethod
    def _holder(state: MendState) -> RunIdentity:
        return RunIdentity(f"{DOCTORS}{state.execution.name}", "", state.server)

    @property
    def _runs(self) -> Runs:
        return Runs(self.dynamodb, self.settings.table_name)

    def _new(self, state: MendState) -> Fix:
        return Fix(id=state.fix_id, instance_id=state.server, execution=state.execution.id, begun_at=self.clock.now())

    def _changer(self, state: MendState) -> Changer:
        by_verb = dict.fromkeys(MEND, self.settings.mend_document)
        by_verb |= {"update": self.settings.update_document, "components": self.settings.components_document}
        guest = Guest(self.ssm, Documents(by_verb), state.server, self.clock)
        return Changer(self.ec2, guest.with_latest_documents())

    @property
    def _kept(self) -> Kept:
        return Kept(self._bucket, self.dynamodb, self.settings.table_name)

    @property
    def _fixes(self) -> Fixes:
        return Fixes(self._bucket, self.dynamodb, self.settings.table_name)

    @property
    def _bucket(self) -> Bucket:
        # Nothing here makes links.
        return Bucket(self.s3, self.s3, self.settings.bucket_name)
