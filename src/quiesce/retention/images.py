"""Which initial AMIs of a server are retired: replaced ones and failed ones, none that a recovery may need. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from quiesce.points.image import FoundImage

FAILED = {"failed", "error", "invalid"}
# Whoever has chosen the older one for a recovery launches from it within the recover machine's time: a test compares.
REPLACED_FOR = timedelta(days=12)


def retired(images: Sequence[FoundImage], now: datetime) -> list[str]:
    """Return the images to deregister, by id.

    Only those that a backup made: failed ones, and those that a newer one of the same traits has replaced for 12 days.
    An older image stays as long as it may fit a recovery point that no newer one fits.

    Args:
        images: those of one server, in any order.
        now: in UTC.
    """
    return [
        image.image_id
        for image in images
        if image.by_backup and (image.state in FAILED or any(_replaces(newer, image, now) for newer in images))
    ]


def _replaces(newer: FoundImage, image: FoundImage, now: datetime) -> bool:
    ready = newer.state == "available" and newer.created_at <= now - REPLACED_FOR
    return ready and newer.created_at > image.created_at and newer.traits == image.traits
