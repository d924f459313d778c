"""The weekly list of what carries our tag and nobody will remove: it only looks, and tells once a week."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quiesce.aws.bucket import Bucket
from quiesce.aws.point_looks import find_snapshots
from quiesce.aws.posture.stored import stored_images, stored_snapshots
from quiesce.aws.posture.watch import Watch
from quiesce.aws.retention.points import Points
from quiesce.aws.topic import publish
from quiesce.policy_run.resolving import GONE
from quiesce.posture.judging import Seen
from quiesce.posture.state import Posture
from quiesce.posture.unclaimed import UNCLAIMED_KEY, Ledger, Owner, UnclaimedList
from quiesce.report.posture_mail import mail_of_unclaimed
from quiesce.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_sns import SNSClient

# For what comes after the look at the snapshots.
RESERVE_MS = 120_000


@dataclass(frozen=True)
class WeeklyList:
    """What the weekly list needs."""

    ec2: "EC2Client"
    sns: "SNSClient"
    bucket: Bucket
    points: Points
    watch: Watch
    topic_arn: str

    def make(self, posture: Posture, seen: Seen, remaining_ms: Callable[[], int]) -> dict[str, Any]:
        """Make the list, keep it in the bucket, and mail it, once in a week of ISO 8601.

        Where the time is over before all snapshots were looked at, the list says so, and names no record as without
        snapshots.

        Returns:
            How many things the list has.
        """
        owners, now = self._owners(seen), posture.looked_at
        # First: a snapshot that is made meanwhile is too young to be listed, one that is not there yet is not missing.
        images = {
            snapshot_id: image for image in stored_images(self.ec2, seen.stack) for snapshot_id in image.snapshots
        }
        ledger, unknown = Ledger(owners, images, now), list(posture.unknown)
        looked, whole = 0, True
        for page in stored_snapshots(self.ec2, seen.stack):
            for stored in page:
                ledger.add(stored)
            looked += len(page)
            if whole := remaining_ms() > RESERVE_MS:
                continue
            unknown.append(f"only {looked:,} snapshots could be looked at in the function's time; there may be more")
            break
        missing = self._missing(ledger) if whole else []
        items = ledger.items(posture, self._recorded(ledger), missing, self._gone(ledger, seen))
        found = UnclaimedList(stack=seen.stack, looked_at=now, unknown=unknown, items=items)
        self.bucket.write_json(UNCLAIMED_KEY, found.model_dump_json())
        self._tell(found, f"unclaimed#{now:%G-W%V}")
        logger.info("made the weekly list", items=len(items), snapshots=looked, whole=whole)
        return {"looked_at": now.isoformat(), "items": len(items), "unknown": unknown}

    def _tell(self, found: UnclaimedList, name: str) -> None:
        mail = mail_of_unclaimed(found, self.bucket.place(UNCLAIMED_KEY))
        if mail and self.watch.claim_mail(name, found.looked_at):
            publish(self.sns, self.topic_arn, mail.subject, mail.text)
            self.watch.mail_sent(name)

    def _owners(self, seen: Seen) -> dict[str, Owner]:
        owners: dict[str, Owner] = {}
        for instance_id in seen.tallies:
            for point in self.points.listed(instance_id):
                owner = Owner(instance_id, point.policy, point.run_id)
                owners |= dict.fromkeys(point.all_snapshots, owner)
        return owners

    def _recorded(self, ledger: Ledger) -> list[tuple[str, str]]:
        """Return those runs that have an item in the table: their list is behind, or their removal goes on."""
        return [(i, run) for i, run in ledger.without_record if i and run and self.points.knows(i, run)]

    def _missing(self, ledger: Ledger) -> Sequence[str]:
        """Return the snapshots that are gone, and not by a removal of quiesce; EC2 is asked once more for each."""
        again = find_snapshots(self.ec2, ledger.owners)
        lost = {i: owner for i, owner in ledger.owners.items() if i not in again}
        removed = {owner for owner in {*lost.values()} if self.points.is_removed(owner.instance_id, owner.run_id)}
        return [i for i, owner in lost.items() if owner not in removed]

    def _gone(self, ledger: Ledger, seen: Seen) -> set[str]:
        present = {i for i, server in seen.servers.items() if server.state not in GONE}
        return {image.instance_id for image in ledger.images.values()} - present - seen.tallies.keys()
