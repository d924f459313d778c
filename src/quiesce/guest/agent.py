"""Whether AWS can ask the application on a server: decided before anything is frozen, with the reason if it can't."""

import re
from dataclasses import dataclass
from typing import Literal

# The first version with what the document's steps need (SSM documentation, shared step inputs).
OLDEST_AGENT = (3, 0, 502)
# The form of a version by SSM's API reference; another form can't be compared.
VERSION = re.compile(r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})(?:\.\d{1,6})?")


@dataclass(frozen=True)
class Agent:
    """What SSM knows of a server's agent; it may be five minutes old, and what SSM does not report is empty."""

    online: bool
    version: str
    platform: str
    windows: str


def obstacle(state: Literal["running", "stopped"], platform: str, agent: Agent | None) -> str | None:
    """Return why AWS can't ask the application, or None if AWS knows no reason."""
    if state == "stopped":
        return "the server was stopped"
    if not platform.startswith("Windows"):
        return f"the server is not Windows but {platform or 'of an unknown platform'}"
    if agent is None:
        return "Systems Manager does not know the server: its agent or its instance profile is missing"
    return _agent_obstacle(agent)


def _agent_obstacle(agent: Agent) -> str | None:
    if not agent.online:
        return "the server's SSM agent has lost its connection"
    if agent.platform != "Windows":
        return f"Systems Manager reports that the server is {agent.platform or 'of an unknown platform'}"
    if VERSION.fullmatch(agent.version) is None:
        return f"the server's SSM agent has a version that can't be compared: {agent.version!r}"
    if is_old(agent):
        return f"the server's SSM agent {agent.version} is older than {'.'.join(map(str, OLDEST_AGENT))}"
    return None


def is_old(agent: Agent) -> bool:
    """Say whether an agent's version is known, and older than what the documents need."""
    version = VERSION.fullmatch(agent.version)
    return version is not None and tuple(map(int, version.groups())) < OLDEST_AGENT
