"""Plan's look for the files of writers in the bucket, which add to what the policy says of writers."""

from collections.abc import Sequence

from quiesce.aws.bucket import Bucket
from quiesce.errors import PolicyRefused
from quiesce.guest.scripts import FIELDS, choose_writers_files
from quiesce.policy.policy import Policy
from quiesce.policy.target import TargetSettings
from quiesce.policy.vss import Vss
from quiesce.validation import Advice, validated
from quiesce.vss.writer_files import ALL, read_writers_file

ADVICE = Advice(
    name="file",
    home=Vss,
    missing="add it",
    otherwise="correct the file, or vss of the policy: both are added up",
)


def with_writers_files(
    settings: TargetSettings, bucket: Bucket, policy: Policy, instance_id: str, keys: Sequence[str]
) -> tuple[TargetSettings, list[str]]:
    """Add the writers in the bucket's files of a policy to its settings, and return notes on the files.

    ``keys`` are those in the bucket's folders of scripts.

    Raises:
        PolicyRefused: a file has something else than writers, or contradicts the policy or the other file.
    """
    found = choose_writers_files(keys, owner=policy.owner, instance_id=instance_id, policy=policy.name)
    if settings.vss == "off" or not found:
        return settings, []
    vss, notes = settings.vss.model_dump(), []
    for kind, key in found.items():
        content, where = bucket.read_writers_file(key)
        writers, field = read_writers_file(content, kind, bucket.place(key)), FIELDS[kind]
        if writers == [ALL] or vss[field] == ALL:
            vss[field] = ALL
        else:
            vss[field] = list(dict.fromkeys([*vss[field], *writers]))
        notes.append(f"vss.{field}: {', '.join(writers) or 'none'} of {where} count as well")
    places_of = " and ".join(map(bucket.place, found.values()))
    changed = settings.model_copy(update={"vss": validated(Vss, vss, places_of, ADVICE, PolicyRefused)})
    if wrong := changed.contradiction():
        raise PolicyRefused(f"{places_of}: {wrong.field}", f"with the policy, {wrong.problem}", wrong.remedy)
    return changed, notes
