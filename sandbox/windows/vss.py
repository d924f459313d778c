"""VSS on a simulated server: volumes, writers, shadow copies and their storage, for DiskShadow to work on."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal
from uuid import uuid4

# "Microsoft Software Shadow Copy provider 1.0", in every published log.
SYSTEM_PROVIDER = "{b5946137-7b9f-4925-af80-51abd60b20d5}"
MIB = 2**20


@dataclass
class VssWriter:
    """A writer: its components, the volumes they need, its state after ``create``, and its notifications at the end.

    Without a volume of ``needs`` the whole writer is dropped, without one of ``component_needs`` that component alone.
    """

    name: str
    writer_id: str
    components: tuple[str, ...] = ()
    needs: frozenset[str] = frozenset()
    state: str = "5 (VSS_WS_WAITING_FOR_BACKUP_COMPLETE)"
    failure: str = "0x00000000 (S_OK)"
    notified: list[str] = field(default_factory=list)
    component_needs: dict[str, frozenset[str]] = field(default_factory=dict)

    def taking_part(self, volumes: set[str]) -> list[str]:
        """Return the components that take part in a set of these volumes."""
        return [one for one in self.components if self.component_needs.get(one, frozenset()) <= volumes]

    @classmethod
    def of_windows(cls) -> "VssWriter":
        """Return a writer that every Windows has, and that needs no volume."""
        return cls("System Writer", "{e8132975-6f93-4464-a53e-1050253ae220}", (r"\System Files",))


@dataclass(frozen=True)
class ShadowCopy:
    """A shadow copy on the server, made by quiesce or not; ``number`` is that of its device."""

    shadow_id: str
    set_id: str
    volume: str
    context: str
    with_writers: bool
    provider: str
    number: int = 0

    @property
    def device(self) -> str:
        """Its device object."""
        return rf"\\?\GLOBALROOT\Device\HarddiskVolumeShadowCopy{self.number}"


@dataclass(frozen=True)
class ShadowStorage:
    """Where the shadow copies of a volume lie."""

    volume: str
    storage: str
    used_bytes: int = 320 * MIB
    allocated_bytes: int = 640 * MIB
    max_bytes: int = 10_240 * MIB


@dataclass
class Server:
    """What DiskShadow works on, and how its commands turn out.

    ``volumes`` are GUID paths with drive letters. ``default_provider`` is the one that VSS takes if a script names
    none: any other registered one before the System Provider (docs of AddToSnapshotSet).
    ``create_fails`` and ``delete_fails`` are a code with its symbol. ``create_s`` and ``end_s`` are how long ``create``
    and ``end backup`` take. Microsoft documents neither DiskShadow's exit code after a failure nor whether its script
    goes on: ``failure_exit_code`` and ``after_error`` are knobs.
    """

    volumes: dict[str, str]
    writers: list[VssWriter]
    shadow_copies: list[ShadowCopy] = field(default_factory=list)
    storage: list[ShadowStorage] = field(default_factory=list)
    default_provider: str = SYSTEM_PROVIDER
    create_fails: tuple[str, str] | None = None
    services_run: Callable[[], bool] = lambda: True
    """Whether Windows may start the services that VSS needs: with a disabled one, ``create`` fails."""
    delete_fails: tuple[str, str] | None = None
    create_s: float = 0.0
    end_s: float = 0.0
    after_error: Literal["stop", "continue"] = "stop"
    failure_exit_code: int = 1
    killed_exit_code: int = 1
    has_diskshadow: bool = True
    hold_writes: bool = True
    """Whether the batch file that holds DiskShadow can write its flag."""
    files: list[str] = field(default_factory=list)
    new_id: Callable[[], str] = lambda: f"{{{uuid4()}}}"
    name: str = "SERVER"
    time: str = "3/6/2026 8:03:12 PM"
    asked: list[str] = field(default_factory=list)
    """The writers that VSS asked to freeze for the last set."""
    created: Callable[[list[ShadowCopy]], None] = lambda _copies: None
    """Called with a set at the instant that its shadow copies capture."""

    def add_copies(self, copies: Iterable[ShadowCopy], asked: Iterable[str] = ()) -> None:
        """Make a set's shadow copies while these writers are frozen; a volume without shadow storage gets its own."""
        self.asked = list(asked)
        made = list(copies)
        for copy in made:
            self.shadow_copies.append(copy)
            if copy.volume not in [storage.volume for storage in self.storage]:
                self.storage.append(ShadowStorage(copy.volume, copy.volume))
        self.created(made)

    def storage_of(self, volume: str) -> str:
        """Return the volume that holds the shadow storage of a volume."""
        return next(storage.storage for storage in self.storage if storage.volume == volume)

    def copies_of(self, set_id: str | None) -> list[ShadowCopy]:
        """Return the shadow copies of a set, as Win32_ShadowCopy would list them."""
        return [copy for copy in self.shadow_copies if copy.set_id == set_id]
