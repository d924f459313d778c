"""Whatever a server's name, a tag, a reason or a script's output is: on a page it is text, and never an element."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from html.parser import HTMLParser
from typing import Any

import pytest
from pydantic import BaseModel

from quiesce.pages.found import Found, RunningFound
from quiesce.pages.render import TEMPLATES, apology_html, overview_html, run_html
from quiesce.pages.run_page import RunFound
from quiesce.policy.policy import Policy
from tests.support.factories.pages import HOSTILE, MORNING, SAMPLES, a_troubled_stack

HARMLESS = "harmless words"
# What is one of a few words; everything else may come from outside.
WORDS_OF_OURS = {"status", "level", "verdict", "state", "revert", "kind", "zone", "link"}
Said = RunFound | Found


def with_text(value: Any, text: str) -> Any:
    """Return a value with a text in place of each of its texts."""
    if isinstance(value, str):
        return text
    if isinstance(value, Policy):
        return value.model_copy(update={"name": text})
    if isinstance(value, BaseModel):
        names = [name for name in type(value).model_fields if name not in WORDS_OF_OURS]
        return value.model_copy(update={name: with_text(getattr(value, name), text) for name in names})
    if is_dataclass(value) and not isinstance(value, type):
        names = [each.name for each in fields(value) if each.name not in WORDS_OF_OURS]
        return replace(value, **{name: with_text(getattr(value, name), text) for name in names})
    if isinstance(value, list | tuple):
        return [with_text(each, text) for each in value]
    return value


class Elements(HTMLParser):
    """The elements of a page with the names of their attributes, in their order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, list[str]]] = []
        self.links: set[str] = set()
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, [name for name, _ in attrs]))
        self.links |= {str(value) for name, value in attrs if name in ("href", "src")}


def html_of(found: Said, text: str) -> str:
    if isinstance(found, Found):
        return overview_html(found, note=text, start=text)
    return run_html(found)


def a_running_stack() -> Found:
    running = [RunningFound("backup", "run-1", MORNING)]
    return a_troubled_stack(running=running, paused=True, whole_since=MORNING)


@pytest.mark.parametrize("sample", [*SAMPLES.values(), a_running_stack], ids=[*SAMPLES, "overview-running"])
def test_no_text_from_outside_is_an_element_or_an_attribute(sample: Callable[[], Said]) -> None:
    found = sample()
    hostile, harmless = (html_of(with_text(found, text), text) for text in (HOSTILE, HARMLESS))
    assert Elements(hostile).found == Elements(harmless).found
    assert HOSTILE not in hostile
    # What follows a quotation mark out of an attribute, or a tag out of a text, is there in no other form.
    for markup in ("<script", "<img", "</pre><", "onerror=alert(1)>\"'"):
        assert markup not in hostile


def test_a_page_that_could_not_be_made_says_why_as_text() -> None:
    assert Elements(apology_html(HOSTILE, HOSTILE)).found == Elements(apology_html(HARMLESS, HARMLESS)).found


def test_no_template_takes_a_text_as_it_is_and_none_has_a_script() -> None:
    for template in TEMPLATES.glob("*.html"):
        text = template.read_text()
        assert "|safe" not in text.replace(" ", ""), template.name
        assert "autoescape" not in text, template.name
        assert "<script" not in text, template.name
        assert "style=" not in text, template.name


@pytest.mark.parametrize("name", SAMPLES)
def test_a_page_names_nothing_outside_of_itself_and_its_neighbours(name: str) -> None:
    found = SAMPLES[name]()  # type: ignore[no-untyped-call]
    for link in Elements(html_of(found, "")).links:
        assert link.startswith(("#", "data:,", "../records/", "../../pages/")), link
