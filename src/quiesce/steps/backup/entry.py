"""How every state of the backup machine begins and ends: it takes the state document and returns what it adds."""

from collections.abc import Mapping
from typing import Any

from quiesce.backup.run import RunIdentity, identity_of
from quiesce.backup.state import Leaving, RunState
from quiesce.calls import add_calls, take_calls
from quiesce.telemetry import begin


def enter(step: str, document: Mapping[str, Any]) -> tuple[RunState, RunIdentity]:
    """Read the state document, put its run on every log line that follows, and count AWS calls from here on."""
    take_calls()
    state = RunState.model_validate(document)
    run = identity_of(state)
    begin(step, run_id=run.run_id, instance_id=run.instance_id, policy=run.policy)
    return state, run


def leave(left: Leaving) -> dict[str, Any]:
    """Return what a state adds to the state document, with the AWS calls that it made."""
    calls = add_calls(left.calls, take_calls())
    return left.model_copy(update={"calls": calls}).model_dump(mode="json")
