"""Customers' keys: what EBS needs of a key in the caller's name, and EC2's late answer if the caller may not use it.

EC2 takes such a call, and fails afterwards: a volume ends in an error, a server terminates or stops again.
Source: EBS user guide, "Requirements for Amazon EBS encryption", permissions for IAM principals (kms:CreateGrant,
kms:Decrypt, kms:DescribeKey, kms:GenerateDataKeyWithoutPlaintext, kms:ReEncrypt*), and "How EBS encryption works",
which names them for a new volume, for one under another key, and for one that is attached; KMS developer guide,
kms:ViaService and kms:GrantIsForAWSResource. AWS publishes no list by call of EC2.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from moto.ec2.models.instances import StateReason

Permission = tuple[str, str, dict[str, Any]]
ACTIONS = frozenset(
    f"kms:{action}"
    for action in (
        "CreateGrant",
        "Decrypt",
        "DescribeKey",
        "GenerateDataKey",
        "GenerateDataKeyWithoutPlaintext",
        "ReEncryptFrom",
        "ReEncryptTo",
    )
)
GIVEN_UP = StateReason("Client.InternalError: Client error on launch", "Client.InternalError")


@dataclass
class KeyRules:
    """The account's keys; without them nothing is encrypted by a key that needs a right."""

    customers: set[str] = field(default_factory=set)
    """ARNs of customer-managed keys; every other key is AWS's own, which all in the account may use."""
    default: str = ""
    """The customer's key by which the account encrypts by default; empty if it does not."""
    denied: set[str] = field(default_factory=set)
    """Keys whose policies refuse every caller."""
    allows: Callable[[list[Permission]], bool] = lambda _permissions: True
    """Whether the caller's role grants all of these; the gateway asks IAM."""

    def reset(self) -> None:
        """Restore the defaults, but keep who is asked."""
        self.__init__(allows=self.allows)  # type: ignore[misc]

    def of(self, resource: Any) -> str:
        """Return the customer's key of a volume or snapshot, empty if it has none."""
        # A snapshot that was copied or written has a key of its own; any other has its volume's.
        own = getattr(resource, "kms_key_id", None)
        key = own or getattr(getattr(resource, "volume", None), "kms_key_id", None)
        return key if key in self.customers else ""

    def for_volume(self, source: str, asked: str) -> str:
        """Return the customer's key of a volume that is made of a snapshot under ``source``; empty if none."""
        wanted = asked or source or self.default
        return wanted if wanted in self.customers else ""

    def may(self, permissions: list[Permission]) -> bool:
        """Whether the caller may use the keys so, by the keys' policies and its own."""
        return not any(arn in self.denied for _, arn, _ in permissions) and self.allows(permissions)


KEYS = KeyRules()


def to_make_volume(source: str, target: str) -> list[Permission]:
    """What EBS needs to make a volume under the key ``target`` of a snapshot under ``source``; empty: no such key."""
    reads = ["Decrypt"] + (["ReEncryptFrom"] if target != source else []) if source else []
    writes = ["CreateGrant", "DescribeKey", "GenerateDataKeyWithoutPlaintext"]
    writes += ["ReEncryptTo"] if source and target != source else []
    return [*_uses(source, reads), *_uses(target, writes if target else [])]


def to_attach(keys: set[str]) -> list[Permission]:
    """What EC2 needs to start a server with volumes under these keys."""
    return [use for key in sorted(keys) for use in _uses(key, ["CreateGrant", "Decrypt", "DescribeKey"])]


def to_read(key: str, snapshot_id: str) -> list[Permission]:
    """What the EBS direct APIs need to read blocks of a snapshot under a key. Source: EBS user guide, direct APIs."""
    context = {"kms:EncryptionContext:aws:ebs:id": snapshot_id}
    return [(action, arn, {**given, **context}) for action, arn, given in _uses(key, ["Decrypt"] if key else [])]


def to_write(key: str) -> list[Permission]:
    """What the EBS direct APIs need to start and write a child of a snapshot under a key.

    Source: EBS user guide, direct APIs, permissions to use keys; which of them each call needs is not documented.
    """
    return list(_uses(key, ["DescribeKey", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext"] if key else []))


def _uses(key: str, actions: list[str]) -> Iterator[Permission]:
    for action in actions:
        context: dict[str, Any] = {"kms:ViaService": f"ec2.{key.split(':')[3]}.amazonaws.com"}
        if action == "CreateGrant":
            context["kms:GrantIsForAWSResource"] = "true"
        yield f"kms:{action}", key, context
