"""The policy: what to back up and how, as a person writes it.

A policy's ``defaults`` apply to all its targets; a target's own settings override them, field by field.
"""

from typing import Annotated

from pydantic import (
    Field,
    field_validator,
)

from quiesce.policy.parts import InstanceId, Name, PolicyModel, TagKey, TagValue
from quiesce.policy.target import TargetSettings
from quiesce.tags import MAX_POLICY_TAGS, PREFIX


class Target(TargetSettings):
    """One server."""

    instance_id: InstanceId


class Policy(PolicyModel):
    """What to back up: its ``targets``, with ``defaults`` for all of them, and ``tags`` to put on their snapshots."""

    name: Name
    owner: Name = "admin"
    tags: Annotated[dict[TagKey, TagValue], Field(max_length=MAX_POLICY_TAGS)] = {}
    defaults: TargetSettings = TargetSettings()
    targets: Annotated[list[Target], Field(min_length=1, max_length=100)]

    @field_validator("tags")
    @classmethod
    def _tags_are_free(cls, tags: dict[str, str]) -> dict[str, str]:
        for key in tags:
            if key.lower().startswith(("aws:", PREFIX)):
                raise ValueError(f"the key {key!r} is reserved; keys may not begin with 'aws:' or '{PREFIX}'")
        return tags

    @field_validator("targets")
    @classmethod
    def _targets_differ(cls, targets: list[Target]) -> list[Target]:
        ids = [target.instance_id for target in targets]
        if repeated := sorted({i for i in ids if ids.count(i) > 1}):
            raise ValueError(f"{', '.join(repeated)} is named more than once")
        return targets

    def settings_for(self, instance_id: str) -> TargetSettings | None:
        """Return the settings that apply to one server, or None if it is no target of this policy."""
        for target in self.targets:
            if target.instance_id == instance_id:
                own = {name: getattr(target, name) for name in target.model_fields_set - {"instance_id"}}
                return self.defaults.model_copy(update=own)
        return None
