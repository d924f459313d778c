"""Make guest/document.yaml, the SSM document, from guest/quiesce.ps1.

The document is a prologue that sets the parameters, then the file between two marks: ``stage`` saves the text between
them on the server, so that sessions and watchdogs run the very text that was sent.
Run ``python guest/document.py`` after every change of quiesce.ps1; ``--check`` reports whether you forgot to.
"""

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCRIPT = HERE / "quiesce.ps1"
DOCUMENT = HERE / "document.yaml"

# Longer than any wait of a verb, so that the verb reports its own, better named error first.
COMMAND_TIMEOUT_S = 900
# maxChars bounds a link's length, because Go's regular expressions refuse counts above 1000.
LINK_MAX_CHARS = 2500
SECONDS = "^[1-9][0-9]{0,5}$"


def link_pattern(folder: str) -> str:
    """Return the pattern of a presigned link to one object in this folder of the stack's own bucket."""
    host = r"https://${Bucket}\.s3\.${AWS::Region}\.amazonaws\.com(\.cn)?"
    return rf"^(none|{host}/{folder}/[A-Za-z0-9/_.%~-]+\?[A-Za-z0-9=&_.%~-]+)$"


GUID = "[{][0-9a-fA-F-]{36}[}]"
# The lines that quiesce.vss.script writes, and no other command: a free "exec" would run any program as SYSTEM.
SHADOW_LINES = (
    "# [A-Za-z :,.]+",
    "set verbose on",
    "set context persistent",
    r"set metadata [*]\\writers\.cab",
    f"writer exclude {GUID}",
    "begin backup",
    rf"add volume \\\\\?\\Volume{GUID}\\ alias shadow[0-9]+ provider {GUID}",
    "create",
    "list writers status",
    r"exec [*]\\hold\.cmd %VSS_SHADOW_SET%",
    "end backup",
    "exit",
)
SHADOW_SCRIPT = rf"^(none|(({'|'.join(SHADOW_LINES)})([|]|$))+)$"
# The longest script: 32 volumes, 5 writers excluded. With three links a document has no room for more.
SHADOW_SCRIPT_MAX_CHARS = 4600

SCRIPT_LINK, UPLOAD_LINK = link_pattern("scripts"), link_pattern("logs")

# name: (default, or None for none; pattern; description)
PARAMETERS: dict[str, tuple[str | None, str, str]] = {
    "Verb": (None, "^(inventory|stage|freeze|thaw|complete|collect)$", "The verb for the server."),
    "RunId": (None, "^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$", "The run of the backup."),
    "Attempt": ("1", "^[1-9][0-9]?$", "The attempt within the run."),
    "InstanceId": ("none", "^(none|i-[0-9a-f]{8,17})$", "inventory, stage: the target server."),
    "Policy": ("none", "^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$", "stage: the policy, for the scripts' names."),
    "Scripts": ("off", "^(off|bucket|server)$", "stage: where the scripts come from."),
    "BeforeLink": ("none", SCRIPT_LINK, "stage: presigned link to the before script."),
    "AfterLink": ("none", SCRIPT_LINK, "stage: presigned link to the after script."),
    "CompleteLink": ("none", SCRIPT_LINK, "stage: presigned link to the complete script."),
    "BeforeTimeoutSeconds": ("60", SECONDS, "stage: time limit of the before script."),
    "AfterTimeoutSeconds": ("60", SECONDS, "stage: time limit of the after script."),
    "CompleteTimeoutSeconds": ("300", SECONDS, "stage: time limit of the complete script."),
    "FreezeLimitSeconds": ("120", SECONDS, "stage: how long after the before script the server thaws by itself."),
    "SessionLimitSeconds": ("100800", SECONDS, "stage: after how long the server ends the session by itself."),
    "ShadowScript": (
        "none",
        SHADOW_SCRIPT,
        "stage: DiskShadow's script, its lines joined, * for the attempt's folder.",
    ),
    "CreateTimeoutSeconds": ("180", SECONDS, "stage: time limit of DiskShadow's create."),
    "AbortShadowCopies": ("false", "^(true|false)$", "thaw: end DiskShadow and delete the shadow copies."),
    "Succeeded": ("false", "^(true|false)$", "complete: whether the whole backup succeeded."),
    "WaitSeconds": ("60", "^[1-9][0-9]{0,2}$", "freeze, thaw, complete: how long to wait for the answer."),
    "UploadLink": ("none", UPLOAD_LINK, "collect: presigned link that takes one object."),
    "CollectOutput": ("false", "^(true|false)$", "collect: send the scripts' output, too."),
}


def quoted(text: str) -> str:
    """Return the text as a single-quoted YAML scalar."""
    return "'" + text.replace("'", "''") + "'"


def parameter_lines(name: str) -> list[str]:
    """Return the YAML of one parameter."""
    default, pattern, description = PARAMETERS[name]
    lines = [f"  {name}:", "    type: String", f"    description: {quoted(description)}"]
    if default is not None:
        lines.append(f"    default: {quoted(default)}")
    if name == "ShadowScript":
        lines.append(f"    maxChars: {SHADOW_SCRIPT_MAX_CHARS}")
    if "${Bucket}" in pattern:
        return [*lines, f"    maxChars: {LINK_MAX_CHARS}", "    allowedPattern:", f"      Fn::Sub: {quoted(pattern)}"]
    return [*lines, f"    allowedPattern: {quoted(pattern)}"]


def script_lines(script: str) -> list[str]:
    """Return the PowerShell that the agent runs: the parameters, then the file between its marks.

    A document has room for 64 KB, so this drops comments, empty lines and indentation, and shortens the name of the
    variable that stands in it most often.
    """
    prologue = ["$parameters = @{", *(f"    {name} = '{{{{{name}}}}}'" for name in PARAMETERS), "}"]
    lines = [re.sub(r"(^|\s{2,})#.*", "", line.strip()) for line in script.splitlines()]
    code = [re.sub(r"\$session\b", "$S", line, flags=re.IGNORECASE) for line in lines if line]
    return [*prologue, "& {", "# quiesce.ps1 begins", *code, "# quiesce.ps1 ends", "} @parameters"]


def document(script: str) -> str:
    """Return the document's YAML.

    Raises:
        ValueError: the script has two opening braces in a row, as a parameter has for the agent, is not ASCII, or has a
            variable of the name that is given to the shortened one.
    """
    if re.search(r"\$s\b", script, re.IGNORECASE):
        raise ValueError("quiesce.ps1 must not use $s: in the document it is $Session")
    if "{{" in script or not script.isascii():
        raise ValueError("quiesce.ps1 must be ASCII and hold no two opening braces in a row")
    lines = [
        "# Made by guest/document.py from guest/quiesce.ps1: change those.",
        "schemaVersion: '2.2'",
        "description: 'quiesce: freeze, thaw and complete a backup session on a Windows server.'",
        "parameters:",
        *(line for name in PARAMETERS for line in parameter_lines(name)),
        "mainSteps:",
        "  - action: aws:runPowerShellScript",
        "    name: quiesce",
        "    inputs:",
        f"      timeoutSeconds: '{COMMAND_TIMEOUT_S}'",
        "      runCommand:",
        "        - |",
        *(f"          {line}".rstrip() for line in script_lines(script)),
    ]
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Write the document, or with ``--check`` return 1 if it is stale."""
    wanted = document(SCRIPT.read_text("ascii"))
    if arguments == ["--check"]:
        fresh = DOCUMENT.read_text("ascii") == wanted
        if not fresh:
            sys.stderr.write("guest/document.yaml is stale: run python guest/document.py\n")
        return 0 if fresh else 1
    DOCUMENT.write_text(wanted, "ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
