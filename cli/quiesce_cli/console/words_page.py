"""The console's own small pages: a few words, and the form by which a backup is started."""

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

STYLE = (
    ":root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:2rem auto;"
    "padding:0 1rem;overflow-wrap:anywhere}select,button{font:inherit;padding:.4rem .8rem;max-width:100%}"
)
DIGEST = b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-{{ digest }}'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<link rel="icon" href="data:,">
<style>{{ style | safe }}</style>
</head>
<body>
<main>
<h1>{{ title }}</h1>
{% for line in lines if line %}
<p>{{ line }}</p>
{% endfor %}
{% if policies %}
<form method="post" action="start">
<input type="hidden" name="form" value="{{ form }}">
<p><label for="policy">Policy</label>
<select id="policy" name="policy">
{% for policy in policies %}
<option>{{ policy }}</option>
{% endfor %}
</select></p>
<p><button type="submit">Back up its servers now</button></p>
</form>
{% endif %}
<p><a href="{{ home }}">The overview</a></p>
</main>
</body>
</html>
"""


def words_html(title: str, *lines: str, home: str = "./") -> str:
    """Return a page of a few lines.

    Args:
        title: its heading.
        lines: text; empty ones are left out.
        home: the link to the overview, from the page's own place.
    """
    return _rendered(title=title, lines=lines, policies=(), form="", home=home)


def form_html(policies: Sequence[str], form: str) -> str:
    """Return the page that starts a backup.

    Args:
        policies: the names to choose from.
        form: what tells this form from every other.
    """
    words = "Each server's application is held for a moment." if policies else "There is no policy that can be started."
    return _rendered(title="Back up now", lines=(words,), policies=policies, form=form, home="./")


def _rendered(**values: Any) -> str:
    return _template().render(style=STYLE, digest=DIGEST, **values)


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(TEMPLATE)
