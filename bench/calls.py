"""Print what a usual run takes: AWS calls by state, states outside of waits, polls and reads of evidence.

tests/statemachine/test_calls_and_states.py counts them in runs of the real state machine, and keeps them in
counts.json; docs/operate/performance.md shows the results.

PYTHONPATH=src python -m bench.calls
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).with_name("counts.json")


@dataclass(frozen=True)
class Count:
    """The calls and states of one run.

    ``calls`` are by state, without ``polls``, which found nothing yet, and ``evidence``. ``states`` are those that the
    execution entered, in order, without those of the ``rounds`` that ended in another look at the snapshots.
    ``retries`` are calls of functions that said that AWS was not ready, ``nested`` the states of started executions.
    """

    states: list[str]
    calls: dict[str, dict[str, int]] = field(default_factory=dict)
    polls: dict[str, int] = field(default_factory=dict)
    evidence: dict[str, int] = field(default_factory=dict)
    rounds: int = 0
    retries: int = 0
    nested: int = 0

    @property
    def total(self) -> int:
        """How many calls, besides polls and evidence."""
        return sum(sum(calls.values()) for calls in self.calls.values())


def recorded() -> dict[str, Count]:
    """Return what was counted, by the kind of run; empty if nothing was."""
    if not RECORDED.exists():
        return {}
    return {kind: Count(**counted) for kind, counted in json.loads(RECORDED.read_text()).items()}


def record(counts: Mapping[str, Count]) -> None:
    """Keep what was counted."""
    RECORDED.write_text(json.dumps({kind: asdict(each) for kind, each in counts.items()}, indent=1) + "\n")


def table(counts: Mapping[str, Count]) -> str:
    """Return the calls of backups as a table of Markdown: a row for each state, a column for each kind of run."""
    longest = max(counts.values(), key=lambda each: len(each.states))
    states = [state for state in longest.states if any(state in each.calls for each in counts.values())]
    rows: list[tuple[str, list[Any]]] = [
        (f"`{state}`", [sum(each.calls.get(state, {}).values()) or "" for each in counts.values()]) for state in states
    ]
    rows += [
        ("**calls**", [each.total for each in counts.values()]),
        ("**states**", [len(each.states) for each in counts.values()]),
        ("polls", [sum(each.polls.values()) for each in counts.values()]),
        ("reads of evidence", [sum(each.evidence.values()) for each in counts.values()]),
    ]
    lines = [("State", list(counts)), *rows]
    head, *body = (f"| {name} | {' | '.join(map(str, cells))} |" for name, cells in lines)
    return "\n".join([head, "|---" * (len(counts) + 1) + "|", *body])


if __name__ == "__main__":
    print(table({kind: each for kind, each in recorded().items() if "AwaitSnapshots" in each.states}))
