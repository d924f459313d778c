"""Every relative link in the documents leads to a file that exists, and to a heading that the file has."""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.support.project import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob(".github/**/*.md"), *ROOT.glob("docs/**/*.md")])


def tokens(page: Path) -> Iterator[Token]:
    """Give all tokens of a page, those inside of paragraphs and cells too."""
    for token in MarkdownIt("commonmark").enable("table").parse(page.read_text()):
        yield token
        yield from token.children or ()


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    parsed = list(tokens(page))
    slugs: Counter[str] = Counter()
    found = set()
    for opening, inline in pairwise(parsed):
        if opening.type == "heading_open":
            words = "".join(child.content for child in inline.children or () if child.type in ("text", "code_inline"))
            slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
            found.add(f"{slug}-{slugs[slug]}" if slugs[slug] else slug)
            slugs[slug] += 1
    return found


def broken_links(page: Path) -> list[str]:
    """Return the relative links of a page that lead nowhere."""
    links = [str(token.attrGet("href") or token.attrGet("src") or "") for token in tokens(page)]
    broken = []
    for link in filter(None, links):
        scheme, _, path, _, fragment = urlsplit(link)
        target = (page.parent / unquote(path)).resolve() if path else page
        if scheme:
            continue
        if not target.exists() or (fragment and (target.is_dir() or fragment not in anchors(target))):
            broken.append(link)
    return broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file_and_a_heading_that_exist(page: Path) -> None:
    assert broken_links(page) == []


def test_a_link_to_a_missing_file_or_heading_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    (tmp_path / "other.md").write_text("# What `it` says, twice\n\n## Again\n\n## Again\n\n## Again\n")
    good = "[a](other.md) [b](other.md#what-it-says-twice) [c](other.md#again-2) [d](#here) <https://example.com/x.md>"
    bad = "| [e](gone.md) | ![f](gone.png) |\n|---|---|\n| [g](other.md#gone) | [h](#gone) |\n"
    page.write_text(f"# Here\n\n{good} [i](.#here)\n\n{bad}")
    assert broken_links(page) == [".#here", "gone.md", "gone.png", "other.md#gone", "#gone"]
