"""Make the guest's five texts from guest/parts: three SSM documents, and two scripts of a run's package.

A document is a prologue that sets the parameters, then its parts between two marks. guest/look.yaml only looks at a
server, guest/act.yaml acts on it, guest/mend.yaml changes its settings; src/quiesce/guest/quiesce.ps1 is what the
sessions and watchdogs of a run execute: Plan puts it into the run's package, with the hash that ``stage`` is told, and
where a policy names an account for its scripts, account.ps1, too.
Run ``python guest/document.py`` after every change of a part; ``--check`` reports whether you forgot to.
``--print`` prints all functions, for ``tools/guest/wine``.
"""

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDER = HERE / "parts"
# In this order: the parameters first, then what happens, in its order, then what that is made of; the call comes last.
BASE = ("state", "identity", "programs", "text")
MAKING = ("session", "clone", "saving", "tasks", "invoking", "files")
LOOK = ("look_parameters", "setup", "look", "examine", "inventory", "cluster", "collect", "cim", *BASE, "answer")
ACTING = ("act", "stage", "judging", "folder", "requests", "recovered")
ACT = ("act_parameters", "setup", *ACTING, *MAKING, *BASE, "answer")
MEND = ("mend_parameters", "setup", "mend", "identity", "text", "answer")
RUNNING = ("account", "calls", "waiting")
WATCHING = ("runner", "scripts", "account_scripts", *RUNNING, "holding", "shadow_copies", "cim", "processes")
SESSION = ("session_parameters", "setup", *WATCHING, *MAKING, *BASE, "task")
ACCOUNT = ("account_parameters", "setup", *RUNNING, "tasks", "invoking", "programs", "text", "account_task")
SESSION_SCRIPT = HERE.parent / "src" / "quiesce" / "guest" / "quiesce.ps1"
ACCOUNT_SCRIPT = SESSION_SCRIPT.with_name("account.ps1")

# Longer than any wait of a verb, so that the verb reports its own, better named error first.
COMMAND_TIMEOUT_S = 900
# maxChars bounds a link's length, because Go's regular expressions refuse counts above 1000.
LINK_MAX_CHARS = 3500
# The bounds of a policy: 600 s for a script and create, 900 s for the freeze, 48 h for the session.
SECONDS_600 = "^([1-9][0-9]?|[1-5][0-9]{2}|600)$"
SECONDS_900 = "^([1-9][0-9]?|[1-8][0-9]{2}|900)$"
SECONDS_48_HOURS = "^([1-9][0-9]{0,4}|1[0-6][0-9]{4}|17[01][0-9]{3}|172[0-7][0-9]{2}|172800)$"


def link_pattern(folder: str) -> str:
    """Return the pattern of a presigned link to one object in this folder of the stack's own bucket."""
    host = r"https://${Bucket}\.s3\.${AWS::Region}\.amazonaws\.(com(\.cn)?|eu)"
    # No segment begins with a dot, plain or escaped: ".." would lead out of the folder.
    letter = "([A-Za-z0-9_~-]|%[013-9A-Fa-f][0-9A-Fa-f]|%2[0-9A-DFa-df])"
    segment = rf"{letter}({letter}|[.])*"
    return rf"^(none|{host}/{folder}/{segment}(/{segment})*\?[A-Za-z0-9=&_.%~-]+)$"


PACKAGE_LINK, UPLOAD_LINK = link_pattern("packages"), link_pattern("logs")

# name: (default, or None for none; pattern; description). Systems Manager checks the patterns; nothing else does.
Parameters = dict[str, tuple[str | None, str, str]]
COMMON: Parameters = {
    "RunId": (None, "^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$", "The run of the backup."),
    "Attempt": ("1", "^[1-9][0-9]?$", "The attempt within the run."),
    "InstanceId": ("none", "^(none|i-[0-9a-f]{8,17})$", "The server that is meant."),
}
NAME = "[A-Za-z0-9][A-Za-z0-9_-]{0,39}"
LOOK_PARAMETERS: Parameters = {
    "Verb": (None, "^(inventory|examine|collect)$", "The verb for the server."),
    **COMMON,
    "WritersOf": ("none", f"^(none|{NAME}/{NAME})$", "inventory: owner and policy whose files of writers to read."),
    "Writers": ("false", "^(true|false)$", "inventory: list the VSS writers."),
    "Cluster": ("false", "^(true|false)$", "inventory: say which cluster it is a node of."),
    "UploadLink": ("none", UPLOAD_LINK, "collect: presigned link that takes one object."),
    "CollectOutput": ("false", "^(true|false)$", "collect: send the scripts' output, too."),
}
ACT_PARAMETERS: Parameters = {
    "Verb": (None, "^(stage|freeze|thaw|complete|recovered)$", "The verb for the server."),
    **COMMON,
    "Policy": ("none", f"^{NAME}$", "stage: the policy, for the scripts' names."),
    "Owner": ("none", f"^{NAME}$", "stage: the policy's owner, for the scripts' folder."),
    "Scripts": ("off", "^(off|bucket|server)$", "stage: where the scripts come from."),
    "PackageLink": ("none", PACKAGE_LINK, "stage: presigned link to the run's package."),
    "PackageHash": ("none", "^(none|[0-9a-fA-F]{64})$", "stage: SHA-256 of the run's package."),
    "BeforeTimeoutSeconds": ("60", SECONDS_600, "stage: time limit of the before script."),
    "CreateTimeoutSeconds": ("180", SECONDS_600, "stage: time limit of DiskShadow's create."),
    "AfterTimeoutSeconds": ("60", SECONDS_600, "stage: time limit of the after script."),
    "CompleteTimeoutSeconds": ("300", SECONDS_600, "stage: time limit of the complete script."),
    "FreezeLimitSeconds": ("120", SECONDS_900, "stage: how long after the before script the server thaws by itself."),
    "SessionLimitSeconds": ("100800", SECONDS_48_HOURS, "stage: after how long the server ends the session by itself."),
    "AbortShadowCopies": ("false", "^(true|false)$", "thaw: end DiskShadow and delete the shadow copies."),
    "Succeeded": ("false", "^(true|false)$", "complete: whether the whole backup succeeded."),
    "Nonce": ("none", "^(none|[0-9a-f]{32})$", "complete: the nonce of stage's answer, with success only."),
    "ThawAfterRecovery": ("false", "^(true|false)$", "recovered: run after where it is owed."),
    "WaitSeconds": ("60", "^[1-9][0-9]{0,2}$", "all but stage: how long to wait for the answer."),
    "LogBytes": ("0", "^[0-9]{1,7}$", "freeze, thaw, complete: how many bytes of DiskShadow's log to answer."),
}
# Of each service and limit that may be mended; Windows' own words and numbers.
GUID = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
VALUE = "^(Auto|Manual|Disabled|Running|Stopped|[0-9]{1,20})$"
MEND_PARAMETERS: Parameters = {
    "Verb": (None, "^set$", "The verb for the server."),
    **COMMON,
    "Setting": (None, "^(StartMode|State|MaxSpace)$", "What is changed."),
    "Subject": (None, f"^(VSS|swprv|EventSystem|{GUID})$", "The service, or the volume whose shadow storage it is."),
    "From": (None, VALUE, "What it is; another value stays."),
    "To": (None, VALUE, "What it becomes."),
}


@dataclass(frozen=True)
class Document:
    """One SSM document: its file, what it is for, its parameters and its parts."""

    file: Path
    description: str
    parameters: Parameters
    parts: tuple[str, ...]


DOCUMENTS = (
    Document(HERE / "look.yaml", "quiesce: look at a Windows server, without a change to it.", LOOK_PARAMETERS, LOOK),
    Document(HERE / "act.yaml", "quiesce: freeze, thaw and complete a Windows server's session.", ACT_PARAMETERS, ACT),
    Document(HERE / "mend.yaml", "quiesce: change a setting of a Windows server.", MEND_PARAMETERS, MEND),
)


def read_parts() -> dict[str, str]:
    """Return the texts of all parts by their names, each part once."""
    return {
        name: (FOLDER / f"{name}.ps1").read_text("ascii")
        for name in dict.fromkeys([*LOOK, *ACT, *MEND, *SESSION, *ACCOUNT])
    }


def guest_text() -> str:
    """Return every part but the parameters, one after the other."""
    return "\n".join(text for name, text in read_parts().items() if not name.endswith("_parameters"))


def joined(names: Iterable[str], texts: Mapping[str, str]) -> str:
    """Return the parts of these names as one script."""
    return "\n".join(texts[name] for name in names)


def parts_of_scripts() -> dict[str, tuple[str, ...]]:
    """Return the names of the parts of each script: ``look``, ``act``, ``mend``, ``quiesce`` and ``account``."""
    packed = {SESSION_SCRIPT.stem: SESSION, ACCOUNT_SCRIPT.stem: ACCOUNT}
    return {document.file.stem: document.parts for document in DOCUMENTS} | packed


def scripts(texts: Mapping[str, str]) -> dict[str, str]:
    """Return the scripts, before anything is left out of them, by their names."""
    return {name: joined(names, texts) for name, names in parts_of_scripts().items()}


def place(script: str, line: int) -> str:
    """Return the part, and the line in it, of a line of one of the scripts: ``runner.ps1:12``."""
    texts = read_parts()
    for name in parts_of_scripts()[script]:
        lines = texts[name].count("\n") + 1
        if line <= lines:
            return f"{name}.ps1:{line}"
        line -= lines
    raise ValueError(f"{script} ends {line} lines before")


def quoted(text: str) -> str:
    """Return the text as a single-quoted YAML scalar."""
    return "'" + text.replace("'", "''") + "'"


def parameter_lines(name: str, parameter: tuple[str | None, str, str]) -> list[str]:
    """Return the YAML of one parameter."""
    default, pattern, description = parameter
    lines = [f"  {name}:", "    type: String", f"    description: {quoted(description)}"]
    if default is not None:
        lines.append(f"    default: {quoted(default)}")
    if "${Bucket}" in pattern:
        return [*lines, f"    maxChars: {LINK_MAX_CHARS}", "    allowedPattern:", f"      Fn::Sub: {quoted(pattern)}"]
    return [*lines, f"    allowedPattern: {quoted(pattern)}"]


def script_lines(text: str, parameters: Iterable[str]) -> list[str]:
    """Return the PowerShell that the agent runs: the parameters, then the file between its marks.

    A document has room for 64 KB, so this drops comments, empty lines and indentation, and shortens the name of the
    variable that stands in it most often.
    """
    prologue = ["$parameters = @{", *(f"    {name} = '{{{{{name}}}}}'" for name in parameters), "}"]
    lines = [re.sub(r"(^|\s{2,})#.*", "", line.strip()) for line in text.splitlines()]
    code = [re.sub(r"\$session\b", "$S", line, flags=re.IGNORECASE) for line in lines if line]
    return [*prologue, "& {", "# quiesce begins", *code, "# quiesce ends", "} @parameters"]


def document_text(document: Document, script: str) -> str:
    """Return the YAML of a document with this script.

    Raises:
        ValueError: the script has two opening braces in a row, as a parameter has for the agent, is not ASCII, or has a
            variable of the name that is given to the shortened one.
    """
    if re.search(r"\$s\b", script, re.IGNORECASE):
        raise ValueError("the guest must not use $s: in the document it is $Session")
    if "{{" in script or not script.isascii():
        raise ValueError("the guest must be ASCII and hold no two opening braces in a row")
    lines = [
        "# Made by guest/document.py from guest/parts: change those.",
        "schemaVersion: '2.2'",
        f"description: {quoted(document.description)}",
        "parameters:",
        *(line for item in document.parameters.items() for line in parameter_lines(*item)),
        "mainSteps:",
        "  - action: aws:runPowerShellScript",
        "    name: quiesce",
        "    inputs:",
        f"      timeoutSeconds: '{COMMAND_TIMEOUT_S}'",
        "      runCommand:",
        "        - |",
        *(f"          {line}".rstrip() for line in script_lines(script, document.parameters)),
    ]
    return "\n".join(lines) + "\n"


def made(texts: Mapping[str, str]) -> dict[Path, str]:
    """Return the guest's texts by their files, from the texts of its parts."""
    return made_from(scripts(texts))


def made_from(ready: Mapping[str, str]) -> dict[Path, str]:
    """Return the guest's texts by their files, from its scripts."""
    documents = {document.file: document_text(document, ready[document.file.stem]) for document in DOCUMENTS}
    return documents | {script: ready[script.stem] for script in (SESSION_SCRIPT, ACCOUNT_SCRIPT)}


def main(arguments: list[str]) -> int:
    """Write the texts, or with ``--check`` return 1 if one is stale."""
    if arguments == ["--print"]:
        sys.stdout.write(guest_text())
        return 0
    texts = made(read_parts())
    stale = [file for file, text in texts.items() if not file.exists() or file.read_text("ascii") != text]
    if arguments == ["--check"]:
        for file in stale:
            sys.stderr.write(f"{file.relative_to(HERE.parent)} is stale: run python guest/document.py\n")
        return 1 if stale else 0
    for file in stale:
        file.write_text(texts[file], "ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
