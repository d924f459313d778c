"""The policies in the bucket."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import NamedTuple

from quiesce.aws.bucket import Bucket
from quiesce.aws.clients import repeatable
from quiesce.aws.items import Items
from quiesce.aws.pages.records import SIDE_BY_SIDE
from quiesce.aws.policies.policies_in_force import POLICIES
from quiesce.aws.policies.policy_files import FOLDER, PolicyFiles
from quiesce.aws.servers import find_candidates
from quiesce.policy_run.resolving import Resolved, resolve
from quiesce_cli.answers.policies import Judged, judge
from quiesce_cli.aws.stack import client

ENDING = ".yaml"


def key_of(name: str) -> str:
    """Return where a policy lies in the bucket."""
    return f"{FOLDER}{name}{ENDING}"


def files(bucket: Bucket) -> PolicyFiles:
    """Return the folder of the policies' files."""
    return PolicyFiles(bucket.client, bucket.name)


def read_policies(bucket: Bucket) -> list[Judged]:
    """Return the policies in the bucket, those that can't be read among them."""
    names, _, _ = files(bucket).list_files()
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        return list(pool.map(lambda name: judge(*bucket.read_policy(name), name), sorted(names)))


class Meant(NamedTuple):
    """Which servers each policy means now, by its name, and the names of all servers by their ids."""

    by_policy: dict[str, Resolved]
    names: dict[str, str]


def servers_of(policies: Sequence[Judged]) -> Meant:
    """Return which servers the policies mean now, as the policy machine resolves them."""
    read = [policy for _, policy in policies if policy]
    candidates = find_candidates(client("ec2")) if read else []
    names = {each.instance_id: each.tags.get("Name", "") for each in candidates}
    return Meant({policy.name: resolve(policy, candidates) for policy in read}, names)


def put_policy(bucket: Bucket, name: str, content: bytes) -> str:
    """Put a policy's file into the bucket, and return its place; EventBridge then tells the stack of it."""
    with repeatable("s3:PutObject"):
        bucket.client.put_object(Bucket=bucket.name, Key=key_of(name), Body=content, ContentType="application/yaml")
    return bucket.place(key_of(name))


def not_in_force(bucket: Bucket, table: str, names: Sequence[str], before: datetime) -> list[str]:
    """Return which policies' files were written before a time and are not in force as they are."""
    items, written = Items(client("dynamodb"), table), {key: at for at, key in bucket.list_below(FOLDER)}
    old = [name for name in names if key_of(name) in written and written[key_of(name)] < before]

    def in_force(name: str) -> bool:
        content, _ = bucket.read_policy(name)
        return bool(items.read(POLICIES, f"in-force#{name}").get("text", "") == content.decode("utf-8-sig"))

    return [name for name in old if not in_force(name)]


class Scheduled(NamedTuple):
    """A policy by whose schedules EventBridge Scheduler goes.

    ``judged`` is the text in force, else the file's. ``starts`` is when each interval first ran, by its schedule's key.
    """

    judged: Judged
    in_force: bool
    starts: dict[str, datetime]


def read_scheduled(bucket: Bucket, table: str, name: str) -> Scheduled:
    """Return a policy as its schedules go."""
    items = Items(client("dynamodb"), table)
    text = items.read(POLICIES, f"in-force#{name}").get("text", "")
    judged = judge(text.encode(), bucket.place(key_of(name)), name) if text else judge(*bucket.read_policy(name), name)
    starts: dict[str, datetime] = {}
    for schedule in judged.policy.schedules if judged.policy else []:
        key = schedule.key(schedule.timezone or judged.policy.timezone) if judged.policy else ""
        if schedule.every and (kept := items.read(POLICIES, f"start#{name}#{key}").get("start")):
            starts[key] = datetime.fromisoformat(kept)
    return Scheduled(judged, bool(text), starts)
