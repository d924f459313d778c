"""The guest's verb ``examine`` on a simulated server: what Windows says of all that a backup needs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sandbox.windows.cluster import FEATURE, NAMESPACE, Cluster
from sandbox.windows.host import Json
from sandbox.windows.vss import SYSTEM_PROVIDER, Server, ShadowStorage, VssWriter

MANUAL, DISABLED = ("Stopped", "Manual"), ("Stopped", "Disabled")
RUNNING = ("Running", "Auto")
# Of a freshly installed server, in Win32_Service's own words.
SERVICES = {"VSS": MANUAL, "swprv": MANUAL, "EventSystem": RUNNING, "AmazonSSMAgent": RUNNING, "WinDefend": RUNNING}
CIM, SECURITY, MICROSOFT = "root/cimv2", "root/cimv2/Security", "root/Microsoft/Windows"
BITLOCKER, DEFENDER = "MicrosoftVolumeEncryption", "Defender"
STABLE, FAILED = 1, 8
# What CIM answers of the questions of examine.
BY_CIM = {"services", "providers", "storage", "encrypted", "defender", "groupPolicy", "pendingReboot", "cluster"}


class Writer(NamedTuple):
    """A writer as ``vssadmin list writers`` shows it."""

    name: str
    writer_id: str
    state: int = STABLE


SYSTEM_WRITER = Writer("System Writer", "{e8132975-6f93-4464-a53e-1050253ae220}")


@dataclass
class Condition:
    """What a server says of itself; what is in ``unanswered``, by the question's name, Windows does not answer.

    ``encrypted`` and ``defender`` are None where the feature is not installed; ``aws_components`` is their version,
    None where they are not installed; ``folder`` is whose quiesce's folder is, and whether it is closed.
    ``cluster`` is None where failover clustering is not installed; ``node`` is the server's own name.
    """

    services: dict[str, tuple[str, str]] = field(default_factory=SERVICES.copy)
    providers: dict[str, str] = field(
        default_factory=lambda: {SYSTEM_PROVIDER: "Microsoft Software Shadow Copy provider 1.0"}
    )
    encrypted: dict[str, int] | None = None
    defender: tuple[Mapping[str, int], int] | None = ({}, 0)
    group_policy: str = ""
    pending_reboot: tuple[str, ...] = ()
    writers: tuple[Writer, ...] = (SYSTEM_WRITER,)
    lists_applications: bool = True
    """Whether the inventory also lists the writers that VSS has on the server."""
    aws_components: str | None = "2.5.1"
    folder: tuple[bool, bool] | None = (True, True)
    cluster: Cluster | None = None
    node: str = "SQL-A"
    clock_ahead_s: float = 0.0
    unanswered: set[str] = field(default_factory=set)

    def instances(self) -> dict[str, list[Json]]:
        """Return the instances of CIM's classes, by namespace and class; a feature that is missing has no namespace."""
        found: dict[str, list[Json]] = {
            f"{CIM}:Win32_Service": [
                {"Name": name, "State": state, "StartMode": mode} for name, (state, mode) in self.services.items()
            ],
            f"{CIM}:Win32_ShadowProvider": [{"ID": key, "Name": name} for key, name in self.providers.items()],
            "root:__NAMESPACE": [{"Name": "CIMV2"}, *([{"Name": FEATURE}] if self.cluster else [])],
            f"{SECURITY}:__NAMESPACE": [{"Name": BITLOCKER}] if self.encrypted is not None else [],
            f"{MICROSOFT}:__NAMESPACE": [{"Name": DEFENDER}] if self.defender is not None else [],
        }
        if self.encrypted is not None:
            found[f"{SECURITY}/{BITLOCKER}:Win32_EncryptableVolume"] = [
                {"DriveLetter": drive, "DeviceID": f"\\\\?\\Volume{{{drive}}}\\", "ConversionStatus": status}
                for drive, status in self.encrypted.items()
            ]
        if self.defender is not None:
            rules, folders = self.defender
            found[f"{MICROSOFT}/{DEFENDER}:MSFT_MpPreference"] = [
                {
                    "AttackSurfaceReductionRules_Ids": [*rules] or None,
                    "AttackSurfaceReductionRules_Actions": [*rules.values()] or None,
                    "EnableControlledFolderAccess": folders,
                }
            ]
        if self.cluster:
            found |= {f"{NAMESPACE}:{name}": each for name, each in self.cluster.instances().items()}
        return found

    def writers_text(self, others: Sequence[VssWriter] = ()) -> str:
        """Return what ``vssadmin list writers`` prints (a transcript of Server 2008, gilkirkpatrick.com).

        ``others`` are those of the server's applications, which are stable between two backups.
        """
        ids = {writer.writer_id for writer in self.writers}
        listed = [*self.writers, *(Writer(o.name, o.writer_id, STABLE) for o in others if o.writer_id not in ids)]
        head = "vssadmin 1.1 - Volume Shadow Copy Service administrative command-line tool\r\n\r\n"
        return head + "".join(
            f"Writer name: '{writer.name}'\r\n   Writer Id: {writer.writer_id}\r\n"
            f"   Writer Instance Id: {{6162e336-7448-4371-93a7-{number:012x}}}\r\n"
            f"   State: [{writer.state}] {'Stable' if writer.state == STABLE else 'Failed'}\r\n"
            f"   Last error: {'No error' if writer.state == STABLE else 'Timed out'}\r\n\r\n"
            for number, writer in enumerate(listed)
        )

    def registry(self) -> dict[str, Json]:
        """Return the registry's keys that exist, each with the names of its keys and its values."""
        versions = r"SOFTWARE\Microsoft\Windows\CurrentVersion"
        pending = self.pending_reboot
        keys: dict[str, Json] = {
            rf"{versions}\Component Based Servicing": {
                "keys": ["Packages", *_of(pending, "RebootPending")],
                "values": {},
            },
            r"SYSTEM\CurrentControlSet\Control\Session Manager": {
                "keys": [],
                "values": dict.fromkeys(["BootExecute", *_of(pending, "PendingFileRenameOperations")], ""),
            },
        }
        if "RebootRequired" in pending:
            keys[rf"{versions}\WindowsUpdate\Auto Update"] = {"keys": ["RebootRequired"], "values": {}}
        if self.group_policy:
            values = {"EnableScripts": "", "ExecutionPolicy": self.group_policy}
            keys[r"SOFTWARE\Policies\Microsoft\Windows\PowerShell"] = {"keys": [], "values": values}
        return keys


def _of(pending: Sequence[str], name: str) -> list[str]:
    return [name] if name in pending else []


def _values(condition: Condition, storage: Sequence[ShadowStorage]) -> Iterator[tuple[str, list[Json]]]:
    found, rules = condition.instances(), condition.defender
    yield "services", found[f"{CIM}:Win32_Service"]
    yield "providers", found[f"{CIM}:Win32_ShadowProvider"]
    yield "storage", [{"UsedSpace": each.used_bytes, "MaxSpace": each.max_bytes} for each in storage]
    yield "encrypted", found.get(f"{SECURITY}/{BITLOCKER}:Win32_EncryptableVolume", [])
    yield "defender", [] if rules is None else found[f"{MICROSOFT}/{DEFENDER}:MSFT_MpPreference"]
    yield "groupPolicy", [condition.group_policy] if condition.group_policy else []
    yield "pendingReboot", [*condition.pending_reboot]
    yield "writers", [condition.writers_text()]
    yield "folder", [] if condition.folder is None else [dict(zip(("ours", "closed"), condition.folder, strict=True))]


def components(condition: Condition) -> Json:
    """Return what the guest's inventory says of AWS's own VSS components."""
    found = [] if condition.aws_components is None else [{"fileVersion": condition.aws_components}]
    return _answered("awsComponents", found, condition.unanswered)


def writers_of(condition: Condition, vss: Server) -> Json:
    """Return the writers that the guest's inventory lists."""
    others = vss.writers if condition.lists_applications else []
    return _answered("writers", [condition.writers_text(others)], condition.unanswered)


def cluster_of(condition: Condition, unanswered: set[str]) -> Json:
    """Return what the guest says of the cluster that the server is a node of."""
    found = [condition.cluster.facts(condition.node)] if condition.cluster else []
    return _answered("cluster", found, unanswered | condition.unanswered)


def _answered(name: str, values: Sequence[Json], unanswered: set[str]) -> Json:
    is_known = name not in unanswered
    return {"values": [*values] if is_known else [], "why": "" if is_known else f"{name}: Access denied"}


def examination(condition: Condition, vss: Server, now_s: float, identity: str, unanswered: set[str]) -> Json:
    """Return the guest's answer: each question's values, or why there are none.

    ``identity`` is what the metadata service answers, empty if it does not; ``unanswered`` adds to the condition's.
    """
    asked = {"diskShadow": [vss.has_diskshadow], "metadata": [identity] if identity else []}
    values = dict(_values(condition, vss.storage)) | asked
    unanswered = unanswered | condition.unanswered | (set() if identity else {"metadata"})
    examined: dict[str, Json] = {"utcMs": int((now_s + condition.clock_ahead_s) * 1000)}
    for name, each in values.items():
        examined[name] = _answered(name, each, unanswered)
    return examined | {"cluster": cluster_of(condition, unanswered)}
