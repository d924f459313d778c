"""A server with writers and a foreign shadow copy, and one session of the product's script on it."""

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any
from uuid import UUID

from quiesce.vss.script import SYSTEM_PROVIDER, session_script
from sandbox.windows.diskshadow import DiskShadow
from sandbox.windows.vss import Server, ShadowCopy, VssWriter
from tests.support.diskshadow_files import script_file

C = r"\\?\Volume{6cd5140b-0000-0000-0000-602200000000}" + "\\"
D = r"\\?\Volume{1b77e212-0000-0000-0000-100000000000}" + "\\"
E = r"\\?\Volume{9edf9657-4390-11f1-86ae-f1519abac96e}" + "\\"
FOLDER = r"C:\ProgramData\Quiesce\runs\sql-nightly-i-0123456789abcdef0-20261125T020000Z\1"
AWS_PROVIDER = "{11111111-2222-3333-4444-555555555555}"  # made up: the real id is not known
SQL_WRITER = "a65faa63-5ea8-4ebc-9dbd-a0c4db26912a"
FOREIGN = ShadowCopy(
    "{0f000000-0000-0000-0000-00000000000f}",
    "{f0000000-0000-0000-0000-0000000000f0}",
    D,
    "persistent",
    True,
    SYSTEM_PROVIDER,
)


def a_server(**changes: Any) -> Server:
    """Return a server with three volumes and four writers, of which two can never take part."""
    numbers = count(1)
    writers = [
        VssWriter("Shadow Copy Optimization Writer", "{4dc3bdd4-ab48-4d07-adb0-3bee2926fd7f}"),
        VssWriter("ASR Writer", "{be000cbe-11fe-4426-9c58-531aa6355fc4}", (r"\BCD\BCD",), frozenset({"hidden"})),
        VssWriter("System Writer", "{e8132975-6f93-4464-a53e-1050253ae220}", (r"\System Files",), frozenset({C})),
        VssWriter("SqlServerWriter", f"{{{SQL_WRITER}}}", (r"\ORDERS\book",), frozenset({D, E})),
    ]
    settings: dict[str, Any] = {
        "volumes": {C: "C:", D: "D:", E: "E:"},
        "writers": writers,
        "shadow_copies": [FOREIGN],
        "default_provider": AWS_PROVIDER,
        "new_id": lambda: f"{{{UUID(int=0x8004230100000000 << 64 | next(numbers))}}}",
    }
    return Server(**{**settings, **changes})


def writer_of(server: Server, name: str) -> VssWriter:
    """Return a server's writer."""
    return next(writer for writer in server.writers if writer.name == name)


def let_go(_: list[str]) -> int:
    """End the hold at once, with success."""
    return 0


def script_of(volumes: Sequence[str] = (D, E), *, copy_only: bool = False, excluded: Sequence[str] = ()) -> bytes:
    """Return the product's own script for one session, as on the server."""
    return script_file(session_script(volumes, copy_only=copy_only, excluded=excluded), FOLDER)


def session_log(
    server: Server,
    volumes: Sequence[str] = (D, E),
    hold: Callable[[list[str]], int] = let_go,
    excluded: Sequence[str] = (),
) -> bytes:
    """Return the log of one session of the product's own script."""
    return DiskShadow(server).run(script_of(volumes, excluded=excluded), hold)
