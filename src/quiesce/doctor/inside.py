"""What a server says of its own Windows, PowerShell and folder, as far as scripts and VSS alike need it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from quiesce.doctor.findings import BY_QUIESCE, SCRIPTS_UP, VSS_UP, Finding, bad, good, note, unknown
from quiesce.doctor.inventoried import ALLOW_FULL_LANGUAGE, of_powershell, of_sessions_room, of_windows
from quiesce.guest.answers import INVENTORY_UNREADABLE, Answer
from quiesce.guest.cluster import node_of
from quiesce.guest.examination import Examination
from quiesce.guest.inventory import Inventory
from quiesce.guest.staging import overdue_notes, strange_notes

# The values of the group policy under which PowerShell runs no file that nobody has signed.
UNSIGNED_REFUSED = frozenset({"allsigned", "restricted"})
# AWS refuses requests that are signed with a time that is off by more (AWS signing documentation).
MOST_SKEW_MS = 300_000
BLOCKS = 1
# Defender's rule against scripts that look obfuscated, which a packed answer may (learn.microsoft.com, ASR reference).
OBFUSCATED = "5beb7efe-fd9a-4556-801d-275e5ffc04cc"
# Services of endpoint protection, as their makers' documentation names them.
PROTECTION = {
    "CSFalconService": "CrowdStrike Falcon",
    "SentinelAgent": "SentinelOne",
    "Sense": "Microsoft Defender for Endpoint",
    "Sophos Endpoint Defense Service": "Sophos",
    "ekrn": "ESET",
    "SepMasterService": "Symantec Endpoint Protection",
    "CylanceSvc": "Cylance",
    "CbDefense": "Carbon Black",
    "cyserver": "Cortex XDR",
    "ds_agent": "Trend Micro Deep Security",
    "mfemms": "Trellix",
}
# What a server answers instead of its inventory, by the error's name: what it means and what to do.
REFUSALS = {
    "LanguageMode": ("PowerShell", ALLOW_FULL_LANGUAGE, "group-policies"),
    "ForeignServer": ("identity", "look at the metadata service on it; a clone's routes may lead to another", "clones"),
    "IdentityUnknown": ("identity", "turn the metadata service on, and let the server reach it", "metadata-service"),
    INVENTORY_UNREADABLE: ("WMI", "repair WMI on it: winmgmt /verifyrepository, then /salvagerepository", "windows"),
}


@dataclass(frozen=True)
class Asked:
    """A server's answer, None if it gave none, and then ``why``; ``sent_ms`` to ``read_ms`` is when, since 1970."""

    answer: Answer | None
    why: str
    examined: Examination | None = None
    inventory: Inventory | None = None
    sent_ms: int = 0
    read_ms: int = 0


def found_inside(asked: Asked) -> list[Finding]:
    """Return the lines of what a server says of itself, but those of VSS alone."""
    if asked.answer is None:
        remedy = "mend what keeps its agent from answering, then ask again"
        return [unknown("answer", asked.why, remedy, "systems-manager", SCRIPTS_UP)]
    findings = [*_refusal(asked.answer)]
    if asked.inventory:
        looks = (of_windows, of_powershell, of_sessions_room, _sessions)
        findings += [finding for look in looks for finding in look(asked.inventory)]
    if asked.examined:
        findings += [finding for row in ROWS for finding in row(asked.examined)]
        findings += [_clock(asked, asked.examined)]
    return findings


def _refusal(answer: Answer) -> Iterator[Finding]:
    if answer.ok:
        yield good("answer", "it answers", SCRIPTS_UP)
        return
    otherwise = ("answer", "look the error up in docs/operate/runbook.md", "windows")
    check, remedy, anchor = REFUSALS.get(answer.error_name, otherwise)
    # Without an inventory a run does the scripts all the same, and no shadow copies.
    levels = VSS_UP if answer.error_name == INVENTORY_UNREADABLE else SCRIPTS_UP
    yield bad(check, answer.error, remedy, anchor, levels)


def _sessions(inventory: Inventory) -> Iterator[Finding]:
    strange = strange_notes(inventory.strange) if inventory.strange else []
    for words in [*overdue_notes(inventory.overdue), *strange]:
        yield note("sessions", words, "the next run's stage ends it; docs/operate/runbook.md has more", "windows")


def _group_policy(examined: Examination) -> Iterator[Finding]:
    told, check = examined.group_policy, "execution policy"
    if not told.known:
        yield unknown(check, told.why, "gpresult /h shows it", "group-policies", BY_QUIESCE)
    elif told.values and told.values[0].lower() in UNSIGNED_REFUSED:
        words = f"a group policy sets it to {told.values[0]}, under which no session of quiesce starts"
        remedy = "set it to RemoteSigned, or leave it unset, for this server"
        yield bad(check, words, remedy, "group-policies", BY_QUIESCE)
    else:
        words = f"a group policy sets it to {told.values[0]}" if told.values else "no group policy sets it"
        yield good(check, words, BY_QUIESCE)


def _folder(examined: Examination) -> Iterator[Finding]:
    told, check, levels = examined.folder, "quiesce's folder", BY_QUIESCE
    folder = told.values[0] if told.values else None
    if not told.known:
        yield unknown(check, told.why, "look at the rights of ProgramData\\Quiesce", "the-folder", levels)
    elif folder is None:
        yield good(check, "it is not there yet: the first run makes it", levels)
    elif not folder.ours:
        remedy = "see who made it, then remove it: the next run makes it"
        yield bad(check, "ProgramData\\Quiesce is a link, or belongs to a user", remedy, "the-folder", levels)
    elif not folder.closed:
        words = "ProgramData\\Quiesce gives others than SYSTEM and Administrators rights; the next run closes it"
        yield note(check, words, "look that no script in it is another's", "the-folder")
    else:
        yield good(check, "only SYSTEM and Administrators have rights on it", levels)


def _metadata(examined: Examination) -> Iterator[Finding]:
    told = examined.metadata
    if told.known and told.values:
        yield good("metadata service", f"it answers {told.values[0]}", SCRIPTS_UP)
        return
    words = f"it does not answer the server: {told.why}"
    remedy = "turn it on; its route 169.254.169.254 must not lead to a gateway or a proxy"
    yield bad("metadata service", words, remedy, "metadata-service", SCRIPTS_UP)


def _reboot(examined: Examination) -> Iterator[Finding]:
    told = examined.pending_reboot
    if not told.known:
        yield unknown("pending restart", told.why, "look in Windows Update", "windows")
    elif told.values:
        words = f"Windows waits for a restart ({', '.join(told.values)}), until which VSS may fail"
        yield note("pending restart", words, "restart it at a time that suits its users", "windows")
    else:
        yield good("pending restart", "none")


def _cluster(examined: Examination) -> Iterator[Finding]:
    told, services, check = examined.cluster, examined.services, "cluster"
    node = node_of(told)
    runs = any(each.name == "ClusSvc" and each.state == "Running" for each in services.values)
    unclear = "look at Failover Cluster Manager; until it is known, role in a policy counts as any"
    if node.role != "not known":
        words = f"it is {'the primary' if node.role == 'primary' else 'a secondary'} node: {node.why}"
        remedy = "a recovery point has what this node's own volumes hold: set role in the policy, or back up all nodes"
        yield note(check, words, remedy, "clusters")
    elif (told and not told.known) or not (told or services.known):
        yield unknown(check, node.why if told else services.why, unclear, "clusters")
    elif node.cluster or runs:
        yield note(
            check, f"it is a node of a failover cluster, and its role is not known: {node.why}", unclear, "clusters"
        )
    else:
        yield good(check, "it is no node of a failover cluster")


def _protection(examined: Examination) -> Iterator[Finding]:
    defender, services, anchor = examined.defender, examined.services, "endpoint-protection"
    check, allow = "endpoint protection", "allow what the page lists, then run a backup"
    if not (defender.known and services.known):
        yield unknown(check, " and ".join(filter(None, (defender.why, services.why))), allow, anchor)
        return
    running = {each.name for each in services.values if each.state == "Running"}
    found = [product for name, product in PROTECTION.items() if name in running]
    for each in defender.values:
        rules = dict(zip(each.rules or [], each.actions or [], strict=False))
        found += ["Defender's rule against obfuscated scripts"] if rules.get(OBFUSCATED) == BLOCKS else []
        found += ["Defender's controlled folder access"] if each.controlled_folders == BLOCKS else []
    if found:
        yield note(check, f"{', '.join(found)} may stop quiesce's tasks", allow, anchor)
    else:
        yield good(check, "neither Defender's settings nor another product that quiesce knows stops its tasks")


def _clock(asked: Asked, examined: Examination) -> Finding:
    late, early = asked.sent_ms - examined.utc_ms, examined.utc_ms - asked.read_ms
    off_ms = max(late, early, 0)
    if off_ms > MOST_SKEW_MS:
        words = f"its clock is {off_ms // 1000} s {'behind' if late > early else 'ahead'}"
        remedy = "w32tm /resync; the Amazon Time Sync Service is 169.254.169.123"
        return bad("clock", f"{words}: AWS refuses what it signs", remedy, "windows", ("aws-vss",))
    return good("clock", "it is right", ("aws-vss",))


ROWS: tuple[Callable[[Examination], Iterator[Finding]], ...] = (
    _group_policy,
    _folder,
    _metadata,
    _reboot,
    _cluster,
    _protection,
)
