"""The report of a verification: a folder and an archive of it, to read and to send, without the account's number."""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tools.verify_on_aws.session import Seen, Step

MASK = "000000000000"
SIMULATED = (
    "SIMULATED. This was seen on a local AWS, and shows that the tool works; it shows nothing of AWS or Windows."
)


@dataclass
class Report:
    """What a verification saw, step by step, and what it measured."""

    name: str
    region: str
    account: str
    began: datetime
    simulated: bool
    seen: list[tuple[Step, Seen]] = field(default_factory=list)
    measured: dict[str, Any] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    ended_by: str = ""
    dollars: float = 0.0

    def add(self, step: Step, what: Seen) -> None:
        """Add what a step saw."""
        self.seen.append((step, what))

    def verdict(self, what: Seen) -> str:
        """Return a verdict as the report writes it."""
        return f"simulated: {what.verdict}" if self.simulated and what.verdict != "not run" else what.verdict

    def text(self) -> str:
        """Return the report for people."""
        lines = [f"# {self.name}", ""]
        if self.simulated:
            lines += [f"**{SIMULATED}**", ""]
        lines += [
            f"Region {self.region}, begun {self.began:%Y-%m-%d %H:%M} UTC, at most ${self.dollars:.2f} spent.",
            "",
        ]
        if self.ended_by:
            lines += [f"Ended early: {self.ended_by}", ""]
        lines += ["| Step | We believe | Expected | Seen | Verdict |", "|---|---|---|---|---|"]
        for step, what in self.seen:
            cells = (step.name, step.beliefs, step.expected, what.words, self.verdict(what))
            lines.append(f"| {' | '.join(cell.replace('|', '/').replace(chr(10), ' ') for cell in cells)} |")
        lines += ["", "## Measured", ""]
        lines += [f"- {name}: {json.dumps(value, default=str)}" for name, value in self.measured.items()] + [""]
        lines += ["## Not deleted", "", *([f"- {each}" for each in self.left] or ["Nothing is left."]), ""]
        return self._masked("\n".join(lines))

    def data(self) -> str:
        """Return the report for programs."""
        steps = [
            {
                "step": step.name,
                "belief": step.beliefs,
                "expected": step.expected,
                "seen": what.words,
                "verdict": what.verdict,
                "simulated": self.simulated,
            }
            for step, what in self.seen
        ]
        whole = {
            "name": self.name,
            "region": self.region,
            "began": self.began.isoformat(),
            "simulated": self.simulated,
            "dollars_at_most": round(self.dollars, 2),
            "ended_by": self.ended_by,
            "steps": steps,
            "measured": self.measured,
            "left": self.left,
        }
        return self._masked(json.dumps(whole, indent=2, default=str))

    def write(self, folder: Path, raw: dict[str, bytes], made: Sequence[tuple[str, str, str]]) -> Path:
        """Write the report, the raw files and the calls; return the archive of all."""
        target = folder / self.name
        (target / "raw").mkdir(parents=True, exist_ok=True)
        (target / "report.md").write_text(self.text())
        (target / "report.json").write_text(self.data())
        calls = "\n".join(f"{operation} {parameters} -> {outcome}" for operation, parameters, outcome in made)
        (target / "calls.log").write_text(self._masked(calls) + "\n")
        for name, content in raw.items():
            (target / "raw" / Path(name).name).write_bytes(content)
        archive = folder / f"{self.name}.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
            for path in sorted(target.rglob("*")):
                if path.is_file():
                    packed.write(path, path.relative_to(folder))
        return archive

    def _masked(self, text: str) -> str:
        return text.replace(self.account, MASK)
