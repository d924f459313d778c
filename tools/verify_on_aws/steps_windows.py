"""The step that runs the beliefs about Windows on the server: the scripts that we otherwise run on Wine."""

import base64
import re
import zlib
from pathlib import Path
from typing import NamedTuple

from guest.document import guest_text
from tools.verify_on_aws.session import Seen, Step, Verification, seen

SCRIPTS = Path(__file__).resolve().parents[1] / "guest" / "wine"
# AWS's own document: ours take their verbs only.
DOCUMENT = "AWS-RunPowerShellScript"
LIMIT_S = 1800.0
LINE = re.compile(r"(held|NOT held) +(.+?): (.*)")


class Beliefs(NamedTuple):
    """What the scripts printed: how many beliefs held, and each that did not with what was seen instead."""

    held: int
    others: list[str]


def beliefs_in(text: str) -> Beliefs:
    """Read the output of ``windows.ps1`` and ``guest.ps1``: one line for each belief."""
    found = [LINE.fullmatch(line.strip()) for line in text.splitlines()]
    lines = [line for line in found if line]
    return Beliefs(
        sum(line[1] == "held" for line in lines),
        [f"{line[2]}: {line[3]}" for line in lines if line[1] == "NOT held"],
    )


def commands() -> list[str]:
    """Return the PowerShell that unpacks the scripts into a folder and runs them one after the other."""
    files = {name: (SCRIPTS / name).read_text() for name in ("beliefs.ps1", "windows.ps1", "guest.ps1")}
    lines = ["$ErrorActionPreference = 'Stop'", "$folder = Join-Path $env:TEMP 'quiesce-verify-beliefs'"]
    lines += ["$null = New-Item -ItemType Directory -Force -Path $folder"]
    for name, text in {**files, "quiesce.ps1": guest_text()}.items():
        # Deflated: a command's parameters have at most 64 KB.
        packed = base64.b64encode(zlib.compress(text.encode(), 9)[2:-4]).decode()
        lines += [
            f"$packed = [IO.MemoryStream]::new([Convert]::FromBase64String('{packed}'))",
            "$plain = [IO.Compression.DeflateStream]::new($packed, [IO.Compression.CompressionMode]::Decompress)",
            f"$file = [IO.File]::Create((Join-Path $folder '{name}'))",
            "$plain.CopyTo($file); $file.Dispose()",
        ]
    run = "powershell.exe -NoProfile -ExecutionPolicy Bypass -File"
    lines += [f'{run} "$folder\\windows.ps1"', f'{run} "$folder\\guest.ps1" -Guest "$folder\\quiesce.ps1"']
    return [*lines, "Remove-Item -LiteralPath $folder -Recurse -Force", "exit 0"]


def windows_beliefs(it: Verification) -> Seen:
    """Run the scripts on the server, as SYSTEM in Windows PowerShell 5.1, and read what they print."""
    parameters = {"commands": commands(), "executionTimeout": [str(int(LIMIT_S))]}
    sent = it.calls("ssm:SendCommand", DocumentName=DOCUMENT, InstanceIds=[it.instance_id], Parameters=parameters)
    command_id = str(sent["Command"]["CommandId"])
    it.calls.until(
        "ssm:ListCommandInvocations",
        lambda found: any(each["Status"] not in ("Pending", "InProgress") for each in found["CommandInvocations"]),
        limit_s=LIMIT_S,
        CommandId=command_id,
    )
    ended = it.calls("ssm:GetCommandInvocation", CommandId=command_id, InstanceId=it.instance_id)
    output = str(ended["StandardOutputContent"])
    it.raw["windows-beliefs.txt"] = output.encode()
    found = beliefs_in(output)
    if not found.held:
        return Seen("not seen", f"{ended['StatusDetails']}: {ended['StandardErrorContent']}"[:800])
    return seen(not found.others, f"{found.held} held; not: {'; '.join(found.others) or 'none'}"[:2000])


STEPS = (
    Step(
        "windows-beliefs",
        "what tools/guest/wine looks at: exit codes, files that are open elsewhere, names, processes, rights, tasks",
        "all held",
        windows_beliefs,
    ),
)
