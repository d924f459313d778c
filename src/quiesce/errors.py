"""Why a step could not know or do something: one exception a reason, by name.

The names are what the state machines retry and catch; a test compares both sides.
What happened on a customer's server is data in a step's result, never an exception.
"""

from typing import ClassVar

# What a server says can be long, and an error that does not fit into the state document can't be caught.
MAX_WORDS = 2000


class QuiesceError(Exception):
    """Base of every error of ours; ``retryable`` says whether the state machine tries the step again."""

    retryable: ClassVar[bool] = False

    def __init__(self, words: str) -> None:
        super().__init__(words if len(words) <= MAX_WORDS else f"{words[: MAX_WORDS - 3]}...")


class Refused(QuiesceError):
    """Something asked for cannot be done as asked; nothing was created.

    Args:
        field: what to look at, as the person wrote it (``policy``, ``targets[0].volumes``, ``instance_id``).
        problem: what is wrong with its value.
        remedy: what to do about it.
    """

    def __init__(self, field: str, problem: str, remedy: str) -> None:
        super().__init__(f"{field}: {problem}. Remedy: {remedy}.")
        self.field, self.problem, self.remedy = field, problem, remedy


class PolicyRefused(Refused):
    """The execution's input or the policy is not usable."""


class ServerRefused(Refused):
    """The server, its volumes or the rights on them do not allow the backup."""


class SnapshotRefused(Refused):
    """EC2 answered that it creates no snapshots: none exists."""


class ImageRefused(Refused):
    """EC2 refuses to make or to deregister an initial AMI; a warning in the run's record."""


class RunAlreadyStarted(QuiesceError):
    """Another execution holds this run id; the message names it. Nothing was changed."""


class ServerBusy(QuiesceError):
    """Another run holds the server's lease; the message names it."""

    retryable = True


class LeaseLost(QuiesceError):
    """The run no longer holds the server's lease: too much time has passed, or the execution was redriven."""


class OutcomeUnknown(QuiesceError):
    """A change was sent and its answer lost: it may or may not have happened."""


class SnapshotTooSoon(QuiesceError):
    """EBS wants more time since the last snapshot of a volume; nothing was created."""

    retryable = True


class AwsThrottled(QuiesceError):
    """AWS asked for slower calls; nothing was changed."""

    retryable = True


class AwsUnavailable(QuiesceError):
    """An AWS service gave no usable answer to a call that is safe to repeat."""

    retryable = True


class AccessDenied(QuiesceError):
    """A function's role lacks a right; the message names the call."""


class AgentUnreachable(QuiesceError):
    """No answer came from the server; the command may still run there, and sending it again is safe."""

    retryable = True


class CommandRefused(QuiesceError):
    """SSM takes no such command: document and parameters do not fit, as in the middle of an update of the stack."""


class AnswerUnreadable(QuiesceError):
    """The server answered, and not as quiesce's own script does."""


class GuestRefused(QuiesceError):
    """The server said no, in the words of quiesce's own script."""


class RecoveryRefused(Refused):
    """A recovery's input, its recovery point or what EC2 has do not allow it; nothing was created."""


class ChangeRefused(Refused):
    """EC2 refused a change that a recovery needs; what was made before it exists still."""


class NotReady(QuiesceError):
    """What a recovery waits for takes its time: a server that starts or stops, a volume that is made or moved."""

    retryable = True


class RecoveryBroken(QuiesceError):
    """What a recovery made is not as it left it, or came to nothing; waiting does not help."""
