"""Strict stand-in for DiskShadow: ``diskshadow /s FILE /l LOG`` in the folder of both, on the sandbox's model of it.

It writes what the model does not know to the machine's journal as ``refused``, which fails the case.
"""

import fcntl
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[2]), str(HERE.parents[2] / "src")]
from sandbox.windows.diskshadow import DiskShadow, Unseen  # noqa: E402
from sandbox.windows.vss import Server, ShadowCopy, ShadowStorage  # noqa: E402
from tests.guest import shadows  # noqa: E402

MACHINE = Path(os.environ["FAKE_WINDOWS"])
STATE, CIM = MACHINE / "vss.json", MACHINE / "shadows.json"


@contextmanager
def locked() -> Iterator[None]:
    """Keep the machine's other DiskShadow processes away from its shadow copies."""
    with (MACHINE / "vss.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def load() -> Server:
    """Return the machine's VSS as it is now."""
    state = json.loads(STATE.read_text())
    faults = [file.name for file in (MACHINE / "faults").iterdir()]
    server = shadows.server(state["volumes"], faults)
    server.new_id = shadows.identifiers(state["issued"]).__next__
    server.shadow_copies = [ShadowCopy(**copy) for copy in state["copies"]]
    server.storage = [ShadowStorage(**storage) for storage in state["storage"]]
    return server


def save(server: Server, issued: int) -> None:
    """Save the machine's VSS, and its CIM instances."""
    state = {
        "volumes": server.volumes,
        "issued": issued,
        "copies": [asdict(copy) for copy in server.shadow_copies],
        "storage": [asdict(storage) for storage in server.storage],
    }
    for file, content in ((STATE, state), (CIM, shadows.instances(server))):
        draft = file.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps(content))
        draft.replace(file)


class Tool:
    """One DiskShadow of this machine."""

    def __init__(self, script: str, log: str) -> None:
        self.script, self.log = Path(script), Path(log)
        self.server = load()
        self.known = list(self.server.shadow_copies)
        self.new_id, self.issued = self.server.new_id, 0
        self.server.new_id = self.issue
        self.tool = DiskShadow(self.server)
        self.printed = 0

    def issue(self) -> str:
        """Return a new id."""
        self.issued += 1
        return self.new_id()

    def write(self) -> None:
        """Write the log; with the fault ``log in blocks`` it comes in blocks of 4 KB, and on stdout line by line."""
        text = self.tool.text()
        if (MACHINE / "faults" / "log in blocks").exists():
            sys.stdout.buffer.write(text[self.printed :])
            sys.stdout.flush()
            self.printed = len(text)
            text = text[: len(text) // 4096 * 4096]
        self.log.write_bytes(text)

    def keep(self) -> None:
        """Save the log, and what this process has made and deleted, on top of what others did meanwhile."""
        self.write()
        with locked():
            now, issued = load(), json.loads(STATE.read_text())["issued"]
            ours = self.server.shadow_copies
            gone = [copy for copy in self.known if copy not in ours]
            now.shadow_copies = [copy for copy in now.shadow_copies if copy not in gone]
            now.add_copies(copy for copy in ours if copy not in self.known)
            save(now, issued + self.issued)
        self.known, self.issued = list(ours), 0
        for file in self.server.files:
            here(file).write_bytes(b"MSCF")

    def run(self) -> int:
        """Run the script to its end."""
        text = self.script.read_bytes().decode("ascii").replace(str(MACHINE), "C:").replace("/", "\\")
        for set_id in re.findall(r"delete shadows set \{(\S+)\}", text):
            refuse_if_held(set_id.lower())
        steps, answer = self.tool.steps(text.encode()), None
        while True:
            try:
                words = steps.send(answer)
            except StopIteration:
                break
            self.keep()
            answer = self.wait(words)
        self.keep()
        self.log.write_bytes(self.tool.text())
        sys.stdout.buffer.write(self.tool.text()[self.printed :])
        return self.server.failure_exit_code if self.tool.failed else 0

    def wait(self, words: list[str]) -> int:
        """Take a line's time, and return its exit code."""
        wait_s = {"create": self.server.create_s, "end": self.server.end_s}.get(words[0])
        if wait_s is None:
            return self.hold(words)
        if math.isinf(wait_s):
            signal.pause()
        time.sleep(wait_s)
        return 0

    def hold(self, words: list[str]) -> int:
        """Run the batch file as a process of its own, which a DiskShadow that is killed leaves behind."""
        set_id = "".join(words[1:2])
        holding = MACHINE / f"holding.{set_id.strip('{}').lower()}"
        if set_id.startswith("{"):
            holding.write_text(str(os.getpid()))
        batch = [sys.executable, "-IS", HERE / "batch.py", here(words[0]), *words[1:]]
        done = subprocess.run(batch, stderr=subprocess.PIPE, text=True, check=False)
        if done.stderr:
            raise Unseen(done.stderr)
        return done.returncode


def here(path: str) -> Path:
    """Return the file here for a path on the machine's C:."""
    return MACHINE / path.removeprefix("C:\\").replace("\\", "/")


def refuse_if_held(set_id: str) -> None:
    """Refuse to delete a set while the DiskShadow that made it still runs: nobody has seen what that does."""
    holding = MACHINE / f"holding.{set_id}"
    if holding.exists() and Path(f"/proc/{holding.read_text()}").exists():
        raise Unseen(f"delete of {set_id} while its DiskShadow runs")


def refuse(why: str) -> int:
    """Record in the journal what the model does not know."""
    with (MACHINE / "journal").open("a") as journal:
        journal.write(json.dumps({"kind": "refused", "program": "diskshadow", "why": why}) + "\n")
    return 1


def main(arguments: list[str]) -> int:
    """Run DiskShadow with this command line."""
    match arguments:
        case ["/s", script, "/l", log] if re.fullmatch(r"\w+\.txt", script) and re.fullmatch(r"\w+\.log", log):
            try:
                return Tool(script, log).run()
            except Unseen as error:
                return refuse(str(error))
    return refuse(f"{arguments}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
