"""The revert machine: every state is one step of one function, in the order of the machine.

look (``look``), start, complete, await, finish, abandon and discard (``children``), build and check (``parts``).
Each step may be repeated: it looks at what is there, and does what is missing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from quiesce.aws.bucket import Bucket, build_progress_key
from quiesce.aws.clients import ANY_REFUSAL
from quiesce.calls import add_calls, take_calls
from quiesce.clock import Clock
from quiesce.errors import QuiesceError
from quiesce.executions import Crossing, execution_of, input_of
from quiesce.revert.progress import build_text
from quiesce.revert.state import RevertState, Step
from quiesce.settings import Settings
from quiesce.steps.revert.children import Children
from quiesce.steps.revert.look import look_into
from quiesce.steps.revert.parts import Parts
from quiesce.telemetry import begin, logger

if TYPE_CHECKING:
    from mypy_boto3_ebs import EBSClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class RevertStep:
    """What the steps of a build need.

    Attributes:
        ec2: for calls that are safe to repeat.
        ec2_once: for CopySnapshot, which is sent once.
        side_by_side: how many blocks one call reads or writes at a time.
    """

    ec2: "EC2Client"
    ec2_once: "EC2Client"
    ebs: "EBSClient"
    s3: "S3Client"
    settings: Settings
    clock: Clock
    side_by_side: int = 16

    def take(self, event: dict[str, Any], remaining_ms: Callable[[], int]) -> dict[str, Any] | None:
        """Do the step that a state names, or clean up after an execution that ended before it could.

        Args:
            event: ``step``, the state ``document`` and mostly a ``part`` of it, or a "Step Functions Execution Status
                Change" of EventBridge.
            remaining_ms: how long the function may still run.

        Returns:
            What the next states need; None for an event.

        Raises:
            NotReady, SnapshotLimitReached: what the step waits for is not there yet; the retry is the wait.
            RevertRefused, RevertUsedUp: it can't be built, or not under this id; not retried.
            ChildDiffers: a child is not what was planned, and was deleted; not retried.
            AwsThrottled, AwsUnavailable: retried by the state machine.
        """
        take_calls()
        if "detail" in event:
            self._sweep(event["detail"])
            return None
        part = {"part": event["part"]} if "part" in event else {}
        state = RevertState.model_validate({**event["document"], "step": event["step"], **part})
        begin(f"revert.{state.step}", built_for=state.input.request.built_for)
        try:
            answer = self._answer(state, remaining_ms)
        except QuiesceError as error:
            if error.retryable:
                self._write_progress(state, None, str(error))
            raise
        self._write_progress(state, answer, "")
        calls: dict[str, int] = getattr(answer, "calls", {})
        answered = {**answer.model_dump(mode="json"), "calls": add_calls(calls, take_calls())}
        logger.info("took a step", calls=answered["calls"])
        return answered

    def _answer(self, state: RevertState, remaining_ms: Callable[[], int]) -> Crossing:
        children = self._children(state)
        steps: dict[Step, Callable[[], Crossing]] = {
            "look": lambda: look_into(self.ec2, self.ebs, state.input.request, remaining_ms),
            "start": children.start,
            "build": lambda: self._parts(state, remaining_ms).build(state.needed_part),
            "complete": children.complete,
            "await": children.check_completed,
            "check": lambda: self._parts(state, remaining_ms).check(state.needed_part),
            "finish": children.finish,
            "abandon": children.abandon,
            "discard": children.discard,
        }
        return steps[state.step]()

    def _write_progress(self, state: RevertState, answer: Crossing | None, waits: str) -> None:
        """Write how far the build is; that it can't be written keeps no build from going on."""
        if text := build_text(state, answer, waits, self.clock.now()):
            try:
                self._bucket.write_text(build_progress_key(state.input.request.built_for), text)
            except ANY_REFUSAL as error:
                logger.warning("how far the build is could not be written", reason=str(error))

    def _sweep(self, detail: dict[str, Any]) -> None:
        document = {"execution": execution_of(detail), "input": input_of(detail)}
        try:
            state = RevertState.model_validate({**document, "step": "abandon"})
        except ValidationError:
            # EventBridge leaves out a large input, and a person may have typed another one.
            logger.error("the event does not say what was to be built: nothing was deleted", execution=detail["name"])
            return
        begin("revert.sweep", built_for=state.input.request.built_for)
        logger.info("swept", deleted=self._children(state).abandon().deleted)

    def _children(self, state: RevertState) -> Children:
        return Children(self.ec2, self.ec2_once, self.ebs, self._bucket, self.settings.stack_name, self.clock, state)

    def _parts(self, state: RevertState, remaining_ms: Callable[[], int]) -> Parts:
        return Parts(self.ec2, self.ebs, self._bucket, state, remaining_ms, self.side_by_side)

    @property
    def _bucket(self) -> Bucket:
        # A build makes no links.
        return Bucket(self.s3, self.s3, self.settings.bucket_name)
