"""DiskShadow on a simulated server: what a script makes of the server's shadow copies, and the log that it leaves.

It follows published logs (tests/unit/diskshadow, here by name) and Microsoft's pages on its commands ("docs").
It never guesses: what nobody has seen, and what quiesce has no use for, is Unseen. Whether a script goes on after
a line that DiskShadow does not understand, or after a command that failed, is known to nobody: a knob.
"""

import codecs
import re
from collections.abc import Callable, Iterator
from typing import Literal, NoReturn

from . import diskshadow_texts as texts
from .vss import Server, ShadowCopy, VssWriter

GUID = r"\{[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\}"
STABLE = ("1 (VSS_WS_STABLE)", "0x00000000 (S_OK)")


class Unseen(Exception):
    """Nobody has seen what DiskShadow does there, or quiesce has no use for it."""


class _Ended(Exception):
    """The script has come to its end, good or bad."""


def lines_of(script: bytes) -> Iterator[str]:
    """Read a script as DiskShadow does: where CR, LF or both are missing at a line's end, its last letters are taken.

    In UTF-16 it finds no line at all; letters that are not ASCII's, controls, or CR alone within it nobody has tried.
    """
    if script.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return
    if re.search(rb"[^\x20-\x7e\t\r\n]|\r(?!\n|\Z)", script):
        raise Unseen("letters other than ASCII's, a byte order mark, controls, or CR alone")
    for line in script.decode().splitlines(keepends=True):
        yield (line[:-2] if line.endswith("\r\n") else line.rstrip("\n")[:-1]).strip()


class DiskShadow:
    """One run of DiskShadow with a script."""

    def __init__(
        self, server: Server, hold: Callable[[list[str]], int], *, after_error: Literal["stop", "continue"] = "stop"
    ) -> None:
        """Start it; ``hold`` is what ``exec`` starts: it is given the words of the line, and returns an exit code."""
        self.server, self._hold, self._after_error = server, hold, after_error
        self.log: list[str] = []
        self._context, self._writers, self._verbose, self._metadata = "volatile", True, False, ""
        self._full = self._ended = False
        self._volumes: list[tuple[str, str, str]] = []
        self._aliases: dict[str, str] = {}
        self._taking_part: list[VssWriter] = []

    def run(self, script: bytes) -> bytes:
        """Run a script to its end, and return the log."""
        self.log += texts.banner(self.server.name, self.server.time)
        try:
            for line in lines_of(script):
                self._line(line)
            self._exit()
        except _Ended:
            return "".join(f"{line}\r\n" for line in self.log).encode("ascii")

    def _line(self, line: str) -> None:
        self.log.append(f"-> {line}".rstrip())
        if not line or line.startswith("#"):  # exec-failed-zh.log
            return
        for pattern, command in _COMMANDS.items():
            if found := re.fullmatch(pattern, line, re.IGNORECASE):
                command(self, *found.groups())
                return
        first = line.split(maxsplit=1)[0].upper()
        self.log += ["", *(texts.END_USAGE if first == "END" else (first,))]
        self._after()

    def _after(self) -> None:
        if self._after_error == "stop":
            self._exit()

    def _exit(self) -> NoReturn:
        """Leave; whether the note comes after a hold that failed nobody has seen (exec-failed.log had no backup)."""
        if self._full and self._created and not self._ended:
            self.log += texts.NOT_ENDED
        if self._created and self._context == "volatile":  # docs of set context: deleted on exit
            others = [copy for copy in self.server.shadow_copies if copy.set_id != self._aliases["VSS_SHADOW_SET"]]
            self.server.shadow_copies = others
        raise _Ended

    @property
    def _created(self) -> bool:
        return "VSS_SHADOW_SET" in self._aliases

    def _set_verbose(self, value: str) -> None:
        self._verbose = value.lower() == "on"

    def _set_context(self, context: str) -> None:
        """The last one holds (full.log); clientaccessible is without writers (docs of VSS_CTX_CLIENT_ACCESSIBLE)."""
        self._context, _, nowriters = context.lower().partition(" ")
        self._writers = not nowriters and self._context != "clientaccessible"

    def _set_metadata(self, path: str) -> None:
        self._metadata = path
        self.log += [texts.OVERWRITTEN] if path in self.server.files else []

    def _begin_backup(self) -> None:
        if self._full or self._created:
            raise Unseen("begin backup twice, or after create")
        self._full = True

    def _add_volume(self, name: str, alias: str | None, provider: str | None) -> None:
        asked = name.lower().rstrip("\\")
        found = [v for v, drive in self.server.volumes.items() if asked in (v.lower().rstrip("\\"), drive.lower())]
        if not found or self._created or found[0] in [volume for volume, _, _ in self._volumes]:
            raise Unseen(f"add volume {name}, which is not there, there twice, or added after create")
        alias = alias or f"VSS_SHADOW_{len(self._volumes) + 1}"
        self._volumes.append((found[0], alias, (provider or self.server.default_provider).lower()))

    def _create(self) -> None:
        if not self._volumes or self._created or not self._metadata:
            raise Unseen("create without a volume, without set metadata, or twice")
        self._ask_writers()
        if self.server.create_fails:
            self.log += texts.failed(*self.server.create_fails)
            self._after()
            return
        set_id = self.server.new_id()
        first = len(self.server.shadow_copies)
        for volume, alias, provider in self._volumes:
            self._aliases[alias] = self.server.new_id()
            copy = ShadowCopy(self._aliases[alias], set_id, volume, self._context, self._writers, provider)
            self.server.shadow_copies.append(copy)
            self.log.append(texts.alias(alias, copy.shadow_id))
        self._aliases["VSS_SHADOW_SET"] = set_id
        self.log.append(texts.alias("VSS_SHADOW_SET", set_id, of_set=True))
        self.server.files.append(self._metadata)
        if self._verbose:
            self.log += texts.inserted(
                self._metadata.rpartition("\\")[2], len(self.server.writers) if self._writers else None
            )
        self._list_copies(set_id, first)

    def _ask_writers(self) -> None:
        """Those that are dropped are told of before those that take part (full.log), and only if that is wanted."""
        present = {volume for volume, _, _ in self._volumes}
        asked = self.server.writers if self._writers else []
        self._taking_part = [writer for writer in asked if writer.components and writer.needs <= present]
        for writer in asked if self._verbose else []:
            self.log += texts.dropping(writer.name, writer.components) if writer not in self._taking_part else ()
        for writer in self._taking_part if self._verbose else []:
            self.log += texts.including(writer.name, writer.components)

    def _list_copies(self, set_id: str, first: int) -> None:
        self.log += ["", f"Querying all shadow copies with the shadow copy set ID {set_id}", ""]
        if self._context != "persistent":
            raise Unseen(f"the attributes of {self._context} shadow copies")
        attributes = texts.PERSISTENT if self._writers else texts.PERSISTENT_WITHOUT_WRITERS
        for number, (volume, alias, provider) in enumerate(self._volumes, first + 1):
            place = f"{volume} [{self.server.volumes[volume]}\\]"
            details = (place, self.server.time, str(number), self.server.name, provider, attributes)
            self.log += texts.shadow_copy(self._aliases[alias], set_id, alias, len(self._volumes), details)
        self.log.append(f"Number of shadow copies listed: {len(self._volumes)}")

    def _list_writers_status(self) -> None:
        self.log.append("Listing writer status ...")
        for writer in self.server.writers:
            took_part = writer in self._taking_part
            state, failure = (writer.state, writer.failure) if took_part else STABLE
            self.log += texts.writer_status(writer.name, state, failure, writer.writer_id, self.server.new_id())
        self.log.append(f"{len(self.server.writers)} writers listed.")

    def _expand(self, text: str) -> str:
        """Put in aliases, and show each (full.log)."""
        for name in re.findall(r"%(\w+)%", text):
            if name not in self._aliases:
                raise Unseen(f"%{name}%, which is no alias")
            self.log.append(f"-> %{name}% = {self._aliases[name]}")
        return re.sub(r"%(\w+)%", lambda found: self._aliases[found[1]], text)

    def _exec(self, program: str, arguments: str) -> None:
        code = self._hold([program, *self._expand(arguments).split()])
        if code:  # nothing is printed after it, and nothing more is done
            self.log += texts.exec_failed(code)
            raise _Ended

    def _expose(self, alias: str, drive: str) -> None:
        self._expand(alias)
        self.log.append(f"The shadow copy was successfully exposed as {drive}\\.")

    def _end_backup(self) -> None:
        """End a backup; without begin backup it is accepted, too (docs of import), and was a copy."""
        if not self._created or self._ended:
            raise Unseen("end backup before create, or twice")
        self._ended = True
        for writer in self._taking_part:
            writer.told.append("full" if self._full else "copy")

    def _delete_shadows(self, kind: str, wanted: str | None) -> None:
        def matches(copy: ShadowCopy) -> bool:
            return not wanted or wanted.lower() == (copy.set_id if kind.lower() == "set" else copy.shadow_id)

        if wanted and wanted.startswith("%"):
            wanted = self._expand(wanted)
        gone = [copy for copy in self.server.shadow_copies if matches(copy)]
        if not gone:
            raise Unseen("deleting what is not there")
        self.server.shadow_copies = [copy for copy in self.server.shadow_copies if copy not in gone]
        self.log += [texts.deleting(copy.shadow_id, copy.volume, copy.provider) for copy in gone]
        self.log += ["", f"Number of shadow copies deleted: {len(gone)}"]


# What is understood; anything else is a line that DiskShadow answers with a usage text.
_COMMANDS: dict[str, Callable[..., None]] = {
    r"set verbose (on|off)": DiskShadow._set_verbose,
    r"set context (clientaccessible|(?:persistent|volatile)(?: nowriters)?)": DiskShadow._set_context,
    r"set metadata ([A-Z]:\\[^ ]+\.cab)": DiskShadow._set_metadata,
    r"begin backup": DiskShadow._begin_backup,
    rf"add volume (\S+)(?: alias ([A-Z0-9]+))?(?: provider ({GUID}))?": DiskShadow._add_volume,
    r"create": DiskShadow._create,
    r"list writers status": DiskShadow._list_writers_status,
    r"exec ([A-Z]:\\[^ ]+)(.*)": DiskShadow._exec,
    r"expose (%\w+%) ([A-Z]:)": DiskShadow._expose,
    r"end backup": DiskShadow._end_backup,
    rf"delete shadows (set|id) ({GUID}|%\w+%)": DiskShadow._delete_shadows,
    r"delete shadows (all)()": DiskShadow._delete_shadows,
    r"exit": DiskShadow._exit,
}
