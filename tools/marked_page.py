"""Pages with parts that are generated: each stands between two markers, ``<!-- name: begin ... -->`` and its end."""

import re
from collections.abc import Callable, Iterator, Mapping

MARKS = re.compile(r"(<!-- (\w+): begin.*?-->\n)(.*?)(<!-- \2: end -->)", re.DOTALL)


def renewed(page: str, parts: Mapping[str, Callable[[], Iterator[str]]]) -> str:
    """Return the page with each part between its markers generated anew.

    Raises:
        ValueError: the page lacks a part, or has an unknown one.
    """
    if (found := {mark[2] for mark in MARKS.finditer(page)}) != set(parts):
        raise ValueError(f"the page has the parts {sorted(found)}, not {sorted(parts)}")
    return MARKS.sub(lambda mark: mark[1] + "\n".join(parts[mark[2]]()) + "\n" + mark[4], page)
