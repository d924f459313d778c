"""VSS on a simulated server: its volumes, writers and shadow copies, and what a DiskShadow there works on."""

from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import uuid4

# "Microsoft Software Shadow Copy provider 1.0", in every published log.
SYSTEM_PROVIDER = "{b5946137-7b9f-4925-af80-51abd60b20d5}"


@dataclass
class VssWriter:
    """A writer: its components, the volumes that they need, how it ends up after ``create``, and what it is told."""

    name: str
    writer_id: str
    components: tuple[str, ...] = ()
    needs: frozenset[str] = frozenset()
    state: str = "5 (VSS_WS_WAITING_FOR_BACKUP_COMPLETE)"
    failure: str = "0x00000000 (S_OK)"
    told: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ShadowCopy:
    """A shadow copy on the server, anybody's."""

    shadow_id: str
    set_id: str
    volume: str
    context: str
    with_writers: bool
    provider: str


@dataclass
class Server:
    """What DiskShadow works on.

    ``volumes`` are GUID paths with drive letters. ``default_provider`` is whom VSS takes if a script names none: any
    other that is registered, before the System Provider (docs of AddToSnapshotSet).
    ``create_fails`` is a code with its symbol.
    """

    volumes: dict[str, str]
    writers: list[VssWriter]
    shadow_copies: list[ShadowCopy] = field(default_factory=list)
    default_provider: str = SYSTEM_PROVIDER
    create_fails: tuple[str, str] | None = None
    files: list[str] = field(default_factory=list)
    new_id: Callable[[], str] = lambda: f"{{{uuid4()}}}"
    name: str = "SERVER"
    time: str = "3/6/2026 8:03:12 PM"
