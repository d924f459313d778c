"""Images of a server, and whether one can be launched for it."""

from dataclasses import dataclass, replace
from datetime import datetime

from quiesce.points.parts import Source

# An image says which boot modes it bears; a server has one of them.
EITHER_BOOT_MODE = {"", "uefi-preferred"}


@dataclass(frozen=True)
class FoundImage:
    """An image as EC2 has it; ``by_backup`` if a backup made it, and not a person who tagged it."""

    image_id: str
    created_at: datetime
    state: str
    root_device: str
    architecture: str
    boot_mode: str
    platform: str
    billing: str = ""
    by_backup: bool = False

    @property
    def traits(self) -> tuple[str, ...]:
        """What a recovery point asks of an image: two with the same traits serve the same recovery points."""
        return (self.root_device, self.architecture, self.boot_mode, self.platform, self.billing)


@dataclass(frozen=True)
class Needs:
    """What the server was, and an image for it has to be; empty where the recovery point does not say."""

    root_device: str
    architecture: str
    boot_mode: str


def misfits(image: FoundImage, needs: Needs) -> list[str]:
    """Return in words what keeps an image from being launched for a recovery; empty if it fits."""
    either = needs.boot_mode in EITHER_BOOT_MODE or image.boot_mode in EITHER_BOOT_MODE
    differences = [
        ("is", image.state, "available"),
        ("has its root at", image.root_device, needs.root_device),
        ("is for", image.architecture, needs.architecture or image.architecture),
        ("boots by", image.boot_mode, image.boot_mode if either else needs.boot_mode),
        ("is of platform", image.platform or "Linux", "windows"),
    ]
    return [f"{verb} {has or 'nothing'}, not {needed}" for verb, has, needed in differences if has != needed]


def needs_of(source: Source | None, root_device: str) -> Needs:
    """Return what an image has to be for a server."""
    return Needs(root_device, source.architecture if source else "", source.boot_mode if source else "")


def misfits_once_available(image: FoundImage, needs: Needs) -> list[str]:
    """Return the same of an image that may still be on its way."""
    return misfits(replace(image, state="available"), needs)
