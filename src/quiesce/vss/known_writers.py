"""Writers that a policy may name instead of their ids, each with the source of its id."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import NamedTuple

from quiesce.vss.writers import WINDOWS_WRITERS

IN_BOX = "[In-Box VSS Writers](https://learn.microsoft.com/windows/win32/vss/in-box-vss-writers)"
TESTER = (
    "[VSSTester of Microsoft's CSS-Exchange](https://github.com/microsoft/CSS-Exchange/tree/main/Databases/VSSTester)"
)
# The manifests of a test of SharePoint's backups, in Microsoft's documentation for developers.
SEARCH = "[SharePoint's documentation](https://learn.microsoft.com/sharepoint/dev/), manifests of BETest"
LISTED = "servers' own lists of writers, public transcripts of `vssadmin list writers`"

# Less alike, a name is more often another one.
LIKE = 0.85


class KnownWriter(NamedTuple):
    """A writer: its name as Windows lists it, what its application is called, and where its id was read."""

    name: str
    writer_id: str
    application: str
    source: str


APPLICATIONS = (
    KnownWriter("SqlServerWriter", "{a65faa63-5ea8-4ebc-9dbd-a0c4db26912a}", "SQL Server", TESTER),
    KnownWriter("Microsoft Exchange Writer", "{76fe1ac4-15f7-4bcd-987e-8e1acb462fb7}", "Exchange", LISTED),
    KnownWriter("SharePoint Services Writer", "{da452614-4858-5e53-a512-38aab25c61ad}", "SharePoint", SEARCH),
    KnownWriter("NTDS", "{b2014c9e-8711-4c5c-a5a9-3cf384484757}", "Active Directory", IN_BOX),
    KnownWriter("ADAM Writer", "{dd846aaa-a1b6-42a8-aaf8-03dcb6114bfd}", "Active Directory LDS", IN_BOX),
    KnownWriter("Microsoft Hyper-V VSS Writer", "{66841cd4-6ded-4f4b-8f17-fd23f8ddc3de}", "Hyper-V", IN_BOX),
)
KNOWN = (
    *APPLICATIONS,
    *(KnownWriter(name, writer_id, "Windows", IN_BOX) for writer_id, name in WINDOWS_WRITERS.items()),
)


def _by_name() -> Mapping[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for writer in KNOWN:
        names = {writer.name.casefold(), *([writer.application.casefold()] if writer in APPLICATIONS else [])}
        found |= {name: (*found.get(name, ()), writer.writer_id) for name in names}
    return found


IDS = _by_name()


def ids_of(name: str) -> tuple[str, ...]:
    """Return the ids of a writer by its name or its application's, in any case; none if nobody knows it."""
    return IDS.get(name.strip().casefold(), ())


def name_of(writer_id: str) -> str:
    """Return a writer's id with its name, if it is known."""
    name = next((writer.name for writer in KNOWN if writer.writer_id == writer_id), "")
    return f"{name} {writer_id}" if name else writer_id


def like(name: str) -> str:
    """Return the known name that is most like what a person typed, empty if none is."""
    names = {known.casefold(): known for writer in KNOWN for known in (writer.name, writer.application)}
    return next((names[near] for near in get_close_matches(name.strip().casefold(), names, n=1, cutoff=LIKE)), "")
