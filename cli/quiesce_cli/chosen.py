"""Which stack a command asks, where, and as whom: by options, else by the environment, else by a file."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from quiesce_cli.troubles import Usage

DEFAULT_STACK = "quiesce"
FILE = "~/.config/quiesce.toml"
# boto3 reads only the second one of a Region, people and Lambda know the first one, too.
VARIABLES = {
    "stack": ("QUIESCE_STACK",),
    "region": ("QUIESCE_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"),
    "profile": ("QUIESCE_PROFILE", "AWS_PROFILE"),
}


@dataclass(frozen=True)
class Chosen:
    """The stack's name, and Region and profile, None where boto3 shall find its own."""

    stack: str
    region: str | None
    profile: str | None


def choose(given: Mapping[str, str | None], environment: Mapping[str, str] | None = None) -> Chosen:
    """Choose stack, Region and profile.

    Args:
        given: the options ``stack``, ``region`` and ``profile``, None for one that was not typed.
        environment: of the process, unless a caller has another.

    Raises:
        Usage: the file can't be read, or has something else in it.
    """
    known = os.environ if environment is None else environment  # noqa: TID251 - a person's, not a function's
    kept = _file(known.get("QUIESCE_CONFIG"))

    def one(name: str) -> str | None:
        named = next((known[variable] for variable in VARIABLES[name] if known.get(variable)), None)
        return given.get(name) or named or kept.get(name)

    return Chosen(one("stack") or DEFAULT_STACK, one("region"), one("profile"))


def _file(named: str | None) -> dict[str, str]:
    path = Path(named or FILE).expanduser()
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if named:
            raise Usage(f"{path} does not exist", "correct QUIESCE_CONFIG, or unset it") from None
        return {}
    except (OSError, ValueError) as error:
        raise Usage(f"{path} can't be read: {error}", "write it as TOML: stack, region and profile") from error
    for name, value in content.items():
        if name not in VARIABLES or not isinstance(value, str):
            raise Usage(f"{path}: {name} is not one of {', '.join(VARIABLES)} with text as its value", "correct it")
    return content
