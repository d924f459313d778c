"""CopySnapshot as on EC2, where moto differs: a copy takes time, comes from no volume, and may be encrypted.

`install` changes moto for the whole process, as that of `snapshots` does.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.responses.elastic_block_store import ElasticBlockStore
from moto.ec2.responses.settings import Settings

from sandbox.aws.keys import KEYS, to_make_volume
from sandbox.aws.snapshots import RULES, Fate, WrittenSnapshot, start_snapshot

# Of copies into one Region (EBS quotas).
MAX_COPIES = 20
DEFAULT_KEY = "arn:aws:kms:eu-central-1:123456789012:key/the-default-key-of-ebs"


@dataclass
class CopyRules:
    """The knobs of simulated copies; ``copied`` are told of each: the source's id, and the copy."""

    duration_s: float = 0.0
    max_copies: int = MAX_COPIES
    copied: list[Callable[[str, WrittenSnapshot], None]] = field(default_factory=list)

    def reset(self) -> None:
        """Restore the defaults, but keep the listeners."""
        self.__init__(copied=self.copied)  # type: ignore[misc]


COPIES = CopyRules()


def encrypts_by_default(backend: Any) -> bool:
    """Whether the account encrypts all new snapshots and volumes in the Region."""
    return bool(backend.ebs_encryption_by_default or KEYS.default)


def _get_encryption_by_default(self: Settings) -> ActionResult:
    return ActionResult({"EbsEncryptionByDefault": encrypts_by_default(self.ec2_backend)})


def _copy_snapshot(self: ElasticBlockStore) -> ActionResult:
    """Copy a completed snapshot within the Region.

    Source: EC2 API reference, CopySnapshot: no client token; `KmsKeyId` only with `Encrypted`; the copy of an encrypted
    snapshot is encrypted, and with encryption by default each is. EBS quotas and EC2 error codes: at most 20 copies at
    a time, else ResourceLimitExceeded.
    """
    source = self.ec2_backend.get_snapshot(self._get_param("SourceSnapshotId"))
    encrypted, key = self._get_bool_param("Encrypted"), self._get_param("KmsKeyId")
    if key and not encrypted:
        raise EC2ClientError("InvalidParameterDependency", "KmsKeyId needs Encrypted")
    if source.status != "completed" or source.storage_tier != "standard":
        raise EC2ClientError("IncorrectState", f"{source.id} is {source.status}, {source.storage_tier}")
    tags = self._parse_tag_specification("snapshot").get("snapshot", {})
    self.error_on_dryrun()
    copies = [s for s in list(self.ec2_backend.snapshots.values()) if getattr(s, "copied_from", None)]
    if sum(copy.status == "pending" for copy in copies) >= COPIES.max_copies:
        raise EC2ClientError("ResourceLimitExceeded", "Too many snapshot copies are in progress.")
    copy: Any = start_snapshot(self.ec2_backend, source.volume_size, self._get_param("Description") or "", source)
    copy.copied_from, copy.duration_s = source.id, COPIES.duration_s
    copy.encrypted = source.encrypted or encrypted or encrypts_by_default(self.ec2_backend)
    copy.kms_key_id = (key or KEYS.default or DEFAULT_KEY) if copy.encrypted else None
    copy.volume.kms_key_id = copy.kms_key_id
    if not KEYS.may(to_make_volume(KEYS.of(source), KEYS.of(copy))):
        copy.fate = Fate.ERRS
    copy.add_tags(tags)
    copy.seal(RULES.now_s())
    for listener in COPIES.copied:
        listener(source.id, copy)
    return ActionResult({"SnapshotId": copy.id, "Tags": copy.tag_set})


def install() -> None:
    """Put these rules into moto."""
    ElasticBlockStore.copy_snapshot = _copy_snapshot  # type: ignore[method-assign]
    Settings.get_ebs_encryption_by_default = _get_encryption_by_default  # type: ignore[method-assign]
