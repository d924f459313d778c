"""One change of a fix on a server, done or given back; each may be repeated, and leaves alone what others have set."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from quiesce.aws.doctor.profiles import associate, disassociate
from quiesce.aws.ssm import Guest
from quiesce.doctor.changes import Change
from quiesce.errors import GuestRefused
from quiesce.guest.inventory import AWS_VERSION
from quiesce.guest.patience import PACKAGE_PATIENCE, SET_PATIENCE, UPDATE_PATIENCE

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client


@dataclass(frozen=True)
class Changer:
    """A server, by EC2 and by the documents that change something on it.

    Raises, in both of its calls:
        ChangeRefused: EC2 refuses, or the server has another instance profile by now.
        GuestRefused: Windows or the agent refuses, or somebody has changed the setting meanwhile.
        AgentUnreachable, AnswerUnreadable, CommandRefused: the server was not asked, or its answer is not known.
        AwsThrottled, AwsUnavailable: retried by the state machine.
    """

    ec2: "EC2Client"
    guest: Guest

    def do(self, change: Change) -> None:
        """Change a setting to what it shall be."""
        match change.setting:
            case "instance profile":
                associate(self.ec2, self.guest.instance_id, change.to)
            case "agent":
                self.guest.run("update", {}, UPDATE_PATIENCE)
            case "AwsVssComponents":
                self.guest.run("components", {"Action": "Install"}, PACKAGE_PATIENCE)
            case "StartMode" | "State" | "MaxSpace":
                self._set(change, change.was, change.to)

    def give_back(self, change: Change) -> None:
        """Make a setting again what it was."""
        match change.setting:
            case "instance profile":
                disassociate(self.ec2, self.guest.instance_id, change.to)
            case "agent":
                self.guest.run("update", {"Version": change.was, "AllowDowngrade": "true"}, UPDATE_PATIENCE)
            case "AwsVssComponents":
                self.guest.run("components", _former_components(change.was), PACKAGE_PATIENCE)
            case "StartMode" | "State" | "MaxSpace":
                self._set(change, change.to, change.was)

    def _set(self, change: Change, now: str, wanted: str) -> None:
        names = {"Setting": change.setting, "Subject": change.subject, "From": now, "To": wanted}
        own = {"RunId": f"fix-{self.guest.instance_id}", "InstanceId": self.guest.instance_id}
        answer = self.guest.ask("set", own | names, SET_PATIENCE)
        if not answer.ok:
            raise GuestRefused(answer.error)


def _former_components(was: str) -> dict[str, str]:
    """Return the parameters that give the components back: none, or the package of their former version.

    A package's version has three numbers (AwsVssComponents version history), that of its program may have four.
    """
    found = AWS_VERSION.fullmatch(was)
    if not was or not found:
        return {"Action": "Uninstall"}
    return {"Action": "Install", "Version": ".".join(found.groups())}
