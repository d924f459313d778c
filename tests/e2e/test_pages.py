"""The pages in a real browser: they ask the network for nothing, overflow nowhere, axe-core finds nothing, and look
as they did when somebody last looked at them.

After a change that shall be seen, look at the new pictures and check them in: ``python -m tests.e2e.test_pages`` makes
them. CI has Debian's Chromium and its fonts; where letters are a little different, the comparison lets that pass.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from quiesce.pages.found import Found
from quiesce.pages.render import apology_html, overview_html, run_html
from tests.support.browser import Browser, chromium, find_chromium
from tests.support.factories.pages import HOSTILE, SAMPLES
from tests.support.looking import LOOKS, faults, opened

PICTURES = Path(__file__).parent / "pictures"
PICTURED = ("run-partial", "overview-troubled")
# The part of the pixels that may differ: letters of another version of a font do, a moved table does more.
TOLERANCE = 0.02


def html_of(name: str) -> str:
    """Return a sample's page."""
    if name == "apology":
        return apology_html(HOSTILE, HOSTILE)
    found = SAMPLES[name]()  # type: ignore[no-untyped-call]
    return overview_html(found) if isinstance(found, Found) else run_html(found)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with opened() as browser:
        if browser is None:
            pytest.skip("pages were not opened: there is no Chromium here, or no axe-core")
        yield browser


@pytest.mark.parametrize("name", [*SAMPLES, "apology"])
def test_a_page_asks_for_nothing_overflows_nowhere_and_is_accessible(
    name: str, browser: Browser, tmp_path: Path
) -> None:
    path = tmp_path / f"{name}.html"
    path.write_text(html_of(name), encoding="utf-8")
    assert faults(browser, path) == []


def test_a_hostile_text_is_shown_as_it_is(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "hostile.html"
    path.write_text(html_of("run-hostile"), encoding="utf-8")
    browser.open(path)
    shown = browser.run("document.querySelector('details pre').textContent")
    assert "<script>document.title='owned'</script>" in shown
    assert "{{7*7}}" in shown


FOCUSED = """(() => {
  const on = document.activeElement, style = getComputedStyle(on), box = on.getBoundingClientRect();
  return [on.tagName + ' ' + (on.getAttribute('href') || ''), style.outlineStyle !== 'none' && box.width > 1];
})()"""


def test_a_page_is_walked_through_by_the_keyboard_and_shows_where_one_is(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "keys.html"
    path.write_text(html_of("overview-troubled"), encoding="utf-8")
    browser.look(**LOOKS["light"])
    browser.open(path)
    links = browser.run("[...document.links].map(a => 'A ' + a.getAttribute('href'))")
    assert links[0] == "A #main"
    for link in links:
        browser.press_tab()
        assert browser.run(FOCUSED) == [link, True]
    browser.press_tab()
    assert browser.run(FOCUSED) == ["SUMMARY ", True]


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
