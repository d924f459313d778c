"""All transitions of a definition, and those that an execution took, from its history.

A transition is ``(state, way, target)``. The ways of a Task are ``next``, ``catch 0``..., ``retry <error>`` (a retry
that succeeds) and ``exhausted <error>``; those of a Choice are ``choice 0``... and ``default``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.support.machine import Run
from tests.support.project import definition

Transition = tuple[str, str, str]


@dataclass
class Visit:
    """What happened in a state between its entry and that of the next."""

    state: str
    errors: list[str] = field(default_factory=list)
    succeeded: bool = False
    target: str = ""


def possible(machine: dict[str, Any]) -> set[Transition]:
    """Return every transition of a definition."""
    return {(name, *way) for name, state in machine["States"].items() for way in _ways(state)}


def taken(run: Run) -> set[Transition]:
    """Return the transitions that an execution took."""
    states = definition()["States"]
    return {(visit.state, *way) for visit in visits(run) for way in _ways_taken(states[visit.state], visit)}


# Of a function, and of an execution that a state starts and waits for.
FAILED = ("lambdaFunctionFailedEventDetails", "lambdaFunctionTimedOutEventDetails", "taskFailedEventDetails")
SUCCEEDED = {"lambdaFunctionSucceededEventDetails", "taskSucceededEventDetails"}


def visits(run: Run) -> list[Visit]:
    """Return the states that an execution went through, in order; a state may be visited more than once."""
    found: list[Visit] = []
    for event in run.history:
        if entered := event.get("stateEnteredEventDetails"):
            if found:
                found[-1].target = entered["name"]
            found.append(Visit(entered["name"]))
        elif failed := next((event[details] for details in FAILED if details in event), None):
            found[-1].errors.append(failed["error"])
        elif SUCCEEDED & event.keys():
            found[-1].succeeded = True
    return found


def _ways(state: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "Next" in state:
        yield "next", state["Next"]
    for number, choice in enumerate(state.get("Choices", [])):
        yield f"choice {number}", choice["Next"]
    if "Default" in state:
        yield "default", state["Default"]
    for number, catcher in enumerate(state.get("Catch", [])):
        yield f"catch {number}", catcher["Next"]
    for error in _retried(state):
        yield f"retry {error}", ""
        yield f"exhausted {error}", ""
    if state["Type"] in ("Succeed", "Fail") or state.get("End"):
        yield "end", ""


def _ways_taken(state: dict[str, Any], visit: Visit) -> Iterator[tuple[str, str]]:
    match state["Type"]:
        case "Succeed" | "Fail":
            yield "end", ""
        case "Choice":
            # No two branches of a Choice have the same target: a contract test checks this.
            yield next(way for way in _ways(state) if way[1] == visit.target)
        case "Task" if not visit.succeeded:
            last = visit.errors[-1]
            yield f"catch {_catcher(state, last)}", visit.target
            yield from ((f"exhausted {last}", "") for _ in _retried(state) & {last})
        case _:
            yield "next", visit.target
            yield from ((f"retry {error}", "") for error in _retried(state) & set(visit.errors))


def _retried(state: dict[str, Any]) -> set[str]:
    return {error for retrier in state.get("Retry", []) for error in retrier["ErrorEquals"]}


def _catcher(state: dict[str, Any], error: str) -> int:
    return next(n for n, c in enumerate(state["Catch"]) if {error, "States.ALL"} & set(c["ErrorEquals"]))
