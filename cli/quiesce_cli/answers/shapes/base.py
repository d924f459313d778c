"""The base of all answers."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Shape(BaseModel):
    """The base of all answers: frozen, with times in UTC."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def field(words: str) -> Any:
    """Return what documents a field."""
    return Field(description=words)
