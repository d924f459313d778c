"""Which servers a policy means now, and why others are left out. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from quiesce.errors import PolicyRefused
from quiesce.policy.policy import Policy
from quiesce.policy.selection import Candidate
from quiesce.policy_run.input import PolicyRequest, PolicyRunIdentity, run_name
from quiesce.policy_run.state import Item, OfPolicyRun

# One Map Run of Step Functions has room for more; a summary of more helps nobody.
MOST_TARGETS = 10_000
# How many servers a note names.
NAMED = 5
# Between the starts of the first servers, so that EC2 and Systems Manager are not called for all of them at once.
SPREAD_S = 2
GONE = frozenset({"shutting-down", "terminated"})


@dataclass(frozen=True)
class Target:
    """A server that is backed up, by one entry of the policy's ``targets``."""

    instance_id: str
    entry: int


@dataclass(frozen=True)
class Resolved:
    """The servers that a policy means, in the order of their ids.

    ``notes`` is for the summary; ``warnings`` is told as well.
    """

    targets: list[Target]
    notes: list[str]
    warnings: list[str]


def resolve(policy: Policy, candidates: Iterable[Candidate]) -> Resolved:
    """Choose a policy's servers among all that EC2 describes, each once.

    Raises:
        PolicyRefused: the policy means more than 10,000 servers.
    """
    known = sorted(candidates, key=lambda each: each.instance_id)
    meant = [(candidate, entries) for candidate in known if (entries := policy.entries_for(candidate))]
    excluded, unusable = _excluded(policy, meant), _unusable(meant)
    out = {instance_id for ids in [*excluded.values(), *unusable.values()] for instance_id in ids}
    chosen = [(candidate, entries) for candidate, entries in meant if candidate.instance_id not in out]
    if len(chosen) > MOST_TARGETS:
        problem = f"mean {len(chosen)} servers, more than {MOST_TARGETS}"
        raise PolicyRefused("targets", problem, "split the policy into several")
    # What is excluded is not missing, whatever its state.
    wanted = {why: [i for i in ids if i not in {*chain(*excluded.values())}] for why, ids in unusable.items()}
    missing = [*_listed(wanted, "left out, {}"), *_unmatched(policy, meant, known)]
    notes = [*_listed(excluded, "{} leaves out"), *_shared(policy, chosen)]
    nothing = [] if chosen else ["the policy means no server that can be backed up"]
    targets = [Target(candidate.instance_id, entries[0]) for candidate, entries in chosen]
    if policy.missing == "alert":
        return Resolved(targets, notes, [*missing, *nothing])
    return Resolved(targets, [*notes, *missing], nothing)


def _excluded(policy: Policy, meant: Sequence[tuple[Candidate, list[int]]]) -> dict[str, list[str]]:
    """Return the ids that the policy excludes, by the entry that does."""
    found: dict[str, list[str]] = {}
    for candidate, _ in meant:
        if (number := policy.exclusion_of(candidate)) is not None:
            entry = f"exclude[{number}] ({policy.exclude[number].words})"
            found.setdefault(entry, []).append(candidate.instance_id)
    return found


def _unusable(meant: Sequence[tuple[Candidate, list[int]]]) -> dict[str, list[str]]:
    """Return the ids of servers that can't be backed up, by the reason."""
    found: dict[str, list[str]] = {}
    for candidate, _ in meant:
        if reason := _why_not(candidate):
            found.setdefault(reason, []).append(candidate.instance_id)
    return found


def _why_not(candidate: Candidate) -> str:
    if candidate.state in GONE:
        return "terminated"
    if not candidate.windows:
        return "no Windows server"
    return f"recovery {candidate.recovery} is still making it" if candidate.recovery else ""


def _listed(ids_by_reason: Mapping[str, list[str]], words: str) -> list[str]:
    return [f"{words.format(reason)}: {named(ids)}" for reason, ids in ids_by_reason.items() if ids]


def _unmatched(policy: Policy, meant: Sequence[tuple[Candidate, list[int]]], known: Sequence[Candidate]) -> list[str]:
    """Say which entries mean no server that EC2 knows."""
    ids, matched = {each.instance_id for each in known}, {entry for _, entries in meant for entry in entries}
    gone = [entry.instance_id for entry in policy.targets if entry.instance_id and entry.instance_id not in ids]
    nothing = [
        f"targets[{number}] ({entry.words}) means no server"
        for number, entry in enumerate(policy.targets)
        if not entry.instance_id and number not in matched
    ]
    return [*([f"left out, EC2 does not know it: {named(gone)}"] if gone else []), *nothing]


def _shared(policy: Policy, chosen: Sequence[tuple[Candidate, list[int]]]) -> list[str]:
    """Say of servers that several entries mean to which they belong, and why."""
    found: dict[str, list[str]] = {}
    for candidate, (first, *others) in chosen:
        for other in others:
            words = f"targets[{first}] counts, not targets[{other}], {_why(policy, first, other)}"
            found.setdefault(words, []).append(candidate.instance_id)
    return [f"{words}: {named(ids)}" for words, ids in found.items()]


def _why(policy: Policy, first: int, other: int) -> str:
    one, two = policy.targets[first], policy.targets[other]
    if one.weight == two.weight:
        return "as it comes first"
    return "as it names the id" if one.instance_id else "as it asks for more tags"


def named(ids: Sequence[str]) -> str:
    """Return ids for a note: the first of them, and how many more there are."""
    more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
    return f"{', '.join(ids[:NAMED])}{more}"


def items_of(resolved: Resolved, policy: Policy, request: PolicyRequest, run: PolicyRunIdentity) -> list[Item]:
    """Return the list for the Distributed Map; the first servers begin one after the other, not all at once."""
    return [
        Item(
            name=run_name(request, run, target.instance_id),
            wait_s=number * SPREAD_S if number < policy.max_concurrency else 0,
            policy=policy.name,
            instance_id=target.instance_id,
            policy_run=OfPolicyRun(id=run.run_id, target=target.entry, started_by=request.started_by),
        )
        for number, target in enumerate(resolved.targets)
    ]
