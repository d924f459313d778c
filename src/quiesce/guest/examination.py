"""What a server says of all that a backup needs of it, question by question: an answer, or why there is none."""

import re
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_pascal

from quiesce.errors import AnswerUnreadable
from quiesce.guest.answers import Answer
from quiesce.guest.sessions import GuestModel

# As vssadmin prints them: the ids and the number of the state are the same in every language.
WRITER = re.compile(
    r"'(?P<name>[^'\n]*)'\s[^{]*(?P<id>\{[0-9a-fA-F-]{36}\})[^{]*\{[0-9a-fA-F-]{36}\}[^\[]*\[(?P<state>\d+)\]"
)

# VSS_WRITER_STATE: the states from this one on are those of a writer that has failed.
FAILED_FROM = 6

Value = TypeVar("Value")


class Told(GuestModel, Generic[Value]):
    """The values of one answer, none if there are none; ``why`` says why they are not known, empty if they are."""

    values: list[Value]
    why: str

    @property
    def known(self) -> bool:
        """Whether Windows has answered."""
        return not self.why


class OfCim(BaseModel):
    """An instance of CIM, with CIM's own names."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_pascal, populate_by_name=True)


class Service(OfCim):
    """A service of Windows, as Win32_Service has it."""

    name: str
    state: str | None
    start_mode: str | None


class Provider(OfCim):
    """A VSS provider, as Win32_ShadowProvider has it."""

    id: str = Field(alias="ID")
    name: str | None


class Encrypted(OfCim):
    """A volume as BitLocker has it; a ``conversion_status`` of 0 is not encrypted at all."""

    drive_letter: str | None
    device_id: str = Field(alias="DeviceID")
    conversion_status: int | None


class Defender(OfCim):
    """What Microsoft Defender Antivirus is set to block: its rules, each with its action, and writing into folders."""

    rules: list[str] | None = Field(alias="AttackSurfaceReductionRules_Ids")
    actions: list[int] | None = Field(alias="AttackSurfaceReductionRules_Actions")
    controlled_folders: int | None = Field(alias="EnableControlledFolderAccess")


class Folder(GuestModel):
    """Whether quiesce's folder belongs to SYSTEM or Administrators, and whether nobody else has rights on it."""

    ours: bool
    closed: bool


class Writer(GuestModel):
    """A VSS writer and the number of its state, as ``vssadmin list writers`` shows them."""

    name: str
    writer_id: str
    state: int


class Named(OfCim):
    """A cluster or one of its nodes, as MSCluster_Cluster and MSCluster_Node have it."""

    name: str


class ResourceGroup(OfCim):
    """A role of a cluster, or what the cluster has for itself, as MSCluster_ResourceGroup has it."""

    name: str
    owner_node: str | None
    state: int | None
    group_type: int | None


class ClusterFacts(GuestModel):
    """What a server sees of its failover cluster; ``node`` is its own name, by which the cluster knows it."""

    node: str
    clusters: list[Named]
    nodes: list[Named]
    roles: list[ResourceGroup]


class Examination(GuestModel):
    """The whole answer; ``utc_ms`` is the server's clock, in milliseconds since 1970.

    ``storage`` shows whether Windows answers for shadow storage at all; the inventory has it, volume by volume.
    ``cluster`` is None from an older document, empty where failover clustering is not installed.
    """

    utc_ms: int
    services: Told[Service]
    providers: Told[Provider]
    storage: Told[dict[str, int | None]]
    encrypted: Told[Encrypted]
    defender: Told[Defender]
    group_policy: Told[str]
    pending_reboot: Told[str]
    disk_shadow: Told[bool]
    writers: Told[str]
    folder: Told[Folder]
    metadata: Told[str]
    cluster: Told[ClusterFacts] | None = None


def examination_of(answer: Answer) -> Examination | None:
    """Return what an answer to ``examine`` says, None if it says nothing: PowerShell is constrained.

    Raises:
        AnswerUnreadable: it is not what the guest writes; not retried.
    """
    if answer.examined is None:
        return None
    try:
        return Examination.model_validate(answer.examined)
    except ValidationError as error:
        raise AnswerUnreadable(f"the server's answer to examine is not what the guest writes: {error}") from error


def writers_in(text: str) -> list[Writer]:
    """Return the writers that ``vssadmin list writers`` has printed, in whatever language."""
    return [Writer(name=f["name"], writer_id=f["id"].lower(), state=int(f["state"])) for f in WRITER.finditer(text)]
