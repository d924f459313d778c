"""Counts what a run took: calls by state, apart from those that wait and those that read evidence."""

from collections import Counter
from itertools import pairwise

from bench.calls import Count
from tests.support.machine import Run, Visit

LOOK = "ssm:GetCommandInvocation"
# Reads of what the snapshots hold: as many as Windows' structures need. Verify's look at the snapshots belongs to them:
# EBS says nothing of what it answers for one that has gone or was archived.
EVIDENCE = frozenset({"ebs:ListSnapshotBlocks", "ebs:GetSnapshotBlock"})
# The states of a round that ends in another look; the last look is in none.
ROUND = ("AwaitSnapshots", "Awaited?", "WaitForSnapshots")


def count(run: Run, visits: list[Visit], nested: int = 0) -> Count:
    """Count a run in which nothing went wrong, and that started executions with so many states."""
    calls: dict[str, Counter[str]] = {}
    polls, evidence = Counter[str](), Counter[str]()
    last = {visit.state: visit for visit in visits}
    for visit in visits:
        for call, following in pairwise([*visit.sent, ""]):
            # A look that another one follows found no answer, and so did all looks at the snapshots but the last.
            early = visit.state in ROUND and visit is not last[visit.state]
            if early or not visit.answered or call == following == LOOK:
                polls[call] += 1
            elif call in EVIDENCE or visit.state == "Verify":
                evidence[call] += 1
            else:
                calls.setdefault(visit.state, Counter())[call] += 1
    rounds = run.states.count("WaitForSnapshots")
    return Count(
        states=_without(run.states, rounds),
        calls={state: dict(sorted(calls[state].items())) for state in calls},
        polls=dict(sorted(polls.items())),
        evidence=dict(sorted(evidence.items())),
        rounds=rounds,
        retries=sum(not visit.answered for visit in visits),
        nested=nested,
    )


def _without(states: list[str], rounds: int) -> list[str]:
    """Leave out as many of each state of a round as there were rounds, the last of each first."""
    left, kept = dict.fromkeys(ROUND, rounds), []
    for state in states:
        if left.get(state, 0):
            left[state] -= 1
        else:
            kept.append(state)
    return kept
