"""Where EBS has a snapshot, in the standard tier or in the archive, and what it does with it at the moment. Pure."""

from dataclasses import dataclass
from datetime import datetime

# EBS restores a snapshot from the archive within this (EBS User Guide), so many of an account at a time (its quotas).
RESTORE_HOURS, RESTORES_AT_ONCE = 72, 5


@dataclass(frozen=True)
class Tier:
    """What EC2 says of a snapshot's tier; one that was never archived has nothing but the defaults.

    Attributes:
        name: ``standard`` or ``archive``; what is restored for a time is in ``standard`` meanwhile.
        operation: the last archival or restore and how far it is, such as ``temporary-restore-in-progress``.
        detail: EBS's words about it.
        progress: of the operation, in percent.
        began_at: when the operation began, in UTC.
        archived_at: when the snapshot was in the archive, in UTC.
        restored_until: when it goes back there by itself, in UTC; None if it is not restored for a time.
    """

    name: str = "standard"
    operation: str = ""
    detail: str = ""
    progress: int = 0
    began_at: datetime | None = None
    archived_at: datetime | None = None
    restored_until: datetime | None = None

    @property
    def is_archiving(self) -> bool:
        """Whether it is on its way into the archive: it can be used until it is there."""
        return self.name == "standard" and self.operation == "archival-in-progress"

    @property
    def has_failed(self) -> bool:
        """Whether EBS could not do what it was last asked for."""
        return self.operation.endswith("-failed")

    @property
    def is_restoring(self) -> bool:
        """Whether it is on its way back."""
        return self.operation in ("temporary-restore-in-progress", "permanent-restore-in-progress")

    @property
    def is_archived(self) -> bool:
        """Whether the archive has it, also while it is restored for a time."""
        return self.name == "archive" or self.restored_until is not None

    def is_usable_until(self, moment: datetime) -> bool:
        """Whether it can be used from now until a time, in UTC."""
        stays = self.restored_until is None or self.restored_until >= moment
        return self.name == "standard" and not self.is_archiving and stays
