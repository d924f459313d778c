"""Which image stands in for an initial AMI that a server does not have, or no longer has. Pure.

What matters of an image is what EC2 keeps with it and not with a snapshot: a recovery swaps its volume. Another licence
is never chosen: a person asks for it by ``image_id``.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from quiesce.points.image import FoundImage, misfits, needs_of
from quiesce.points.point import RecoveryPoint

# AWS's public images are named so (EC2 user guide, Find an AMI: SSM public parameters); TPM images boot by UEFI.
PARAMETERS = "/aws/service/ami-windows-latest/"
FORMS = ("Windows_Server-{year}-English-Full-Base", "TPM-Windows_Server-{year}-English-Full-Base")
YEAR = re.compile(r"Windows Server (20[0-9]{2})(?! R2)")


class Tried(NamedTuple):
    """An image that was looked at: what it is in words, and what EC2 has of it; None if it does not exist."""

    words: str
    image: FoundImage | None


class Substitute(NamedTuple):
    """The image to launch from, empty if none fits, and what was said of it, or of each that does not fit."""

    image_id: str
    said: str


def parameters_for(windows: str) -> list[str]:
    """Return the names of the SSM parameters of AWS's public images of a Windows, given as the record names it."""
    found = YEAR.search(windows)
    return [PARAMETERS + form.format(year=found[1]) for form in FORMS] if found else []


def choose_substitute(tried: Sequence[Tried], point: RecoveryPoint) -> Substitute:
    """Return the first image that fits a recovery point, its licence included.

    Args:
        tried: images in the order of preference.
        point: the recovery point.
    """
    reasons: list[str] = []
    for words, image in tried:
        wrong = _misfits(image, point)
        if image and not wrong:
            return Substitute(image.image_id, f"it is launched from {image.image_id}, {words}")
        reasons.append(f"{words} {' and '.join(wrong)}")
    return Substitute("", "; ".join(reasons))


def _misfits(image: FoundImage | None, point: RecoveryPoint) -> list[str]:
    if image is None:
        return ["does not exist any more"]
    source = point.source
    root = next((s.volume.device for s in point.snapshots if s.volume and s.volume.root), "")
    wrong = misfits(image, needs_of(source, root))
    if source is None or not source.usage_operation:
        return [*wrong, "can't be compared, because the recovery point does not say under which licence its server ran"]
    if image.billing != source.usage_operation:
        wrong.append(f"has the licence (UsageOperation) {image.billing or 'none'}, not {source.usage_operation}")
    if sorted(image.product_codes) != sorted(source.product_codes):
        has, needed = (", ".join(sorted(codes)) or "none" for codes in (image.product_codes, source.product_codes))
        wrong.append(f"has the product codes {has}, not {needed}")
    return wrong
