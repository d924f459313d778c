"""DiskShadow on a simulated server: what a script does to the server's shadow copies, and the log that it leaves.

It follows published logs (tests/unit/vss/diskshadow, here by name) and Microsoft's pages on its commands ("docs").
It never guesses: it raises Unseen for what no source shows and for what quiesce does not use. No source shows whether
a script goes on after a line that DiskShadow does not understand or after a failed command: that is a knob.
"""

import re
from collections.abc import Callable, Generator, Iterator
from typing import NoReturn

from sandbox.windows import diskshadow_texts as texts
from sandbox.windows.diskshadow_lines import Unseen, lines_of
from sandbox.windows.vss import Server, ShadowCopy, VssWriter

GUID = r"\{[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\}"
STABLE = ("1 (VSS_WS_STABLE)", "0x00000000 (S_OK)")


# winerror.h: what starting a disabled service ends in. How DiskShadow writes it is not published: here as other codes.
SERVICE_DISABLED = ("80070422", "ERROR_SERVICE_DISABLED")


class _Ended(Exception):
    """The script has ended, well or badly."""


class DiskShadow:
    """One run of DiskShadow with a script."""

    def __init__(self, server: Server) -> None:
        """Start it on a server, whose knob decides whether a script goes on after an error."""
        self.server = server
        self.log: list[str] = []
        self.failed = False
        """Whether DiskShadow did not understand a line, or a command failed."""
        self._context, self._writers, self._verbose, self._metadata = "volatile", True, False, ""
        self._full = self._ended = self._create_failed = False
        self._volumes: list[tuple[str, str, str]] = []
        self._aliases: dict[str, str] = {}
        self._excluded: set[str] = set()
        self._taking_part: list[VssWriter] = []
        self._program: list[str] = []

    def run(self, script: bytes, hold: Callable[[list[str]], int]) -> bytes:
        """Run a script to its end, and return the log.

        ``hold`` is what ``exec`` starts: it takes the words of the line and returns an exit code.
        """
        steps, answer = self.steps(script), None
        while True:
            try:
                words = steps.send(answer)
            except StopIteration:
                return self.text()
            answer = 0 if words[0] in ("create", "end") else hold(words)

    def text(self) -> bytes:
        """Return the log so far."""
        return "".join(f"{line}\r\n" for line in self.log).encode("ascii")

    def steps(self, script: bytes) -> Generator[list[str], int | None, None]:
        """Run a script; yield the words of each line that takes time, and receive the exit code of what it starts."""
        self.log += texts.banner(self.server.name, self.server.time)
        try:
            for line in lines_of(script):
                self.log.append(f"-> {line}".rstrip())
                if line.lower() in ("create", "end backup"):
                    yield line.lower().split()
                self._line(line)
                if self._program:
                    self._executed((yield self._program) or 0)
            self._exit()
        except _Ended:
            return

    def _line(self, line: str) -> None:
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
        self.failed = True
        if self.server.after_error == "stop":
            self._exit()

    def _exit(self) -> NoReturn:
        """Leave. No source shows whether the note follows a hold that failed (exec-failed.log had no backup)."""
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
        """The last one counts (full.log); clientaccessible has no writers (docs of VSS_CTX_CLIENT_ACCESSIBLE)."""
        self._context, _, nowriters = context.lower().partition(" ")
        self._writers = not nowriters and self._context != "clientaccessible"

    def _set_metadata(self, path: str) -> None:
        self._metadata = path
        self.log += [texts.OVERWRITTEN] if path in self.server.files else []

    def _exclude_writer(self, writer_id: str) -> None:
        """Leave a writer out without a line in the log; an absent one is no error (docs of writer; VSSTester)."""
        if self._created or self._full or self._volumes:
            raise Unseen("writer exclude after begin backup or add volume")
        self._excluded.add(writer_id.lower())

    def _begin_backup(self) -> None:
        if self._full or self._created:
            raise Unseen("begin backup twice, or after create")
        self._full = True

    def _add_volume(self, name: str, alias: str | None, provider: str | None) -> None:
        asked = name.lower().rstrip("\\")
        found = [v for v, drive in self.server.volumes.items() if asked in (v.lower().rstrip("\\"), drive.lower())]
        if not found or self._created or found[0] in [volume for volume, _, _ in self._volumes]:
            raise Unseen(f"add volume {name}, which is missing, added twice, or added after create")
        alias = alias or f"VSS_SHADOW_{len(self._volumes) + 1}"
        self._volumes.append((found[0], alias, (provider or self.server.default_provider).lower()))

    def _create(self) -> None:
        if not self._volumes or self._created or not self._metadata:
            raise Unseen("create without a volume, without set metadata, or twice")
        self._ask_writers()
        if fails := self.server.create_fails or (None if self.server.services_run() else SERVICE_DISABLED):
            self.log += texts.failed(*fails)
            self._create_failed = True
            self._after()
            return
        set_id = self.server.new_id()
        first = len(self.server.shadow_copies) + 1
        copies = []
        for number, (volume, alias, provider) in enumerate(self._volumes, first):
            self._aliases[alias] = self.server.new_id()
            copy = ShadowCopy(self._aliases[alias], set_id, volume, self._context, self._writers, provider, number)
            copies.append(copy)
            self.log.append(texts.alias(alias, copy.shadow_id))
        self.server.add_copies(copies, [writer.name for writer in self._taking_part])
        self._aliases["VSS_SHADOW_SET"] = set_id
        self.log.append(texts.alias("VSS_SHADOW_SET", set_id, of_set=True))
        self.server.files.append(self._metadata)
        if self._verbose:
            self.log += texts.inserted(
                self._metadata.rpartition("\\")[2], len(self.server.writers) if self._writers else None
            )
        self._list_copies(set_id)

    def _ask_writers(self) -> None:
        """If verbose, log the dropped writers before those that take part (full.log)."""
        present = {volume for volume, _, _ in self._volumes}
        wanted = [writer for writer in self.server.writers if writer.writer_id not in self._excluded]
        asked = wanted if self._writers else []
        self._taking_part = [writer for writer in asked if writer.needs <= present and writer.taking_part(present)]
        for writer in asked if self._verbose else []:
            self.log += self._dropped(writer, present)
        for writer in self._taking_part if self._verbose else []:
            self.log += texts.including(writer.name, writer.taking_part(present))

    def _dropped(self, writer: VssWriter, present: set[str]) -> Iterator[str]:
        """Say what is dropped of a writer, each component with the first volume that it lacks (VSHADOW, select.cpp)."""
        for component in writer.components:
            needs = writer.component_needs.get(component, frozenset())
            if component == writer.components[0]:
                needs |= writer.needs
            if missing := sorted(needs - present):
                drive = self.server.volumes.get(missing[0])
                yield from texts.dropping(writer.name, component, f"{drive}\\" if drive else "")
        if writer.components and not writer.needs <= present:
            yield from texts.dropping_all(writer.name, writer.components[0])
        elif writer not in self._taking_part:
            yield texts.without_components(writer.name)

    def _list_copies(self, set_id: str) -> None:
        self.log += ["", f"Querying all shadow copies with the shadow copy set ID {set_id}", ""]
        if self._context != "persistent":
            raise Unseen(f"the attributes of {self._context} shadow copies")
        attributes = texts.PERSISTENT if self._writers else texts.PERSISTENT_WITHOUT_WRITERS
        copies = self.server.copies_of(set_id)
        for copy, (volume, alias, provider) in zip(copies, self._volumes, strict=True):
            place = f"{volume} [{self.server.volumes[volume]}\\]"
            details = (place, self.server.time, copy.device, self.server.name, provider, attributes)
            self.log += texts.shadow_copy(copy.shadow_id, set_id, alias, len(copies), details)
        self.log.append(f"Number of shadow copies listed: {len(copies)}")

    def _list_writers_status(self) -> None:
        self.log.append("Listing writer status ...")
        for writer in self.server.writers:
            took_part = writer in self._taking_part
            state, failure = (writer.state, writer.failure) if took_part else STABLE
            self.log += texts.writer_status(writer.name, state, failure, writer.writer_id, self.server.new_id())
        self.log.append(f"{len(self.server.writers)} writers listed.")

    def _expand(self, text: str) -> str:
        """Replace aliases and log each (full.log). After a failed create the program gets unknown ones as they are."""
        for name in re.findall(r"%(\w+)%", text):
            if name in self._aliases:
                self.log.append(f"-> %{name}% = {self._aliases[name]}")
            elif not self._create_failed:
                raise Unseen(f"%{name}%, which is no alias")
        return re.sub(r"%(\w+)%", lambda found: self._aliases.get(found[1], found[0]), text)

    def _exec(self, program: str, arguments: str) -> None:
        self._program = [program, *self._expand(arguments).split()]

    def _executed(self, code: int) -> None:
        self._program = []
        if code:  # DiskShadow prints and does nothing after this
            self.failed = True
            self.log += texts.exec_failed(code)
            raise _Ended

    def _expose(self, alias: str, drive: str) -> None:
        self._expand(alias)
        self.log.append(f"The shadow copy was successfully exposed as {drive}\\.")

    def _end_backup(self) -> None:
        """End a backup; DiskShadow also accepts it without begin backup (docs of import): then it was a copy."""
        if not self._created or self._ended:
            raise Unseen("end backup before create, or twice")
        self._ended = True
        for writer in self._taking_part:
            writer.notified.append("full" if self._full else "copy")

    def _delete_shadows(self, kind: str, wanted: str | None) -> None:
        def matches(copy: ShadowCopy) -> bool:
            return not wanted or wanted.lower() == (copy.set_id if kind.lower() == "set" else copy.shadow_id)

        if wanted and wanted.startswith("%"):
            wanted = self._expand(wanted)
        gone = [copy for copy in self.server.shadow_copies if matches(copy)]
        if not gone:
            raise Unseen("deleting a shadow copy that does not exist")
        if self.server.delete_fails:
            self.log += texts.failed(*self.server.delete_fails)
            self._after()
            return
        self.server.shadow_copies = [copy for copy in self.server.shadow_copies if copy not in gone]
        self.log += [texts.deleting(copy.shadow_id, copy.volume, copy.provider) for copy in gone]
        self.log += ["", f"Number of shadow copies deleted: {len(gone)}"]


# The lines that DiskShadow understands; it answers any other with a usage text.
_COMMANDS: dict[str, Callable[..., None]] = {
    r"set verbose (on|off)": DiskShadow._set_verbose,
    r"set context (clientaccessible|(?:persistent|volatile)(?: nowriters)?)": DiskShadow._set_context,
    r"set metadata ([A-Z]:\\[^ ]+\.cab)": DiskShadow._set_metadata,
    rf"writer exclude ({GUID})": DiskShadow._exclude_writer,
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
