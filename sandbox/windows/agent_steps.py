"""What the agent does itself on a simulated server: it updates itself, and installs AWS's package of VSS components.

Sources: Systems Manager user guide, command document plugin reference; an update's words as in the API reference of
GetCommandInvocation. What neither says is not known here.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.windows.agent import Agent, Ended, Step
from sandbox.windows.examination import Condition

# Shorter than on a server, where an update takes most of a minute: nobody who tries a fix here needs to wait for it.
UPDATE_S, PACKAGE_S = 4.0, 6.0
# What AWS publishes at the time.
LATEST_AGENT, LATEST_COMPONENTS = "3.3.3572.0", "2.5.1"
AGENTS = frozenset({"2.3.842.0", "3.0.100.0", "3.2.2303.0", LATEST_AGENT})
COMPONENTS = frozenset({"2.2.1", "2.3.1", "2.4.0", "2.5.0", LATEST_COMPONENTS})
SOURCE = re.compile(r"https://s3\.\{Region\}\.amazonaws\.com(\.cn)?/amazon-ssm-\{Region\}/ssm-agent-manifest\.json")


@dataclass
class OwnStep:
    """A step as a process of the agent: it takes effect at its end."""

    ends_s: float
    effect: Callable[[], Ended]
    ended: Ended | None = None

    def poll(self, now_s: float) -> Ended | None:
        """Return how it ended."""
        if now_s >= self.ends_s and self.ended is None:
            self.ended = self.effect()
        return self.ended


def begin(step: Step, agent: Agent, condition: Condition, now_s: float) -> OwnStep:
    """Begin a step."""
    if step.action == "aws:updateSsmAgent":
        return OwnStep(now_s + UPDATE_S, lambda: _update(step.named, agent))
    return OwnStep(now_s + PACKAGE_S, lambda: _package(step.named, condition))


def _update(inputs: dict[str, str], agent: Agent) -> Ended:
    if inputs["agentName"] != "amazon-ssm-agent" or not SOURCE.fullmatch(inputs["source"]):
        raise NotImplementedError(f"an update with {inputs}")
    wanted = inputs.get("targetVersion") or LATEST_AGENT
    begins = f"Updating amazon-ssm-agent from {agent.version} to {inputs.get('targetVersion') or 'latest'}\n"
    if wanted == agent.version:
        return Ended(0, f"{begins}amazon-ssm-agent {wanted} has already been installed, update skipped\n")
    if wanted not in AGENTS:
        return Ended(1, begins, f"no version {wanted}")
    if _numbers(wanted) < _numbers(agent.version) and inputs["allowDowngrade"] != "true":
        return Ended(1, begins, "downgrade is not allowed")
    agent.version = wanted
    return Ended(0, f"{begins}amazon-ssm-agent updated successfully to {wanted}\n")


def _package(inputs: dict[str, str], condition: Condition) -> Ended:
    if inputs["name"] != "AwsVssComponents":
        raise NotImplementedError(f"the package {inputs['name']}")
    if inputs["action"] == "Uninstall":
        condition.aws_components = None
        return Ended(0, "Successfully uninstalled AwsVssComponents\n")
    wanted = inputs.get("version") or LATEST_COMPONENTS
    if inputs["action"] != "Install" or wanted not in COMPONENTS:
        return Ended(1, "", f"failed to {inputs['action']} AwsVssComponents {wanted}")
    condition.aws_components = f"{wanted}.0"
    return Ended(0, f"Successfully installed AwsVssComponents {wanted}\n")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
