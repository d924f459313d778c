"""Which page answers what the browser asks for, and what stands there if it can't be made."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from threading import Lock
from urllib.parse import quote

from quiesce_cli.console.server import Answered, Asked
from quiesce_cli.console.words_page import form_html, words_html
from quiesce_cli.troubles import USAGE, trouble_of

RUN = re.compile(r"records/([^/]+)/([^/]+)\.html")
START, STARTED = "start", "started/"
# Of forms that were opened and not sent: a person has a few.
MOST_FORMS = 50


def run_path(instance_id: str, run_id: str) -> str:
    """Return where a run's page is, from the overview."""
    return f"records/{quote(instance_id, safe='')}/{quote(run_id, safe='')}.html"


@dataclass(frozen=True)
class Sources:
    """What the pages are made of, each asked anew for each page.

    Attributes:
        overview: the overview's HTML.
        run: that of a run's page, by its server's id and its own; None if there is no such run.
        policies: the names of policies that can be started.
        start: starts a policy and returns the run's id; None where nothing may be started.
        token: makes text that nobody guesses.
    """

    overview: Callable[[], str]
    run: Callable[[str, str], str | None]
    policies: Callable[[], Sequence[str]]
    start: Callable[[str], str] | None
    token: Callable[[], str]


@dataclass(frozen=True)
class Pages:
    """The pages of a console; one that is asked for by two threads is made by one after the other."""

    sources: Sources
    _lock: Lock = field(default_factory=Lock)
    # A form is taken once, so that a second click starts no second run.
    _forms: list[str] = field(default_factory=list)

    def answer(self, asked: Asked) -> Answered:
        """Return the page, or what keeps it from being made, with its remedy."""
        try:
            with self._lock:
                return self._page(asked)
        except Exception as error:
            trouble = trouble_of(error)
            if trouble is None:
                raise
            html = words_html(
                "Not to be had now", f"{trouble.problem}.", f"To do: {trouble.remedy}.", home=_home(asked)
            )
            return Answered(html, HTTPStatus.BAD_REQUEST if trouble.code == USAGE else HTTPStatus.SERVICE_UNAVAILABLE)

    def _page(self, asked: Asked) -> Answered:
        if asked.form is not None:
            return self._started(asked)
        if not asked.path:
            return Answered(self.sources.overview())
        if run := RUN.fullmatch(asked.path):
            html = self.sources.run(*run.groups())
            return Answered(html) if html else _nothing(asked)
        if asked.path == START and self.sources.start:
            return Answered(form_html(self.sources.policies(), self._new_form()))
        if asked.path.startswith(STARTED):
            name = asked.path.removeprefix(STARTED)
            words = f"The backup {name} goes on by itself.", f"Look on: quiesce follow {name}"
            return Answered(words_html("Started", *words, home=_home(asked)))
        return _nothing(asked)

    def _new_form(self) -> str:
        self._forms.append(self.sources.token())
        del self._forms[:-MOST_FORMS]
        return self._forms[-1]

    def _started(self, asked: Asked) -> Answered:
        if asked.path != START or self.sources.start is None:
            return _nothing(asked)
        form = asked.form or {}
        if form.get("form") not in self._forms:
            words = words_html("Sent twice", "This form was sent before: nothing more was started.", "Open it anew.")
            return Answered(words, HTTPStatus.CONFLICT)
        self._forms.remove(form["form"])
        return Answered(location=f"{STARTED}{self.sources.start(form.get('policy', ''))}")


def _nothing(asked: Asked) -> Answered:
    return Answered(words_html("Nothing here", "There is no such page.", home=_home(asked)), HTTPStatus.NOT_FOUND)


def _home(asked: Asked) -> str:
    return "../" * asked.path.count("/") or "./"
