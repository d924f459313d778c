"""What came of a look at policies' files: what was changed, and what people must know."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Outcome:
    """What came of one policy.

    Attributes:
        policy: its name.
        where: the place of its file, empty if there is none.
        version: of the file, empty if there is none.
        refused: the error of a bad file, empty if it is good.
        in_force: whether a text is in force.
        was_refused: whether people were told of a bad file before this one.
        is_new: whether the file has changed since it was last looked at.
        changed: what was changed in EventBridge Scheduler.
        problems: what Scheduler refused.
        notes: what a person may not expect.
    """

    policy: str
    where: str = ""
    version: str = ""
    refused: str = ""
    in_force: bool = False
    was_refused: bool = False
    is_new: bool = False
    changed: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Pass:
    """What came of a look at all files.

    ``strays``: places of files in ``policies/`` that are no policy's. ``removed``: schedules of no policy.
    """

    outcomes: list[Outcome]
    paused: bool
    strays: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
