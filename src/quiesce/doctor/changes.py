"""What a fix would change on a server so that it can be backed up, of what was found; pure."""

from collections.abc import Iterator
from typing import Literal

from quiesce.doctor.inside import Asked
from quiesce.doctor.inventoried import AWS_ONLY, LEAST_STORAGE, of_components
from quiesce.doctor.outside import RUNNING, Outside
from quiesce.executions import Crossing
from quiesce.guest.agent import is_old
from quiesce.guest.examination import Examination, Service
from quiesce.guest.inventory import Inventory

Setting = Literal["instance profile", "agent", "AwsVssComponents", "StartMode", "State", "MaxSpace"]
# What an agent or the components become: the version that AWS publishes at the time.
LATEST = "latest"
# What a limit of shadow storage becomes, of its volume, if that is more than VSS needs at first.
SHARE_OF_VOLUME = 5
# How Windows delivers the services that VSS needs (sc.exe qc on Windows Server); of these alone a fix changes anything.
START_MODES = {"VSS": "Manual", "swprv": "Manual", "EventSystem": "Auto"}
MUST_RUN = frozenset({"EventSystem"})


class Change(Crossing):
    """One setting from what it is to what it becomes; ``was`` is empty if there is none.

    ``subject`` is a service's name, or the GUID of the volume whose shadow storage has the limit; empty where there is
    one of its kind. ``name`` is the same as people call it.
    """

    setting: Setting
    subject: str = ""
    name: str = ""
    was: str
    to: str

    @property
    def key(self) -> tuple[str, str]:
        """What is changed, whatever its value."""
        return self.setting, self.subject

    @property
    def words(self) -> str:
        """What a person reads of it."""
        where = f" of {self.name}" if self.name else ""
        return f"{self.setting}{where}: from {self.was or 'none'} to {self.to}"


def changes_for(outside: Outside, asked: Asked, profile: str) -> list[Change]:
    """Return what a fix would change, in this order; of what is not known it changes nothing.

    Args:
        outside: the server as EC2 and Systems Manager show it.
        asked: what it says itself.
        profile: the ARN of the stack's own instance profile, empty if it has none.
    """
    found = [*_profile(outside, profile), *_agent(outside)]
    if asked.inventory:
        found += [*_components(asked.inventory), *_limits(asked.inventory)]
    return found + ([*_services(asked.examined)] if asked.examined else [])


def _profile(server: Outside, profile: str) -> Iterator[Change]:
    """A profile where there is none, and none is needed otherwise: an agent that is connected has its rights."""
    if profile and server.state == RUNNING and not server.profile and not server.is_online and server.is_windows:
        yield Change(setting="instance profile", was="", to=profile)


def _agent(server: Outside) -> Iterator[Change]:
    if server.agent and server.state == RUNNING and server.is_online and is_old(server.agent):
        yield Change(setting="agent", was=server.agent.version, to=LATEST)


def _components(inventory: Inventory) -> Iterator[Change]:
    told = inventory.aws_components
    if told and any(each.status == "bad" and each.levels == AWS_ONLY for each in of_components(inventory)):
        was = told.values[0].file_version or "" if told.values else ""
        yield Change(setting="AwsVssComponents", was=was, to=LATEST)


def _limits(inventory: Inventory) -> Iterator[Change]:
    drives = {drive.volume_guid.lower(): drive for drive in inventory.drives}
    for storage in inventory.shadow_storage or []:
        limit, drive = storage.max_bytes, drives.get(storage.volume_guid.lower())
        if drive and drive.size_bytes and limit is not None and limit < LEAST_STORAGE:
            to = max(drive.size_bytes // SHARE_OF_VOLUME, LEAST_STORAGE)
            guid = drive.volume_guid.partition("{")[2].partition("}")[0]
            yield Change(setting="MaxSpace", subject=guid, name=drive.path or guid, was=str(limit), to=str(to))


def _services(examined: Examination) -> Iterator[Change]:
    for name, mode in START_MODES.items():
        service = next((each for each in examined.services.values if each.name.lower() == name.lower()), None)
        if service:
            yield from _service(name, mode, service)


def _service(name: str, mode: str, service: Service) -> Iterator[Change]:
    if service.start_mode == "Disabled":
        yield Change(setting="StartMode", subject=name, name=name, was="Disabled", to=mode)
    if name in MUST_RUN and service.state == "Stopped":
        yield Change(setting="State", subject=name, name=name, was="Stopped", to="Running")
