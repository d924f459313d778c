"""The SSM documents that carry the verbs to a server, each in the one version that a run sends from Plan to its end.

Neither ``$DEFAULT`` nor ``$LATEST`` is sent: CloudFormation may leave the first at an old version, and an update of the
stack changes the second under a run.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from quiesce.errors import CommandRefused
from quiesce.settings import Settings

# The verbs of the document that only looks at a server, of the one that acts on it, and of the one that mends it.
LOOK, ACT = ("inventory", "examine", "collect"), ("stage", "freeze", "thaw", "complete", "recovered")
MEND = ("set",)
VERBS = (*LOOK, *ACT, *MEND)
# As SSM numbers the versions of a document.
VERSION = re.compile(r"[1-9][0-9]*")


@dataclass(frozen=True)
class Documents:
    """A stack's documents: ``by_verb`` has the name for each verb, ``versions`` for each name the version to send."""

    by_verb: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Return each document's name once."""
        return list(dict.fromkeys(self.by_verb.values()))

    def at(self, versions: Mapping[str, str]) -> Self:
        """Return the same documents in these versions."""
        return replace(self, versions=versions)

    def carrying(self, verb: str) -> tuple[str, str]:
        """Return name and version of the document that carries a verb.

        Raises:
            CommandRefused: no version was planned; not retried.
        """
        name = self.by_verb[verb]
        if name not in self.versions:
            raise CommandRefused(f"{verb} was not sent: the plan names no version of {name}. Start a new run")
        return name, self.versions[name]


def documents_of(settings: Settings, versions: Mapping[str, str] | None = None) -> Documents:
    """Return the stack's documents, in the versions that a run's plan names."""
    by_verb = dict.fromkeys(LOOK, settings.look_document) | dict.fromkeys(ACT, settings.act_document)
    return Documents(by_verb, versions or {})
