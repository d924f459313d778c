"""Servers that lack what a backup needs, and fixes of them."""

from typing import Any

import pytest

from sandbox.aws.instances import INSTANCES, Profile
from sandbox.windows.agent_steps import LATEST_AGENT
from sandbox.windows.examination import DISABLED, MANUAL, RUNNING
from sandbox.windows.vss import ShadowStorage
from tests.support.cloud import Cloud
from tests.support.environment import SERVER_PROFILE
from tests.support.machine import Machine, Run

OLD_AGENT = "3.0.100.0"
TAG = {"Key": "quiesce:may-be-changed", "Value": "yes"}
THEIRS = SERVER_PROFILE.replace("quiesce-InstanceProfile", "theirs")
MIB = 2**20


def give_profiles(monkeypatch: pytest.MonkeyPatch, *, for_agents: bool) -> None:
    """Let IAM have the stack's instance profile, and another one."""
    found = [Profile(arn.rpartition("/")[2], arn, "", for_agents=for_agents) for arn in (SERVER_PROFILE, THEIRS)]
    by_either = {key: profile for profile in found for key in (profile.name, profile.arn)}
    monkeypatch.setattr(INSTANCES, "profile_of", by_either.get)


def add_bare(cloud: Cloud) -> Any:
    """Start a server without what a backup needs: no profile, an old agent, no components, VSS disabled, no room."""
    server = cloud.add_server("BARE")
    cloud.servers.bare(server, OLD_AGENT)
    guest = server.windows.guest
    guest.condition.aws_components = None
    guest.condition.services |= {"VSS": DISABLED, "swprv": DISABLED, "EventSystem": DISABLED}
    volume = guest.drives[0].volume_guid
    guest.vss.storage = [ShadowStorage(volume, volume, max_bytes=100 * MIB)]
    return server


def allow(cloud: Cloud, server: Any) -> None:
    """Let a server's owner allow changes on it."""
    cloud.ec2.create_tags(Resources=[server.instance_id], Tags=[TAG])


def state_of(cloud: Cloud, server: Any) -> dict[str, Any]:
    """Return all that a fix may change on a server."""
    found = cloud.ec2.describe_iam_instance_profile_associations()["IamInstanceProfileAssociations"]
    guest = server.windows.guest
    return {
        "profiles": [each["IamInstanceProfile"]["Arn"] for each in found if each["InstanceId"] == server.instance_id],
        "agent": server.windows.agent.version,
        "components": guest.condition.aws_components,
        "services": dict(guest.condition.services),
        "limits": [each.max_bytes for each in guest.vss.storage],
    }


def mended(before: dict[str, Any]) -> dict[str, Any]:
    """Return what a fix makes of a bare server's state."""
    return before | {
        "profiles": [SERVER_PROFILE],
        "agent": LATEST_AGENT,
        "components": "2.5.1.0",
        "services": before["services"] | {"VSS": MANUAL, "swprv": MANUAL, "EventSystem": RUNNING},
        "limits": [100 * 2**30 // 5],
    }


def fix(machine: Machine, server: Any, name: str = "fix-1") -> Run:
    """Run a fix of one server to its end."""
    run = machine.examine({"instance_id": server.instance_id, "fix": True}, name)
    assert run.status == "SUCCEEDED", run.cause
    return run


def undo(machine: Machine, name: str = "fix-1") -> Run:
    """Run an undo of a fix to its end."""
    run = machine.examine({"undo": name})
    assert run.status == "SUCCEEDED", run.cause
    return run
