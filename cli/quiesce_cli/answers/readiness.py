"""What the stack's own doctor has found last of the servers that policies mean."""

from collections.abc import Iterator, Mapping

from quiesce.doctor.findings import Level
from quiesce.doctor.state import Item, Latest, Summary, wanted_level
from quiesce.doctor.telling import below
from quiesce.policy.policy import Policy
from quiesce.policy_run.resolving import Resolved
from quiesce_cli.answers.shapes import Check

Wants = dict[str, dict[str, Level]]


def readiness(
    latest: str, meant: Mapping[str, Resolved], policies: Mapping[str, Policy], folder: str
) -> Iterator[Check]:
    """Give a check for each server that is not ready for what a policy wants of it, and one for all that are.

    Args:
        latest: ``doctor/latest.json``.
        meant: the servers of each policy, by its name.
        policies: by their names.
        folder: where the whole of each server lies, as people write it.
    """
    found = {each.instance_id: each for each in Latest.model_validate_json(latest).servers}
    wants = {server: levels for server, levels in _wants(meant, policies).items() if server in found}
    lacking = below([Item(server=server, wants=levels) for server, levels in wants.items()], found)
    unknown = {server: words for server, levels in wants.items() if (words := _unknown(levels, found[server]))}
    for server, words in sorted((unknown | lacking).items()):
        name = f"{found[server].name} {server}".strip()
        yield Check(name="ready", good=False, words=f"{name}: {words}", remedy=_remedy(found[server], folder))
    if well := wants.keys() - lacking.keys() - unknown.keys():
        yield Check(name="ready", good=True, words=f"servers ready for what policies want: {len(well)}", remedy="")


def _wants(meant: Mapping[str, Resolved], policies: Mapping[str, Policy]) -> Wants:
    wants: Wants = {}
    for name, resolved in meant.items():
        for target in resolved.targets:
            wants.setdefault(target.instance_id, {})[name] = wanted_level(policies[name].settings_of(target.entry))
    return wants


def _unknown(levels: Mapping[str, Level], summary: Summary) -> str:
    silent = sorted({level for level in levels.values() if summary.ready[level] == "not known"})
    return f"it is not known whether it is ready for {', '.join(silent)}" if silent else ""


def _remedy(summary: Summary, folder: str) -> str:
    place = f"{folder}{summary.instance_id}.json"
    if not summary.changes:
        return f"{place} says what to do about each"
    first = "" if summary.may_be_changed else "allow it by the tag quiesce:may-be-changed, then "
    return f'{first}start the doctor with "fix" (docs/operate/ready.md), or see {place}'
