"""What the overview shows, read once: policies, servers, runs and recoveries."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from quiesce.aws.bucket import Bucket
from quiesce.aws.pages.records import SIDE_BY_SIDE, Kept, Unread, list_records, read_records
from quiesce.aws.policies.policies_in_force import PoliciesInForce
from quiesce.aws.policies.policy_files import PolicyFiles
from quiesce.aws.servers import find_candidates
from quiesce.errors import PolicyRefused
from quiesce.pages.calendar import span_of
from quiesce.pages.found import Found, PolicyFound, ServerFound, Unprotected
from quiesce.points.record import Record
from quiesce.policy.file import read_policy_file
from quiesce.policy.policy import Policy
from quiesce.policy.selection import Candidate
from quiesce.policy_run.resolving import resolve
from quiesce.posture.state import POSTURE_KEY, Posture
from quiesce.recovery.account import Account

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ec2 import EC2Client

RECOVERIES = "recoveries/"
# More than five weeks of a hundred servers; the page says from when on its runs are whole.
MOST_RECORDS, MOST_ACCOUNTS = 4000, 10
NOT_READ = "not shown, because this release of quiesce can't read it; a newer one may have written it: update the stack"

# Returns what is in records of the bucket, in their order.
Read = Callable[[Bucket, Sequence[Kept]], list[Record | Unread]]


@dataclass(frozen=True)
class OverviewLooks:
    """What reads the overview's parts.

    ``bucket`` has a client that many calls may use at once; ``read`` returns what is in records, in their order.
    """

    bucket: Bucket
    dynamodb: "DynamoDBClient"
    ec2: "EC2Client"
    table: str
    stack: str
    region: str
    zone: ZoneInfo
    read: Read = read_records

    def find(self, now: datetime) -> Found:
        """Return all that the overview shows, but for what only a person asks: alarms, and what runs now.

        Args:
            now: in UTC.

        Raises:
            AwsThrottled, AwsUnavailable: Lambda delivers the event again.
            AccessDenied: not retried.
        """
        names, _, paused = PolicyFiles(self.bucket.client, self.bucket.name).list_files()
        candidates = find_candidates(self.ec2) if names else []
        kept, whole_since = self._kept(now)
        read = self.read(self.bucket, kept)
        posture, unread = self._known_posture()
        accounts, unread_accounts = self._accounts()
        unread += unread_accounts
        unread += [f"{self.bucket.place(each.kept.key)}: {each.why}" for each in read if isinstance(each, Unread)]
        return Found(
            stack=self.stack,
            region=self.region,
            now=now,
            zone=self.zone,
            policies=[self._policy(name, candidates) for name in sorted(names)],
            records=[each for each in read if isinstance(each, Record)],
            whole_since=whole_since,
            recoveries=accounts,
            unprotected=_unprotected(posture) if posture else None,
            unprotected_at=posture.looked_at if posture else None,
            paused=paused,
            problems=unread,
        )

    def _kept(self, now: datetime) -> tuple[Sequence[Kept], datetime | None]:
        """Return the records to read, of each server its newest among them, and since when they are all there are."""
        every = list_records(self.bucket)
        chosen, more = every[:MOST_RECORDS], every[MOST_RECORDS:]
        shown = {kept.instance_id for kept in chosen}
        # A server that has not run for long shows its newest run all the same.
        older = {kept.instance_id: kept for kept in reversed(more) if kept.instance_id not in shown}
        since = chosen[-1].written_at if more else None
        return [*chosen, *older.values()], since if since and since > span_of(now, self.zone).begins else None

    def _policy(self, name: str, candidates: Sequence[Candidate]) -> PolicyFound:
        """Return a policy as its schedules go by it: the text in force, else that of its file."""
        table = PoliciesInForce(self.dynamodb, self.table)
        text, since = table.in_force(name)
        policy, problem = self._of_file(name)
        if text and problem:
            policy = read_policy_file(text.encode(), name, name)
        if policy is None:
            return PolicyFound(name, None, problem)
        resolved = resolve(policy, candidates)
        names = {each.instance_id: each.tags.get("Name", "") for each in candidates}
        return PolicyFound(
            name=name,
            policy=policy,
            problem="; ".join([*([problem] if problem else []), *resolved.warnings]),
            servers=[ServerFound(target.instance_id, names[target.instance_id]) for target in resolved.targets],
            since=since,
            first_starts=table.kept_starts(policy),
        )

    def _of_file(self, name: str) -> tuple[Policy | None, str]:
        try:
            content, place = self.bucket.read_policy(name)
            return read_policy_file(content, name, place), ""
        except PolicyRefused as refused:
            return None, f"{refused.field}: {refused.problem}; {refused.remedy}"

    def _known_posture(self) -> tuple[Posture | None, list[str]]:
        """Return the newest look at all servers, None before the first; and a problem if it can't be read."""
        text = self.bucket.read_json(POSTURE_KEY)
        try:
            return Posture.model_validate_json(text) if text else None, []
        except ValidationError:
            return None, [f"{self.bucket.place(POSTURE_KEY)}: {NOT_READ}"]

    def _accounts(self) -> tuple[list[Account], list[str]]:
        """Return the newest accounts of recoveries, and a problem for each that can't be read."""
        found = self.bucket.list_below(RECOVERIES)
        keys = [key for _, key in sorted(found, reverse=True) if key.endswith(".json")][:MOST_ACCOUNTS]
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            texts = list(pool.map(self.bucket.read_json, keys))
        read = {key: _account(text) for key, text in zip(keys, texts, strict=True) if text}
        unread = [f"{self.bucket.place(key)}: {NOT_READ}" for key, account in read.items() if account is None]
        return [account for account in read.values() if account], unread


def _unprotected(posture: Posture) -> list[Unprotected]:
    return [Unprotected(server.instance_id, server.name, server.reason) for server in posture.unprotected]


def _account(text: str) -> Account | None:
    try:
        return Account.model_validate_json(text, extra="ignore")
    except ValidationError:
        return None
