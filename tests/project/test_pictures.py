"""README's first screen has a picture of the overview, for readers in the light and in the dark."""

import re
import struct
from pathlib import Path

from tests.support.project import ROOT

FIRST_SCREEN, MAX_BYTES = 30, 300_000


def size_of(picture: Path) -> tuple[int, int]:
    """Return width and height of a PNG."""
    head = picture.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", head[16:24])
    return width, height


def test_the_first_screen_shows_the_overview_in_light_and_dark() -> None:
    top = "\n".join((ROOT / "README.md").read_text().splitlines()[:FIRST_SCREEN])
    [picture] = re.findall(r"<picture>(.*?)</picture>", top, re.DOTALL)
    [dark] = re.findall(r'<source media="\(prefers-color-scheme: dark\)" srcset="([^"]+)">', picture)
    [(words, light)] = re.findall(r'<img alt="([^"]+)" src="([^"]+)">', picture)
    assert len(words) > 40
    sizes = [size_of(ROOT / path) for path in (light, dark)]
    assert sizes[0] == sizes[1]
    assert all((ROOT / path).stat().st_size < MAX_BYTES for path in (light, dark))
    assert (ROOT / light).read_bytes() != (ROOT / dark).read_bytes()
