"""Whom to tell of a policy that falls behind, and of its end: once each, whatever comes twice."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from quiesce.posture.state import PolicyPosture, ServerPosture

Kind = Literal["behind", "over", "unwatched"]


@dataclass(frozen=True)
class Told:
    """What people were told of a policy.

    Attributes:
        behind: the servers that were said to be behind, and are not yet said to be good.
        sending: the kind of a mail whose sending was begun and not seen to end; empty if there is none.
    """

    behind: tuple[str, ...] = ()
    sending: str = ""


@dataclass(frozen=True)
class Notice:
    """What to tell of a policy now.

    Attributes:
        policy: its name.
        kind: ``behind`` (a server more than was told), ``over`` (none is behind any more), ``unwatched`` (the policy
            has no goal any more, so nobody will tell how it goes on).
        behind: the servers that are behind now, the worst first.
        new: those of them of which nobody was told.
        good: the servers that were told as behind, and are good again.
        left: the servers that were told as behind, and that the policy no longer means: whether they are good is not
            known.
    """

    policy: str
    kind: Kind
    behind: Sequence[ServerPosture] = ()
    new: Sequence[ServerPosture] = ()
    good: Sequence[ServerPosture] = ()
    left: Sequence[str] = ()


@dataclass(frozen=True)
class Telling:
    """What to remember as told of a policy, and what to tell before that, if anything."""

    behind: tuple[str, ...] = field(default=())
    notice: Notice | None = None


def telling_of(name: str, posture: PolicyPosture | None, told: Told) -> Telling:
    """Decide what to tell of a policy.

    Args:
        name: the policy's.
        posture: as it is now, None if it is not in force any more.
        told: what people were told before.

    Returns:
        What to remember; the same as before, and no notice, if nothing has changed.
    """
    if posture is None or posture.goal is None:
        gone = bool(told.behind or told.sending)
        return Telling((), Notice(name, "unwatched", left=told.behind) if gone else None)
    behind = [server for server in posture.servers if server.standing == "behind"]
    now = tuple(sorted(server.instance_id for server in behind))
    # Whoever began to tell and was cut off may have told nobody: all of it is new then.
    known = set() if told.sending else {*told.behind}
    if new := [server for server in behind if server.instance_id not in known]:
        return Telling(now, Notice(name, "behind", behind=behind, new=new))
    if behind or not (told.behind or told.sending):
        return Telling(now)
    servers = {server.instance_id: server for server in posture.servers}
    return Telling(
        (),
        Notice(
            name,
            "over",
            good=[servers[i] for i in told.behind if i in servers and servers[i].standing == "good"],
            left=[i for i in told.behind if i not in servers or servers[i].standing != "good"],
        ),
    )
