"""Images of a server, and whether a recovery can launch from one."""

from dataclasses import dataclass, replace
from datetime import datetime

from quiesce.points.parts import Source

# An image with one of these launches in either boot mode; a server has one of the two.
EITHER_BOOT_MODE = {"", "uefi-preferred"}


@dataclass(frozen=True)
class FoundImage:
    """An image as EC2 describes it; ``by_backup`` if a backup made it, and not a person who then tagged it.

    ``devices`` are those of which it holds a snapshot; EC2 shows them once the image is available.
    """

    image_id: str
    created_at: datetime
    state: str
    root_device: str
    architecture: str
    boot_mode: str
    platform: str
    billing: str = ""
    by_backup: bool = False
    product_codes: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()

    @property
    def beside_root(self) -> tuple[str, ...]:
        """The devices that it holds besides the root's."""
        return tuple(device for device in self.devices if device != self.root_device)

    @property
    def traits(self) -> tuple[str, ...]:
        """What a recovery point needs of an image: two with the same traits serve the same recovery points."""
        return (self.root_device, self.architecture, self.boot_mode, self.platform, self.billing)


@dataclass(frozen=True)
class Needs:
    """What an image must match to be launched for a server; empty where the recovery point does not have it."""

    root_device: str
    architecture: str
    boot_mode: str


def misfits(image: FoundImage, needs: Needs) -> list[str]:
    """Return the reasons why a recovery can't launch from an image; empty if it fits."""
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
    """Return what an image must match to be launched for a server."""
    return Needs(root_device, source.architecture if source else "", source.boot_mode if source else "")


def misfits_once_available(image: FoundImage, needs: Needs) -> list[str]:
    """Return the reasons that remain once EC2 has finished the image."""
    return misfits(replace(image, state="available"), needs)
