"""DiskShadow's output on an English server, after published logs (tests/unit/vss/diskshadow, here by name)."""

from collections.abc import Iterator, Sequence

# exec-failed.log, full.log. No published log shows other contexts.
PERSISTENT = "No_Auto_Release Persistent Differential"
PERSISTENT_WITHOUT_WRITERS = "No_Auto_Release Persistent No_Writers Differential"
# lost-newline.log; DiskShadow prints other commands' usage, too, but no log shows it.
END_USAGE = (
    "END { BACKUP | RESTORE }",
    "",
    "        BACKUP                  Ends a full backup operation.",
    "        RESTORE                 Ends a restore operation.",
)
# lost-newline.log, not-ended.log
NOT_ENDED = ("Note: END BACKUP was not commanded, writers not notified BackupComplete.", "DiskShadow is exiting.")
OVERWRITTEN = "The existing file will be overwritten."  # full.log


def banner(server: str, time: str) -> tuple[str, ...]:
    """The first lines (all logs)."""
    return (
        "Microsoft DiskShadow version 1.0",
        "Copyright (C) 2013 Microsoft Corporation",
        f"On computer:  {server},  {time}",
        "",
    )


def including(writer: str, components: Sequence[str]) -> Iterator[str]:
    """A writer that takes part (full.log)."""
    yield f'* Including writer "{writer}":'
    yield from (f"        + Adding component: {component}" for component in components)
    yield ""


def without_components(writer: str) -> str:
    """A writer that has none, or of which every one was dropped (full.log)."""
    return f'Excluding writer "{writer}", because all of its components have been excluded.'


def dropping(writer: str, component: str, volume: str) -> Iterator[str]:
    """A component that needs a volume which is not in the set (full.log).

    There the volume has no letter, and nothing stands for it; that one with a letter is shown by it follows VSHADOW,
    the sample that DiskShadow was made from (select.cpp, GetDisplayNameForVolumeNoThrow).
    """
    yield f'Component "{component}" from writer "{writer}" is excluded from backup,'
    yield f"because it requires volume {volume} which is not in the shadow copy set."


def dropping_all(writer: str, component: str) -> Iterator[str]:
    """A writer that is dropped with its first component (full.log)."""
    yield f'The writer "{writer}" is now entirely excluded from the backup because the top-level'
    yield f'non selectable component "{component}" is excluded.'


def alias(name: str, shadow_id: str, *, of_set: bool = False) -> str:
    """An alias that has been set (full.log)."""
    return f"Alias {name} for shadow {'set ID' if of_set else 'ID'} {shadow_id} set as environment variable."


def inserted(cab: str, writers: int | None) -> Iterator[str]:
    """The files of the metadata; those of writers only if they take part (full.log; issue 406 of openzfs)."""
    documents = [] if writers is None else ["BCDocument.xml", *(f"WM{n}.xml" for n in range(writers))]
    for name in ["Manifest.xml", *documents, "DisDBF6.tmp"]:
        yield f"Inserted file {name} into .cab file {cab}"


def shadow_copy(shadow_id: str, set_id: str, name: str, copies: int, details: Sequence[str]) -> Iterator[str]:
    """A shadow copy in a list; details are volume, time, device, server, provider and attributes (full.log)."""
    volume, time, device, server, provider, attributes = details
    yield f"        * Shadow copy ID = {shadow_id}               %{name}%"
    yield f"                - Shadow copy set: {set_id}       %VSS_SHADOW_SET%"
    yield f"                - Original count of shadow copies = {copies}"
    yield f"                - Original volume name: {volume}"
    yield f"                - Creation time: {time}"
    yield f"                - Shadow copy device name: {device}"
    yield f"                - Originating machine: {server}"
    yield f"                - Service machine: {server}"
    yield "                - Not exposed"
    yield f"                - Provider ID: {provider}"
    yield f"                - Attributes:  {attributes}"
    yield ""


def writer_status(writer: str, state: str, failure: str, writer_id: str, instance_id: str) -> Iterator[str]:
    """A writer after ``list writers status`` (writers.log)."""
    yield f'* WRITER "{writer}"'
    yield f"        - Status: {state}"
    yield f"        - Writer Failure code: {failure}"
    yield f"        - Writer ID: {writer_id}"
    yield f"        - Instance ID: {instance_id}"


def failed(code: str, symbol: str) -> tuple[str, ...]:
    """An operation that failed (provider-veto.log)."""
    return (
        "",
        "The last operation failed.",
        f"        - Returned HRESULT: {code}",
        f"        - Error text: {symbol}",
    )


def exec_failed(code: int) -> tuple[str, ...]:
    """A program that ended with another code than 0 (exec-failed.log)."""
    return (f"The command script returned failure exit code {code}.", "The command script failed.")


def deleting(shadow_id: str, volume: str, provider: str) -> str:
    """A deleted shadow copy (deleted-zh.log; this text is a translation)."""
    return f"Deleting shadow copy {shadow_id} on volume {volume} from provider {provider} [Attributes: 0x00020009]..."
