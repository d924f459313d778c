"""Every relative link in the documents leads to a file and a heading that exist, and so does every named path."""

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

PAGES = sorted(page for place in ("*.md", ".github/*.md", "docs/**/*.md", "findings/*.md") for page in ROOT.glob(place))
# What these say was true when it was written.
DATED = {"CHANGELOG.md", "decisions"}
NAMED_PATH = re.compile(r"(?<![\w./])(?:bench|docs|examples|functions|guest|sandbox|src|tests|tools)/[\w./-]*")
NAMED_MODULE = re.compile(r"python3? -m ((?:bench|quiesce|sandbox|tests|tools)[\w.]*)")


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


def missing_names(page: Path) -> list[str]:
    """Return the project's paths and modules that a page's code names, and that do not exist."""
    code = "\n".join(token.content for token in tokens(page) if token.type in ("code_inline", "fence"))
    modules = {name: name.replace(".", "/") for name in NAMED_MODULE.findall(code)}
    places = {name: f"src/{path}" if name.startswith("quiesce") else path for name, path in modules.items()}
    missing = [
        name for name, path in places.items() if not (ROOT / f"{path}.py").exists() and not (ROOT / path).is_dir()
    ]
    return missing + [path for path in NAMED_PATH.findall(code) if not (ROOT / path.rstrip(".")).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file_and_a_heading_that_exist(page: Path) -> None:
    assert broken_links(page) == []


@pytest.mark.parametrize(
    "page", [page for page in PAGES if not DATED & set(page.parts)], ids=lambda page: str(page.relative_to(ROOT))
)
def test_every_path_and_module_that_a_page_names_exists(page: Path) -> None:
    assert missing_names(page) == []


def test_a_path_and_a_module_that_are_gone_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "`src/quiesce/errors.py`, `python -m tools.release`, `s3://x/docs/y`, `src/gone.py`, `python -m tools.gone`\n\n"
        "```\npython3 -m quiesce.disks IMAGE\npython3 -m quiesce.gone\nguest/gone/*.ps1\n```\n"
    )
    assert missing_names(page) == ["tools.gone", "quiesce.gone", "src/gone.py", "guest/gone/"]


def test_a_link_to_a_missing_file_or_heading_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    (tmp_path / "other.md").write_text("# What `it` says, twice\n\n## Again\n\n## Again\n\n## Again\n")
    good = "[a](other.md) [b](other.md#what-it-says-twice) [c](other.md#again-2) [d](#here) <https://example.com/x.md>"
    bad = "| [e](gone.md) | ![f](gone.png) |\n|---|---|\n| [g](other.md#gone) | [h](#gone) |\n"
    page.write_text(f"# Here\n\n{good} [i](.#here)\n\n{bad}")
    assert broken_links(page) == [".#here", "gone.md", "gone.png", "other.md#gone", "#gone"]
