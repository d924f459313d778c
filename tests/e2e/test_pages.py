"""The pages in a real browser: they ask the network for nothing, overflow nowhere, axe-core finds nothing, and look
as they did when somebody last looked at them.

After a change that shall be seen, look at the new pictures and check them in: ``python -m tests.e2e.test_pages`` makes
them. CI has Debian's Chromium and its fonts; where letters are a little different, the comparison lets that pass.
"""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from quiesce.pages.found import Found
from quiesce.pages.render import apology_html, overview_html, run_html
from tests.support.browser import Browser, chromium, find_chromium
from tests.support.factories.pages import HOSTILE, SAMPLES
from tests.support.project import ROOT

AXE = ROOT / ".tools/axe-core/node_modules/axe-core/axe.min.js"
PICTURES = Path(__file__).parent / "pictures"
# The window in CSS pixels; paper is A4 without its margins.
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"width": 1280},
    "dark": {"width": 1280, "dark": True},
    "phone": {"width": 390},
    "print": {"width": 718, "printed": True},
}
PICTURED = ("run-partial", "overview-troubled")
# The part of the pixels that may differ: letters of another version of a font do, a moved table does more.
TOLERANCE = 0.02
# .ci/run sets it: there, the pages have to be opened.
REQUIRED = "QUIESCE_PAGES_REQUIRED"


def html_of(name: str) -> str:
    """Return a sample's page."""
    if name == "apology":
        return apology_html(HOSTILE, HOSTILE)
    found = SAMPLES[name]()  # type: ignore[no-untyped-call]
    return overview_html(found) if isinstance(found, Found) else run_html(found)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = find_chromium()
    if not path or not AXE.exists():
        assert REQUIRED not in os.environ, "apt-get install chromium; make .tools/axe-core/ready"
        pytest.skip("pages were not opened: there is no Chromium here, or no axe-core")
    with chromium(path) as browser:
        yield browser


@cache
def axe() -> str:
    return AXE.read_text()


@pytest.mark.parametrize("name", [*SAMPLES, "apology"])
def test_a_page_asks_for_nothing_overflows_nowhere_and_is_accessible(
    name: str, browser: Browser, tmp_path: Path
) -> None:
    path = tmp_path / f"{name}.html"
    path.write_text(html_of(name), encoding="utf-8")
    browser.open(path)
    browser.run(axe())
    for look, settings in LOOKS.items():
        browser.look(**settings)
        assert browser.run("document.documentElement.scrollWidth - innerWidth") <= 0, f"{look}: it scrolls sideways"
        if look != "print":
            assert violations(browser) == [], look
    assert browser.told == []
    # What came from outside is text: no element of it exists, and none of it ran.
    assert browser.run("[...document.querySelectorAll('script, img, iframe, object, [onerror]')].length") == 0


def violations(browser: Browser) -> list[str]:
    """Return what axe-core finds, each with the first element that it is about."""
    found = browser.run("axe.run().then(r => r.violations.map(v => [v.id, v.help, v.nodes[0].html.slice(0, 200)]))")
    return [": ".join(each) for each in found]


def test_a_hostile_text_is_shown_as_it_is(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "hostile.html"
    path.write_text(html_of("run-hostile"), encoding="utf-8")
    browser.open(path)
    shown = browser.run("document.querySelector('details pre').textContent")
    assert "<script>document.title='owned'</script>" in shown
    assert "{{7*7}}" in shown


@pytest.mark.parametrize("name", PICTURED)
def test_a_page_looks_as_it_did_when_somebody_looked_at_it(name: str, browser: Browser, tmp_path: Path) -> None:
    for look, taken in list(take(browser, name, tmp_path)):
        difference = browser.difference((PICTURES / f"{name}-{look}.png").read_bytes(), taken)
        assert 0 <= difference <= TOLERANCE, f"{look}: look at it, and renew it: python -m tests.e2e.test_pages"


def test_a_page_that_lost_its_style_is_seen(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "bare.html"
    # The policy of the page refuses a style that is not its own: one that was changed is as none.
    path.write_text(html_of("run-partial").replace("<style>", "<style>/* changed */"), encoding="utf-8")
    browser.look(**LOOKS["light"])
    browser.open(path)
    difference = browser.difference((PICTURES / "run-partial-light.png").read_bytes(), browser.picture())
    assert not 0 <= difference <= TOLERANCE


def take(browser: Browser, name: str, folder: Path) -> Iterator[tuple[str, bytes]]:
    """Take a page's pictures."""
    path = folder / f"{name}.html"
    path.write_text(html_of(name), encoding="utf-8")
    browser.open(path)
    for look, settings in LOOKS.items():
        browser.look(**settings)
        yield look, browser.picture()


if __name__ == "__main__":
    import tempfile

    PICTURES.mkdir(exist_ok=True)
    with chromium(find_chromium()) as running, tempfile.TemporaryDirectory() as made:
        for each in PICTURED:
            for look, taken in take(running, each, Path(made)):
                (PICTURES / f"{each}-{look}.png").write_bytes(taken)
