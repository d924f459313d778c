"""AWS's VSS components on a simulated server, as far as EC2's User Guide describes them.

Source: EC2's User Guide, "How the VSS based Amazon EBS snapshot solution works", "create-vss-snapshots-ssm" and
"application-consistent-snapshots-troubleshooting"; the rights are those of AWSEC2VssSnapshotPolicy.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from sandbox.windows.agent import Ended

# The beginning of a command that is AWS's own document; its parameters follow.
AWS_DOCUMENT = "AWS's document AWSEC2-CreateVssSnapshot: "
# Of the guide's own words; it documents no other output.
TIMED_OUT = "Thaw pipe connection timed out"


class Ec2Refused(Exception):
    """EC2 refuses what the components ask for; the message is EC2's."""


class Snapshots(Protocol):
    """What the components ask EC2 for, in the server's name."""

    def create(self, description: str, tags: Mapping[str, str], *, without_root: bool, consistent: bool) -> list[str]:
        """Create snapshots of all volumes at one point in time, VSS having frozen the applications if `consistent`.

        Raises:
            Ec2Refused: none was created.
        """

    def tag(self, snapshot_ids: list[str], tags: Mapping[str, str]) -> None:
        """Tag snapshots."""


@dataclass
class AwsVss:
    """The components, and how their work turns out.

    `snapshots` is EC2, None where there is none. `freeze_s` is how long until they have frozen and EC2 has created the
    snapshots, `tag_s` how long until they have tagged them.
    """

    installed: Callable[[], bool]
    snapshots: Snapshots | None = None
    freeze_s: float = 5.0
    tag_s: float = 2.0
    may_snapshot: bool = True
    """Whether the role of the server's instance profile has the rights."""
    times_out: bool = False
    """Whether the freeze takes too long: no snapshot is consistent, and some may exist."""
    creates_when_timed_out: bool = False
    """Whether EC2 had created the snapshots all the same."""
    untagged: int = 0
    """Of how many snapshots the backup fails, although the command succeeds (the guide)."""
    ran: list[Mapping[str, str]] = field(default_factory=list)
    """The parameters of each time that the document began."""

    def start(self, given: Mapping[str, str], now_s: float) -> "DocumentRun":
        """Begin what the document does on the server."""
        self.ran.append(given)
        return DocumentRun(self, given, now_s)


@dataclass
class DocumentRun:
    """One run of the document, as a process of the agent; nothing is done twice."""

    components: AwsVss
    given: Mapping[str, str]
    began_s: float
    made: list[str] | None = None
    creating: bool = False

    def poll(self, now_s: float) -> Ended | None:
        """Return how it ended, None while it runs."""
        if self.creating:
            return None
        if words := self._obstacle():
            return Ended(1, f"{words}\n")
        try:
            return self._go_on(now_s)
        except Ec2Refused as error:
            return Ended(1, f"{error}\n")

    def _obstacle(self) -> str:
        """Return what the document says if it can't begin; the guide has the conditions, and not the words."""
        if not self.components.installed():
            return "ec2-vss-agent.exe is not installed"
        if {self.given["NoWriters"], self.given["SaveVssMetadata"]} == {"True"}:
            return "NoWriters and SaveVssMetadata are mutually exclusive"
        allowed = self.components.may_snapshot
        return "" if allowed else "You are not authorized to perform this operation: ec2:CreateSnapshots"

    def _go_on(self, now_s: float) -> Ended | None:
        parts = self.components
        if parts.snapshots is None:
            raise NotImplementedError("there is no EC2 for AWS's VSS components")
        if self.made is None and now_s >= self.began_s + parts.freeze_s:
            # EC2 lets the server go on meanwhile, and with it the agent, which polls.
            self.creating = True
            try:
                self.made = self._create(parts.snapshots)
            finally:
                self.creating = False
        if self.made is None or now_s < self.began_s + parts.freeze_s + parts.tag_s:
            return None
        if parts.times_out:
            return Ended(1, f"{TIMED_OUT}\n")
        parts.snapshots.tag(self.made[parts.untagged :], {"AppConsistent": "True"})
        return Ended(0, "")

    def _create(self, snapshots: Snapshots) -> list[str]:
        parts = self.components
        if parts.times_out and not parts.creates_when_timed_out:
            return []
        tags = {**tags_in(self.given["tags"]), "AwsVssConfig": "2.5.1"}
        without_root = self.given["ExcludeBootVolume"] == "True"
        consistent = not parts.times_out and self.given["NoWriters"] == "False"
        return snapshots.create(self.given["description"], tags, without_root=without_root, consistent=consistent)


def tags_in(text: str) -> dict[str, str]:
    """Read the document's `tags`: `Key=Environment,Value=Test;Key=User,Value=TestUser1` (the guide)."""
    pairs = (part.partition(",Value=") for part in text.split(";") if text)
    return {key.removeprefix("Key="): value for key, _, value in pairs}
