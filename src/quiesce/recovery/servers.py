"""Which server a Name tag means, and how servers are named to a person: by name and id. Pure."""

from collections.abc import Mapping
from difflib import get_close_matches

from quiesce.errors import Refused

NAMED_SERVERS = 10


def full_name(instance_id: str, name: str) -> str:
    """Return how a message names a server."""
    return f"{name} ({instance_id})" if name else instance_id


def named(typed: str, names: Mapping[str, str], refusal: type[Refused]) -> str:
    """Return the id of the only server of a name; upper and lower case count only where they tell two apart.

    Args:
        typed: what the person wrote.
        names: Name tags by instance id, of all servers that may be meant.
        refusal: the error to raise.

    Raises:
        Refused: as ``refusal``: no server has the name, or several do.
    """
    exact = [server for server, name in names.items() if name == typed]
    found = sorted(exact or [server for server, name in names.items() if name.casefold() == typed.casefold()])
    if not found:
        problem = f"no server that can be meant here has the Name tag '{typed}'"
        by_name = {name.casefold(): name for name in names.values() if name}
        near = get_close_matches(typed.casefold(), by_name, n=1)
        raise refusal("instance_id", problem, f"write '{by_name[near[0]]}'" if near else listed(names))
    if found[1:]:
        problem = f"{len(found)} servers have the Name tag '{typed}'"
        raise refusal("instance_id", problem, f"write the id of the one that you mean: {', '.join(found)}")
    return found[0]


def listed(names: Mapping[str, str]) -> str:
    """Return the remedy that lists the servers that have recovery points."""
    if not names:
        return "look at the servers in EC2's console: there is none to choose from here"
    each = [full_name(server, name) for server, name in sorted(names.items(), key=lambda pair: (pair[1], pair[0]))]
    more = f" and {len(each) - NAMED_SERVERS} more (output ReadRecords lists all)" if each[NAMED_SERVERS:] else ""
    return f"name one of {', '.join(each[:NAMED_SERVERS])}{more}"
