"""Which objects of the bucket are a policy's scripts on a server: the server's own folder before the owner's."""

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from quiesce.errors import PolicyRefused
from quiesce.vss.writer_files import KINDS, Kind, file_name

Stage = Literal["before", "after", "complete"]
# A session script is before and after in one.
Script = Literal["before", "after", "complete", "session"]
# The fields of a policy that the files of writers add to.
FIELDS: dict[Kind, str] = {"exclude": "exclude_writers", "verify": "require_writers"}
STAGES: tuple[Stage, ...] = ("before", "after", "complete")
SCRIPTS: tuple[Script, ...] = (*STAGES, "session")


def places(owner: str, instance_id: str) -> tuple[str, str]:
    """Return the two folders of the bucket that hold a server's scripts, in the order of their search."""
    return f"scripts/{owner}/{instance_id}/", f"scripts/{owner}/"


def choose(keys: Iterable[str], *, owner: str, instance_id: str, policy: str) -> dict[Script, str | None]:
    """Choose the object of each script; None where there is none.

    Without a session script that counts as a script that failed.

    The prefix may have any case, the policy's name must match exactly; ``.ps1`` and ``.ps`` may be left out. Something
    may stand before them, as in ``before_x.test.ps1``, which counts where its folder has no ``before_x``.

    Raises:
        PolicyRefused: a folder has two objects that are the same script, or there is a session script beside one of the
            two that it stands for.
    """
    known = list(keys)
    found = {script: _first(known, script, places(owner, instance_id), policy) for script in SCRIPTS}
    if found["session"] and (pair := [key for key in (found["before"], found["after"]) if key]):
        problem = f"{found['session']} is before and after in one, and there is {' and '.join(pair)}, too"
        raise PolicyRefused("scripts", problem, "leave the session script, or before and after")
    return found


def choose_writers_files(keys: Iterable[str], folders: Sequence[str], policy: str) -> dict[Kind, str]:
    """Choose the files with the writers that a policy excludes and verifies, each from the first folder that has it.

    Args:
        keys: of the bucket's objects, or names of the server's files.
        folders: what keys begin with, in the order of their search.
        policy: its name.

    Raises:
        PolicyRefused: a folder has two that are the same file.
    """
    known, found = list(keys), dict[Kind, str]()
    for kind in KINDS:
        prefix = file_name(kind, policy).removesuffix(f"{policy}.txt")
        name = re.compile(rf"(?i:{prefix}){re.escape(policy)}(?i:\.txt)", re.ASCII)
        for folder in folders:
            fitting = [key for key in known if key.startswith(folder) and name.fullmatch(key.removeprefix(folder))]
            if len(fitting) > 1:
                words = f"{' and '.join(fitting)} are both the list of writers to {kind}"
                raise PolicyRefused(f"vss.{FIELDS[kind]}", words, "leave one of them")
            found |= {kind: fitting[0]} if fitting and kind not in found else {}
    return found


def _first(keys: list[str], stage: Script, folders: tuple[str, str], policy: str) -> str | None:
    beginning = rf"(?i:{stage})_{re.escape(policy)}"
    plain = re.compile(rf"{beginning}(?:\.(?i:ps1?))?", re.ASCII)
    longer = re.compile(rf"{beginning}(?:\.[^./\n]+)+\.(?i:ps1?)", re.ASCII)
    for folder in folders:
        here = [key for key in keys if key.startswith(folder)]
        found = [key for key in here if plain.fullmatch(key.removeprefix(folder))]
        found = found or [key for key in here if longer.fullmatch(key.removeprefix(folder))]
        if len(found) > 1:
            raise PolicyRefused("scripts", f"{' and '.join(found)} are both the {stage} script", "leave one of them")
        if found:
            return found[0]
    return None
