"""VSS writers: what DiskShadow's log says of each, and which are Windows' own."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from quiesce.vss.script import GUID

QUOTED = re.compile('["\u201c\u201d\u201e\u00ab\u00bb]([^"\u201c\u201d\u201e\u00ab\u00bb]+)["\u201c\u201d\u00ab\u00bb]')
HEAD, COMPONENT = re.compile(r"\s*\* (.*)"), re.compile(r"\s+\+.*? (\\.*)")
# A volume as Windows shows it to people: a drive letter or a mounted folder, with its backslash.
SHOWN_VOLUME = re.compile(r"(?<!\w)[A-Za-z]:\\(?:[^\"<>|?*:]*\\)?")

SYSTEM_WRITER = "{e8132975-6f93-4464-a53e-1050253ae220}"
# "In-Box VSS Writers" (learn.microsoft.com) and the pages that it leads to: the writers of Windows and of its roles.
# Its directories and virtual machines are applications, whose data lies where a person put it: NTDS, AD LDS, Hyper-V.
WINDOWS_WRITERS = {
    "{772c45f8-ae01-4f94-940c-94961864acad}": "ADFS VSS Writer",
    "{886c43b1-d455-4428-a37f-4d6b9e43f50f}": "AD RMS Writer",
    "{be000cbe-11fe-4426-9c58-531aa6355fc4}": "ASR Writer",
    "{4969d978-be47-48b0-b100-f328f07ac1e0}": "BITS Writer",
    "{6f5b15b5-da24-4d88-b737-63063e3a1f86}": "Certificate Authority",
    "{41e12264-35d8-479b-8e5c-9b23d1dad37e}": "Cluster Database",
    "{1072ae1c-e5a7-4ea1-9e4a-6f7964656570}": "Cluster Shared Volume VSS Writer",
    "{542da469-d3e1-473c-9f4f-7847f01fc64f}": "COM+ REGDB Writer",
    "{41db4dbf-6046-470e-8ad5-d5081dfb1b70}": "Dedup Writer",
    "{2707761b-2324-473d-88eb-eb007a359533}": "DFS Replication service writer",
    "{be9ac81e-3619-421f-920f-4c6fea9e93ad}": "Dhcp Jet Writer",
    "{d76f5a28-3092-4589-ba48-2958fb88ce29}": "FRS Writer",
    "{12ce4370-5bb7-4c58-a76a-e5d5097e3674}": "FSRM Writer",
    "{2a40fd15-dfca-4aa8-a654-1f8c654603f6}": "IIS Config Writer",
    "{59b1f0cf-90ef-465f-9609-6ca8b2938366}": "IIS Metabase Writer",
    "{7e47b561-971a-46e6-96b9-696eeaa53b2a}": "MSMQ Writer",
    # Microsoft's page has the first, servers show the second.
    "{cd3f2362-8bef-46c7-9181-d62844cdc062}": "MSSearch Service Writer",
    "{cd3f2362-8bef-46c7-9181-d62844cdc0b2}": "MSSearch Service Writer",
    "{35e81631-13e1-48db-97fc-d5bc721bb18a}": "NPS VSS Writer",
    "{0bada1de-01a9-4625-8278-69e735f39dd2}": "Performance Counters Writer",
    "{afbab4a2-367d-4d15-a586-71dbb18f8485}": "Registry Writer",
    "{4dc3bdd4-ab48-4d07-adb0-3bee2926fd7f}": "Shadow Copy Optimization Writer",
    "{d46bf321-fdba-4a35-8ec3-454df03bc86a}": "Sync Share Service VSS writer",
    SYSTEM_WRITER: "System Writer",
    "{d61d61c8-d73a-4eee-8cdd-f6f9786b7124}": "Task Scheduler Writer",
    "{5382579c-98df-47a7-ac6c-98a6d7106e09}": "TermServLicensing",
    "{368753ec-572e-4fc7-b4b9-ccd9bdc624cb}": "TS Gateway Writer",
    "{75dfb225-e2e4-4d39-9ac9-ffaff65ddf06}": "VSS Metadata Store Writer",
    "{82cb5521-68db-4626-83a4-7fc6f88853e9}": "WDS VSS Writer",
    "{8d5194e1-e455-434a-b2e5-51296cce67df}": "WIDWriter",
    "{f08c1483-8407-4a26-8c26-6c267a629741}": "WINS Jet Writer",
    "{a6ad56c2-b509-4e6c-bb19-49d8f43532f0}": "WMI Writer",
}


@dataclass(frozen=True)
class Writer:
    """A writer, its components that took part, and those that DiskShadow dropped; the application chose its name.

    ``missing_volumes`` pairs a dropped component with the volume that it needs and the set lacks, by letter or folder;
    DiskShadow shows none if the volume has neither, and then there is no pair.
    """

    name: str
    included: bool
    components: tuple[str, ...] = ()
    dropped_components: tuple[str, ...] = ()
    missing_volumes: tuple[tuple[str, str], ...] = ()


def read_writers(lines: Sequence[str]) -> Iterator[Writer]:
    """Read what ``create`` printed: an asterisk and components of included writers, sentences on what was dropped."""
    included: dict[str, list[str]] = {}
    dropped: dict[str, dict[str, str]] = {}
    current: list[str] = []
    for line, following in pairwise([*lines, ""]):
        names = _names(line)
        if taking_part := COMPONENT.fullmatch(line):
            current.append(taking_part[1])
        elif HEAD.fullmatch(line) and names:
            current = included.setdefault(names[-1], [])
        elif not GUID.search(line):  # lines with a GUID are about shadow copies
            volume = _missing_volume(line, following)
            for writer in (name for name in names if not name.startswith("\\")):
                gone = dropped.setdefault(writer, {})
                for component in (name for name in names if name.startswith("\\")):
                    gone.setdefault(component, volume)
    for writer in {**included, **dropped}:
        lost = dropped.get(writer, {})
        missing = tuple((component, volume) for component, volume in lost.items() if volume)
        yield Writer(writer, writer in included, tuple(included.get(writer, [])), tuple(lost), missing)


def _names(line: str) -> list[str]:
    """Return the writers and components that a line names in quotes; components begin with a backslash."""
    quoted = QUOTED.findall(line)
    return [text for text in quoted if not text.startswith("(*") and not SHOWN_VOLUME.fullmatch(text)]


def _missing_volume(line: str, following: str) -> str:
    """Return the volume that a dropped component lacks; the sentence on it may go on in the following line."""
    sentence = line if _names(following) else f"{line} {following}"
    for name in _names(sentence):
        sentence = sentence.replace(name, "")
    found = SHOWN_VOLUME.search(sentence)
    return found[0] if found else ""
