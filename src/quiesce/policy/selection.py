"""Which servers an entry of a policy means: one by its id, or those with certain tags.

A server that several entries mean belongs to one: an id before tags, more tags before fewer, then the file's order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Self

from pydantic import Field, model_validator

from quiesce.policy.parts import InstanceId, PolicyModel, TagKey, TagValue

# EC2 allows no more on a server.
MAX_TAGS = 50


class Selector(PolicyModel):
    """One server by ``instance_id``, those with all of ``tags``, or those whose tag ``tag_key`` names the policy.

    The tag of ``tag_key`` may name several policies, with blanks or commas between them. Upper and lower case count.
    """

    instance_id: InstanceId | None = None
    tags: Annotated[dict[TagKey, TagValue], Field(min_length=1, max_length=MAX_TAGS)] | None = None
    tag_key: TagKey | None = None

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        given = [name for name in Selector.model_fields if getattr(self, name) is not None]
        if not given:
            raise ValueError("says no server: it needs 'instance_id', 'tags' or 'tag_key'")
        if len(given) > 1:
            raise ValueError(f"has '{given[0]}' and '{given[1]}'; make an entry of each")
        return self

    @property
    def words(self) -> str:
        """What the entry asks of a server, as a person reads it."""
        if self.tags:
            return f"tags {', '.join(f'{key}={value}' for key, value in sorted(self.tags.items()))}"
        return self.instance_id or f"tag_key {self.tag_key}"

    @property
    def weight(self) -> int:
        """How much it asks of a server: of two entries the one that asks more counts."""
        return MAX_TAGS + 1 if self.instance_id else len(self.tags or [self.tag_key])

    def means(self, candidate: "Candidate", policy: str) -> bool:
        """Say whether the entry of a policy of this name means a server."""
        if self.tags is not None:
            return all(candidate.tags.get(key) == value for key, value in self.tags.items())
        if self.tag_key is not None:
            return policy in candidate.tags.get(self.tag_key, "").replace(",", " ").split()
        return candidate.instance_id == self.instance_id


@dataclass(frozen=True)
class Candidate:
    """A server as EC2 describes it; ``recovery`` is the id of a recovery that is still making it."""

    instance_id: str
    tags: Mapping[str, str] = field(default_factory=dict)
    state: str = "running"
    windows: bool = True
    recovery: str = ""


def meaning(entries: Sequence[Selector], candidate: Candidate, policy: str) -> list[int]:
    """Return the numbers of the entries that mean a server; it belongs to the first of them."""
    found = [number for number, entry in enumerate(entries) if entry.means(candidate, policy)]
    return sorted(found, key=lambda number: -entries[number].weight)
