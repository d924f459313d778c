"""Which objects of the bucket are a policy's scripts on a server: the server's own folder before the owner's."""

import re
from collections.abc import Iterable
from typing import Literal

from quiesce.errors import PolicyRefused

Stage = Literal["before", "after", "complete"]
STAGES: tuple[Stage, ...] = ("before", "after", "complete")


def places(owner: str, instance_id: str) -> tuple[str, str]:
    """Return the two folders of the bucket that hold a server's scripts, in the order of their search."""
    return f"scripts/{owner}/{instance_id}/", f"scripts/{owner}/"


def choose(keys: Iterable[str], *, owner: str, instance_id: str, policy: str) -> dict[Stage, str | None]:
    """Choose the object of each script; None where there is none, which counts as a script that failed.

    The prefix may have any case, the policy's name must match exactly; ``.ps1`` and ``.ps`` may be left out.

    Raises:
        PolicyRefused: a folder has two objects that are the same script.
    """
    known = list(keys)
    return {stage: _first(known, stage, places(owner, instance_id), policy) for stage in STAGES}


def _first(keys: list[str], stage: Stage, folders: tuple[str, str], policy: str) -> str | None:
    name = re.compile(rf"(?i:{stage})_{re.escape(policy)}(?:\.(?i:ps1?))?", re.ASCII)
    for folder in folders:
        found = [key for key in keys if key.startswith(folder) and name.fullmatch(key.removeprefix(folder))]
        if len(found) > 1:
            raise PolicyRefused("scripts", f"{' and '.join(found)} are both the {stage} script", "leave one of them")
        if found:
            return found[0]
    return None
