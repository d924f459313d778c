"""Plan's look for a policy's files of writers, in the bucket and on the server, which add to what the policy says."""

from base64 import b64decode
from collections.abc import Mapping, Sequence
from ntpath import join

from quiesce.aws.bucket import Bucket
from quiesce.backup.state import Plan
from quiesce.errors import PolicyRefused
from quiesce.guest.inventory import Inventory
from quiesce.guest.scripts import FIELDS, choose_writers_files, places
from quiesce.policy.policy import Policy
from quiesce.policy.target import TargetSettings
from quiesce.policy.vss import Vss
from quiesce.validation import Advice, validated
from quiesce.vss.writer_files import ALL, Kind, read_writers_file

ADVICE = Advice(
    name="file",
    home=Vss,
    missing="add it",
    otherwise="correct the file, or vss of the policy: both are added up",
)
# Content, place for messages, and place for notes, which has the version where there are any.
Found = tuple[bytes, str, str]


def with_writers_files(
    settings: TargetSettings, bucket: Bucket, policy: Policy, instance_id: str, keys: Sequence[str]
) -> tuple[TargetSettings, list[str]]:
    """Add the writers in the bucket's files of a policy to its settings, and return notes on the files.

    ``keys`` are those in the bucket's folders of scripts.

    Raises:
        PolicyRefused: a file has something else than writers, or contradicts the policy or the other file.
    """
    chosen = choose_writers_files(keys, places(policy.owner, instance_id), policy.name)
    found: dict[Kind, Found] = {}
    for kind, key in chosen.items():
        content, where = bucket.read_writers_file(key)
        found[kind] = content, bucket.place(key), where
    return _with(settings, found)


def with_servers_files(plan: Plan, inventory: Inventory) -> Plan:
    """Add the writers in the files beside the server's own scripts, as ``with_writers_files`` does the bucket's.

    Raises:
        PolicyRefused: as there, or the server could not read a file, or does not trust it.
    """
    folder = join(inventory.program_data or "", "Quiesce", "scripts")
    files = {each.file: each for each in inventory.writers_files}
    found: dict[Kind, Found] = {}
    for kind, name in choose_writers_files(files, (f"{plan.owner}\\", ""), plan.policy).items():
        place, problem = join(folder, name), files[name].problem
        if problem:
            remedy = "let Administrators own it and nobody else hold it open, or move it to the bucket"
            raise PolicyRefused(place, f"could not be read: {problem}", remedy)
        found[kind] = b64decode(files[name].content), place, place
    settings, notes = _with(plan.settings, found)
    return plan.model_copy(update={"settings": settings, "notes": [*plan.notes, *notes]})


def _with(settings: TargetSettings, found: Mapping[Kind, Found]) -> tuple[TargetSettings, list[str]]:
    if settings.vss == "off" or not found:
        return settings, []
    places_of = " and ".join(place for _, place, _ in found.values())
    if settings.disk_shadow is None:
        remedy = "move it away, or set vss.engine to diskshadow"
        raise PolicyRefused(places_of, "AWS's document takes no list of writers", remedy)
    vss, notes = settings.disk_shadow.model_dump(), []
    for kind, (content, place, where) in found.items():
        writers, field = read_writers_file(content, kind, place), FIELDS[kind]
        if writers == [ALL] or vss[field] == ALL:
            vss[field] = ALL
        else:
            vss[field] = list(dict.fromkeys([*vss[field], *writers]))
        notes.append(f"vss.{field}: {', '.join(writers) or 'none'} of {where} count as well")
    changed = settings.model_copy(update={"vss": validated(Vss, vss, places_of, ADVICE, PolicyRefused)})
    if wrong := changed.contradiction():
        raise PolicyRefused(f"{places_of}: {wrong.field}", f"with the policy, {wrong.problem}", wrong.remedy)
    return changed, notes
