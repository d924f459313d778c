"""What a scheduled task's definition must contain, so that the session starts, keeps running and has a watchdog.

Source of names, order and defaults: learn.microsoft.com/windows/win32/taskschd/task-scheduler-schema.
"""

import re
from collections.abc import Iterator
from xml.etree import ElementTree

from tools.guest.checker.source_rules import Finding

NAMESPACE = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"
DECLARATION = '<?xml version="1.0" encoding="UTF-16"?>'

# A setting, its required value, and what its default would do to a session.
SETTINGS = (
    ("Priority", "4", "7 is below normal, with low I/O priority: the freeze would take longer"),
    ("ExecutionTimeLimit", "PT0S", "the default ends the task after 72 hours"),
    ("DisallowStartIfOnBatteries", "false", "a server on its UPS would not be backed up"),
    ("StopIfGoingOnBatteries", "false", "a power failure would end the session"),
    ("StartWhenAvailable", "true", "a deadline that passes while the server is down would be lost"),
)
# The order of a trigger's elements in the schema.
TRIGGER_ORDER = ("Enabled", "StartBoundary", "EndBoundary", "Repetition", "ExecutionTimeLimit", "Delay", "RandomDelay")
# "." stands for the separator, which is a slash where the tests run.
COMMAND = r".+.System32.WindowsPowerShell.v1\.0.powershell\.exe"
ARGUMENTS = r"-NoProfile -NonInteractive -ExecutionPolicy Bypass -File \"[^\"]+\".*"


def task_findings(definition: bytes, *, watchdog: bool, account: bool = False) -> list[Finding]:
    """Check the definition of a task for ``schtasks.exe /create /xml`` or ``Register-ScheduledTask -Xml``.

    Args:
        definition: the bytes of the file.
        watchdog: whether the task is the watchdog, which must also start when the server boots.
        account: whether the task is that of another account than SYSTEM, which nothing but the runner starts.

    Returns:
        The findings, all of line 1.
    """
    try:
        text = definition.decode("utf-16" if definition.startswith(b"\xff\xfe") else "ascii")
        task = ElementTree.fromstring(text.removeprefix(DECLARATION))
    except (UnicodeDecodeError, ElementTree.ParseError) as error:
        return [Finding(1, "task-xml", str(error))]
    found = [
        *_encoding(definition, text),
        *(_account_principal(task) if account else _principal(task)),
        *_settings(task, parallel=watchdog or account),
        *_triggers(task, watchdog=watchdog, account=account),
    ]
    return [*found, *_action(task)]


def _encoding(definition: bytes, text: str) -> Iterator[Finding]:
    if not definition.startswith(b"\xff\xfe") or not text.startswith(DECLARATION):
        yield Finding(1, "task-encoding", "schtasks needs UTF-16, little endian, with byte order mark and declaration")


def _principal(task: ElementTree.Element) -> Iterator[Finding]:
    if _text(task, "Principals/Principal/UserId") != "S-1-5-18":
        yield Finding(1, "task-principal", "UserId must be S-1-5-18: the names of accounts are localised")
    if _text(task, "Principals/Principal/RunLevel") != "HighestAvailable":
        yield Finding(1, "task-principal", "RunLevel must be HighestAvailable")
    if _text(task, "Principals/Principal/LogonType") is not None:
        yield Finding(1, "task-principal", "the schema has no LogonType for SYSTEM")


def _account_principal(task: ElementTree.Element) -> Iterator[Finding]:
    user, logon = (_text(task, f"Principals/Principal/{name}") for name in ("UserId", "LogonType"))
    if not re.fullmatch(r"[\w-]+\\[\w.-]+\$?", user or ""):
        yield Finding(1, "task-principal", f"UserId must name the account with its domain or server, not {user}")
    elif logon != ("Password" if (user or "").endswith("$") else "S4U"):
        yield Finding(1, "task-principal", "LogonType must be S4U, and Password for a gMSA: no password is given")
    if _text(task, "Principals/Principal/RunLevel") != "HighestAvailable":
        yield Finding(1, "task-principal", "RunLevel must be HighestAvailable")


def _settings(task: ElementTree.Element, *, parallel: bool) -> Iterator[Finding]:
    instances = ("Parallel", "one that hangs would keep the next away") if parallel else ("IgnoreNew", "one is enough")
    for name, value, why in (*SETTINGS, ("MultipleInstancesPolicy", *instances)):
        if _text(task, f"Settings/{name}") != value:
            yield Finding(1, "task-settings", f"{name} must be {value}: {why}")


def _triggers(task: ElementTree.Element, *, watchdog: bool, account: bool) -> Iterator[Finding]:
    triggers = list(task.iterfind(f"{NAMESPACE}Triggers/*"))
    if account and triggers:
        yield Finding(1, "task-trigger", "a script under an account is started by the session's runner alone")
    enabled = [trigger for trigger in triggers if _text(trigger, "Enabled") in (None, "true")]
    kinds = {trigger.tag.removeprefix(NAMESPACE) for trigger in enabled}
    if watchdog and not {"BootTrigger", "TimeTrigger"} <= kinds:
        yield Finding(1, "task-trigger", "the watchdog must start at the deadline and at boot")
    for trigger in triggers:
        names = [child.tag.removeprefix(NAMESPACE) for child in trigger]
        if names != [name for name in TRIGGER_ORDER if name in names]:
            yield Finding(1, "task-trigger", f"{', '.join(names)}: unknown, or not in the schema's order")
        start = _text(trigger, "StartBoundary")
        if start is not None and not re.fullmatch(r"[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}Z", start):
            yield Finding(1, "task-trigger", f"{start}: a time without Z follows the server's time zone and its clock")


def _action(task: ElementTree.Element) -> Iterator[Finding]:
    if not re.fullmatch(COMMAND, _text(task, "Actions/Exec/Command") or ""):
        yield Finding(1, "task-action", "Command must be Windows PowerShell by its full path: SYSTEM never uses PATH")
    if not re.fullmatch(ARGUMENTS, _text(task, "Actions/Exec/Arguments") or ""):
        yield Finding(1, "task-action", f"Arguments must be {ARGUMENTS}")


def _text(element: ElementTree.Element, path: str) -> str | None:
    """Return the text at a path of element names, or ``None`` if there is none."""
    return element.findtext("/".join(NAMESPACE + name for name in path.split("/")))
