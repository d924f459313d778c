"""What a Catch of the state machine kept, as an error's true name and words."""

import json
from dataclasses import dataclass

from quiesce.backup.state import Failure


@dataclass(frozen=True)
class Cause:
    """Why a run failed: the error's true name, and its words."""

    error: str
    words: str


def cause_of(failure: Failure) -> Cause:
    """Return an error's name and words out of what a Catch kept; Lambda wraps the words in JSON."""
    try:
        answer = json.loads(failure.Cause)
    except ValueError:
        answer = None
    words = answer.get("errorMessage") if isinstance(answer, dict) else None
    return Cause(failure.Error, str(words or failure.Cause or "no words were given"))
