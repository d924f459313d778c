"""The HTML of the pages: one file each, without a script, and without a request to anywhere."""

import hashlib
from base64 import b64encode
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from quiesce.pages.found import Found
from quiesce.pages.overview import overview_view
from quiesce.pages.run_page import RunFound, run_view

TEMPLATES = Path(__file__).parent / "templates"


def run_html(found: RunFound) -> str:
    """Return the page of a run."""
    return _rendered("run.html", page=run_view(found))


def overview_html(found: Found, *, note: str = "", start: str = "") -> str:
    """Return the overview.

    Args:
        found: what it shows.
        note: a line at the end about where it comes from; empty for none.
        start: a link to where a backup is started; empty for none.
    """
    return _rendered("overview.html", page=overview_view(found), note=note, start=start)


def apology_html(record: str, why: str) -> str:
    """Return what stands in place of a run's page that could not be made.

    Args:
        record: the place of the run's record.
        why: what went wrong.
    """
    return _rendered("apology.html", record=record, why=why)


def _rendered(template: str, **values: Any) -> str:
    style = (TEMPLATES / "style.css").read_text()
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    # Not even a script's output that got through the escaping could run, load or send anything.
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    # The style is the project's own file, and the only text that is not escaped.
    return _jinja().get_template(template).render(style=Markup(style), policy=policy, **values)  # noqa: S704


@cache
def _jinja() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
