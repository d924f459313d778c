"""How long the server and AWS wait for each verb, and how often AWS looks for the answer."""

import math
from dataclasses import dataclass

from quiesce.policy.parts import DELIVERY_S
from quiesce.policy.target import SessionLimits

# The server asks Windows six questions, each for at most 20 s, and then the metadata service.
INVENTORY_S = 130
# vssadmin, which asks each writer, and is ended after 20 s, or a second later if it closes its output and stays.
WRITERS_S = 21
# Four questions about its cluster, each for at most 10 s.
CLUSTER_S = 40
# Ten more questions, and VSS is asked for its writers.
EXAMINE_S = INVENTORY_S + CLUSTER_S + 240
# The server fetches a small package.
STAGE_S = 90
# The server packs a few files and uploads them.
COLLECT_S = 90
# The server ends a session that a recovery point has found open.
RECOVERED_S = 60
LONGEST_SCRIPT_S = 600
# Sweep needs the rest of a function's 900 s to look for snapshots, for the session's files and for its report.
SWEEP_S = 420
# Each look's delay lengthens the freeze; outside of it no application waits.
FREEZE_LOOK_S, LAZY_LOOK_S = 0.3, 2.0


@dataclass(frozen=True)
class Patience:
    """How long to wait for an answer, how often to look, and until when to send a lost verb again, all in seconds."""

    limit_s: float
    look_every_s: float
    again_s: float = math.inf


INVENTORY_PATIENCE = Patience(INVENTORY_S + WRITERS_S + CLUSTER_S + DELIVERY_S, LAZY_LOOK_S)

EXAMINE_PATIENCE = Patience(EXAMINE_S + DELIVERY_S, LAZY_LOOK_S)

# The server asks CIM twice, and waits for a service to start. No application waits, and it can be asked again.
SET_PATIENCE = Patience(60, LAZY_LOOK_S)

# Of AWS's own steps: the agent downloads and installs itself, or a package.
UPDATE_PATIENCE = PACKAGE_PATIENCE = Patience(300, LAZY_LOOK_S)

STAGE_PATIENCE = Patience(STAGE_S + DELIVERY_S, LAZY_LOOK_S)

COLLECT_PATIENCE = Patience(COLLECT_S + DELIVERY_S, LAZY_LOOK_S)


def recovered_wait(*, thaw: bool) -> tuple[int, Patience]:
    """Return how long they wait for recovered: for the after script, if it is asked for, at most its 600 s.

    A runner that does not know whose server this is may have to end first.
    """
    return _wait(RECOVERED_S + (LONGEST_SCRIPT_S if thaw else 0), LAZY_LOOK_S)


def freeze_wait(limits: SessionLimits) -> tuple[int, Patience]:
    """Return how long the server and AWS wait for freeze: the before script, the shadow copies, and delivery."""
    return _wait(limits.before_s + limits.create_s, FREEZE_LOOK_S)


def thaw_wait(limits: SessionLimits) -> tuple[int, Patience]:
    """Return how long they wait for thaw: freeze may have to end first, and an aborted attempt deletes its copies then.

    The server has thawed before AWS knows of it.
    """
    return _wait(limits.before_s + limits.create_s + limits.after_s + limits.ending_s, LAZY_LOOK_S)


def complete_wait(limits: SessionLimits) -> tuple[int, Patience]:
    """Return how long they wait for complete: everything before it may have to end first."""
    return _wait(sum(limits), LAZY_LOOK_S)


def sweep_wait(limits: SessionLimits) -> tuple[int, Patience]:
    """Return how long Sweep waits for complete: as above, but so that it has time left to report."""
    wait_s, patience = complete_wait(limits)
    return min(wait_s, SWEEP_S), Patience(min(patience.limit_s, SWEEP_S + DELIVERY_S), LAZY_LOOK_S)


def _wait(limit_s: int, look_every_s: float) -> tuple[int, Patience]:
    return limit_s + 30, Patience(limit_s + DELIVERY_S, look_every_s)
