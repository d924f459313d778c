"""EBS volumes as on EC2, where moto differs: creation takes time and may fail late, with one volume per client token.

`install` changes moto for the whole process, as that of `snapshots` does.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import elastic_block_store as moto_ebs
from moto.ec2.responses.elastic_block_store import ElasticBlockStore

from sandbox.aws.keys import KEYS, to_make_volume
from sandbox.aws.snapshots import RULES


@dataclass
class VolumeRules:
    """The knobs of simulated volumes; without them everything happens at once and succeeds."""

    creating_s: float = 0.0
    attaching_s: float = 0.0
    detaching_s: float = 0.0
    stuck_as: Literal["", "detaching", "busy"] = ""
    """The state of an attachment that never detaches; empty if all detach."""
    unusable: set[str] = field(default_factory=set)
    """Snapshots whose volumes end in an error, as with a key that EBS may not use."""

    def reset(self) -> None:
        """Restore the defaults."""
        self.__init__()  # type: ignore[misc]


VOLUMES = VolumeRules()


class EbsVolume(moto_ebs.Volume):
    """A volume whose state depends on the time passed.

    Source: EC2 API reference, CreateVolume, KmsKeyId: "the action can appear to complete, but eventually fails".
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.created_s = RULES.now_s()
        self.keyless = False
        """Whether the caller may not use the key of the volume or of its snapshot."""

    @property
    def status(self) -> str:
        """The state, as DescribeVolumes names it."""
        if self.attachment:
            return "in-use"
        if self.snapshot_id and RULES.now_s() - self.created_s < VOLUMES.creating_s:
            return "creating"
        return "error" if self.keyless or self.snapshot_id in VOLUMES.unusable else "available"


def _refuse_snapshot(self: ElasticBlockStore, snapshot_id: str) -> None:
    """Refuse a snapshot from which EC2 makes no volume.

    Source: EC2 answers `IncorrectState`, "Snapshot is in invalid state - pending" (reported by users of libstorage).
    """
    snapshot = self.ec2_backend.get_snapshot(snapshot_id)
    if snapshot.storage_tier != "standard":
        raise EC2ClientError("SandboxCannotTell", "not known: EC2's answer for an archived snapshot")
    if snapshot.status != "completed":
        raise EC2ClientError("IncorrectState", f"Snapshot is in invalid state - {snapshot.status}")


def _create_volume(
    original: Callable[[ElasticBlockStore], ActionResult],
) -> Callable[[ElasticBlockStore], ActionResult]:
    """Make one volume for each client token. Source: EC2 developer guide, ensuring idempotency."""

    def create(self: ElasticBlockStore) -> ActionResult:
        token, request = self._get_param("ClientToken"), dict(self.data)
        made: dict[str, Any] = self.ec2_backend.__dict__.setdefault("volumes_by_token", {})
        if token in made:
            first, volume = made[token]
            if first != request:
                raise EC2ClientError("IdempotentParameterMismatch", f"The client token {token} has other parameters")
            return ActionResult(volume)
        if snapshot_id := self._get_param("SnapshotId"):
            _refuse_snapshot(self, snapshot_id)
        before = set(self.ec2_backend.volumes)
        answer = original(self)
        [volume] = [v for key, v in list(self.ec2_backend.volumes.items()) if key not in before]
        give_key(self.ec2_backend, volume, self._get_param("KmsKeyId") or "")
        volume.keyless = not KEYS.may(to_make_volume(_key_of_snapshot(self.ec2_backend, volume), KEYS.of(volume)))
        if token:
            made[token] = (request, volume)
        return answer

    return create


def give_key(backend: Any, volume: Any, asked: str) -> None:
    """Give a new volume its key: the one asked for, else its snapshot's, else the one of the account's default."""
    if key := KEYS.for_volume(_key_of_snapshot(backend, volume), asked):
        volume.encrypted, volume.kms_key_id = True, key


def _key_of_snapshot(backend: Any, volume: Any) -> str:
    return KEYS.of(backend.snapshots[volume.snapshot_id]) if volume.snapshot_id in backend.snapshots else ""


def install() -> None:
    """Put these rules into moto; calling it again changes nothing."""
    if moto_ebs.Volume is EbsVolume:
        return
    moto_ebs.Volume = EbsVolume  # type: ignore[misc]
    ElasticBlockStore.create_volume = _create_volume(ElasticBlockStore.create_volume)  # type: ignore[method-assign]
