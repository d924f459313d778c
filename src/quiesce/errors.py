"""Why a step could not know or do something: one exception per reason, by name.

The names are what the state machines retry and catch; a test compares both sides.
What happened on a customer's server is data in a step's result, never an exception.
"""

from typing import ClassVar

# A server's message can be long, and an error that does not fit into the state document can't be caught.
MAX_CHARACTERS = 2000


class QuiesceError(Exception):
    """Base of quiesce's own errors; ``retryable`` states whether the state machine tries the step again."""

    retryable: ClassVar[bool] = False

    def __init__(self, message: str) -> None:
        super().__init__(message if len(message) <= MAX_CHARACTERS else f"{message[: MAX_CHARACTERS - 3]}...")


class Refused(QuiesceError):
    """What was asked for can't be done as it is; nothing was created.

    Args:
        field: the field at fault, as the person wrote it (``policy``, ``targets[0].volumes``, ``instance_id``).
        problem: what is wrong with its value.
        remedy: what to do about it.
    """

    def __init__(self, field: str, problem: str, remedy: str) -> None:
        super().__init__(f"{field}: {problem}. Remedy: {remedy}.")
        self.field, self.problem, self.remedy = field, problem, remedy


class PolicyRefused(Refused):
    """The execution's input or the policy is not usable."""


class ScheduleRefused(Refused):
    """EventBridge Scheduler does not take a schedule of a policy; it is as it was before, and people are told."""


class ServerRefused(Refused):
    """The server, its volumes or the rights on them do not allow the backup."""


class SnapshotRefused(Refused):
    """EC2 refused to create the snapshots: none exists."""


class ImageRefused(Refused):
    """EC2 refused to create or deregister an initial AMI: a note in the run's record, or a problem of a retention."""


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


class SnapshotLimitReached(QuiesceError):
    """EC2 has as many pending snapshots as it allows; nothing was created, and nothing was frozen for it."""

    retryable = True


class SnapshotLimitWhileFrozen(QuiesceError):
    """The same, while the application may be held: the machine thaws it, and makes another attempt later."""


class AwsThrottled(QuiesceError):
    """AWS asked for slower calls; nothing was changed."""

    retryable = True


class AwsUnavailable(QuiesceError):
    """An AWS service gave no usable answer to a call that is safe to repeat."""

    retryable = True


class AccessDenied(QuiesceError):
    """A function's role lacks a right; the message names the call."""


class AgentUnreachable(QuiesceError):
    """The server did not answer; the command may still run there, and sending it again is safe."""

    retryable = True


class CommandRefused(QuiesceError):
    """SSM refused the command: document and parameters do not fit, as in the middle of a stack update."""


class AnswerUnreadable(QuiesceError):
    """The server answered, but not with what quiesce's own script writes."""


class NotThawed(QuiesceError):
    """The after script of an attempt failed: the application may still be held, and no other attempt is made on it."""


class GuestRefused(QuiesceError):
    """quiesce's own script on the server refused the verb; the message is the script's."""


class RecoveryRefused(Refused):
    """The input, the recovery point or what exists in EC2 does not allow the recovery; nothing was created."""


class ChangeRefused(Refused):
    """EC2 refused a change that a recovery needs; what the recovery made before it still exists."""


class NotReady(QuiesceError):
    """EC2 has not finished what a recovery waits for: a server starts or stops, a volume is being made or moved."""

    retryable = True


class RecoveryBroken(QuiesceError):
    """What a recovery made was changed by others; waiting does not help."""


class RecoveryUsedUp(QuiesceError):
    """What a recovery made failed or is gone for good, and EC2 remembers its id: only a new id helps."""


class RevertRefused(Refused):
    """Volumes can't be built as of their shadow copies, or EBS refuses it; a child that was begun may still exist."""


class RevertUsedUp(QuiesceError):
    """A child was cancelled or is gone for good, and EBS remembers its token: only another id helps."""


class ChildDiffers(QuiesceError):
    """A child was read back, and is not what was planned; it was deleted."""


class RetentionRefused(Refused):
    """The input of a retention, or the recovery point that it names, does not allow what it asks for."""


class DoctorRefused(Refused):
    """The input of the doctor names no server, or too many."""


class PruningBusy(QuiesceError):
    """Another execution is removing recovery points of this server; nothing was changed."""


# What a person does next after an error whose message does not say it: those of AWS's and the server's own words.
NEXT = {
    "AccessDenied": "give the function's role that right: deploy the stack again if its roles were changed by hand, "
    "else look at the policy of the key or bucket that the message names, or at the organization's; then start again",
    "AgentUnreachable": "look whether the server runs, and is online in Fleet Manager; then start again",
    "AnswerUnreadable": "start again; if it comes again, report it with the output of the command in Run Command",
    "AwsThrottled": "start again later: every try has met AWS asking for slower calls",
    "AwsUnavailable": "look at AWS Health for the Region, and start again later: every try is used up",
    "ChildDiffers": "start again under another recovery_id; if it comes again, recover with revert 'off'",
    "CommandRefused": "deploy the stack again, so that functions and documents are of one version; then start again",
    "GuestRefused": "look for the word before the colon in docs/operate/runbook.md, What the server says",
    "LeaseLost": "start a new run: a redrive can't go on, because the moment of the snapshots has passed",
    "NotReady": "look in EC2's console at what it waits for: it has waited as long as it does",
    "NotThawed": "look at the application at once, which may be held; correct the after script, then start a new run",
    "OutcomeUnknown": "look in the record which snapshots were found; if some are missing, start a new run",
    "PruningBusy": "wait for the other run, or start it again later",
    "RecoveryBroken": "undo that change: detach what is not the recovery's, delete a security group that was changed",
    "RunAlreadyStarted": "look at the execution that it names; for another backup, start one under another name",
    "ServerBusy": "wait for the other run or stop it, then start again",
    "SnapshotLimitReached": "wait until snapshots have completed, then start again",
    "SnapshotLimitWhileFrozen": "wait until snapshots have completed, then start again",
    "SnapshotTooSoon": "start again after a minute: EBS takes one snapshot of a volume in 15 seconds",
}


def next_step(error: str, words: str) -> str:
    """Return what a person does next, empty if the message says it itself, or the error is not ours."""
    return "" if "Remedy: " in words else NEXT.get(error, "")
