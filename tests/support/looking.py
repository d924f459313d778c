"""What a page must be in a real browser, in light and dark, on a phone and on paper."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.browser import Browser, chromium, find_chromium
from tests.support.project import ROOT

AXE = ROOT / ".tools/axe-core/node_modules/axe-core/axe.min.js"
# The window in CSS pixels; paper is A4 without its margins.
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"width": 1280},
    "dark": {"width": 1280, "dark": True},
    "phone": {"width": 390},
    "print": {"width": 718, "printed": True},
}
# .ci/run sets it: there, the pages have to be opened.
REQUIRED = "QUIESCE_PAGES_REQUIRED"
# What would not be text any more.
ACTIVE = "document.querySelectorAll('script, img, iframe, object, [onerror]').length"
FOUND = "axe.run().then(r => r.violations.map(v => [v.id, v.help, v.nodes[0].html.slice(0, 200)]))"


@contextmanager
def opened() -> Iterator[Browser | None]:
    """Yield a browser; None where there is no Chromium or no axe-core, unless this is CI."""
    path = find_chromium()
    if not path or not AXE.exists():
        assert REQUIRED not in os.environ, "apt-get install chromium; make .tools/axe-core/ready"
        yield None
        return
    with chromium(path) as browser:
        yield browser


@cache
def _axe() -> str:
    return AXE.read_text()


def faults(browser: Browser, path: Path) -> list[str]:
    """Open a page, and return what is wrong with it: what it asks for or says, where it overflows, what axe finds."""
    browser.open(path)
    browser.run(_axe())
    found = []
    for look, settings in LOOKS.items():
        browser.look(**settings)
        if browser.run("document.documentElement.scrollWidth - innerWidth") > 0:
            found.append(f"{look}: it scrolls sideways")
        if look != "print":
            # Each with the first element that it is about.
            found += [f"{look}: {': '.join(each)}" for each in browser.run(FOUND)]
    # What came from outside is text: no element of it exists, and none of it ran.
    return [*found, *browser.told, *(["it has elements that could load or run"] if browser.run(ACTIVE) else [])]
