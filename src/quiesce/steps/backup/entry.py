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
    """Return what a state adds to the state document, with the AWS calls that it made.

    Entries of lists are without what is the default anyway: a server with 128 volumes has as many of them, and Step
    Functions takes 256 KiB.
    """
    calls = add_calls(left.calls, take_calls())
    counted = left.model_copy(update={"calls": calls})
    whole, lean = counted.model_dump(mode="json"), counted.model_dump(mode="json", exclude_defaults=True)
    return {name: lean.get(name, value) if isinstance(value, list) else value for name, value in whole.items()}
