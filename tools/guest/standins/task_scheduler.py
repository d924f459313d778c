"""Task Scheduler: ``schtasks`` and ``Register-ScheduledTask``.

Nearly all starts of a stand-in are one of these, so nothing is imported before it is needed.
"""

import os
import sys

from machine_folder import MACHINE, fault, kill, known_account, note, refuse

FOLDER = "\\Quiesce\\"
TASK = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"


def task_file(name: str) -> str:
    """Return the file in which a task is kept."""
    return f"{MACHINE}/tasks/{name}"


def keep(task: dict[str, object], name: str) -> None:
    """Keep a task under its name."""
    import json

    with open(task_file(name), "w") as file:
        json.dump(task, file)


def task_of(path: str) -> dict[str, object]:
    """Return the task in a file; raise ValueError for one that Task Scheduler would refuse."""
    from datetime import UTC, datetime
    from xml.etree import ElementTree

    with open(path, "rb") as file:
        raw = file.read()
    if not raw.startswith(b"\xff\xfe"):
        raise ValueError("not UTF-16 with a byte order mark, the form in which Windows exports tasks")
    try:
        root = ElementTree.fromstring(raw.decode("utf-16"))
    except ElementTree.ParseError as error:
        raise ValueError(str(error)) from error
    if root.tag != f"{TASK}Task":
        raise ValueError(f"{root.tag} is no task")
    written = datetime.fromtimestamp(os.stat(path).st_mtime, UTC)  # what reads it may have waited for a processor
    triggers = []
    for trigger in root.find(f"{TASK}Triggers") or []:
        start = trigger.findtext(f"{TASK}StartBoundary")
        if trigger.tag == f"{TASK}BootTrigger":
            triggers.append({"boot": True})
        else:
            if not start or len(start) != len("2026-12-01T04:00:00Z") or not start.endswith("Z"):
                raise ValueError(f"a time of UTC to the second is known, not {start!r}")
            triggers.append({"in_s": round((datetime.fromisoformat(start) - written).total_seconds())})
    action = root.find(f"{TASK}Actions/{TASK}Exec")
    if action is None:
        raise ValueError("no action")
    priority = root.findtext(f"{TASK}Settings/{TASK}Priority") or "7"
    principal = root.find(f"{TASK}Principals/{TASK}Principal")
    user, logon = (principal.findtext(f"{TASK}{name}") if principal else None for name in ("UserId", "LogonType"))
    command = [action.findtext(f"{TASK}Command"), action.findtext(f"{TASK}Arguments")]
    return {"triggers": triggers, "command": command, "priority": int(priority), "user": user, "logon": logon}


def start_task(name: str) -> None:
    """Start a task as Task Scheduler does: the machine's environment, a session of its own, no handle of the caller."""
    import json
    import re
    import socket

    with open(task_file(name)) as file:
        task = json.load(file)
    command, arguments = task["command"]
    account = task["user"] if task["logon"] else ""
    if account and fault("batch"):
        return
    words = [command, *(quoted or bare for quoted, bare in re.findall(r'"([^"]*)"|(\S+)', arguments))]
    # The end of an account's process is what its runner waits for, so that is never a shared one.
    apart = account or is_apart(name)
    if not apart and os.path.exists(f"{MACHINE}/scheduler"):
        with socket.socket(socket.AF_UNIX) as scheduler:
            scheduler.connect(f"{MACHINE}/scheduler")
            scheduler.sendall(json.dumps([name, *words]).encode() + b"\n")
            scheduler.recv(1)  # once it is started
        return
    import subprocess

    with open(f"{MACHINE}/environment.json") as file:
        environment = json.load(file)
    if account:
        environment["FAKE_ACCOUNT"] = account
        note("account", name=name, account=account, logon=task["logon"])
        if fault("lie"):
            claim_another(os.path.dirname(words[words.index("-File") + 1]), environment)
    process = subprocess.Popen(
        words,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with open(f"{MACHINE}/tasks.pid/{name}", "w") as file:
        file.write(str(process.pid))


def is_apart(name: str) -> bool:
    """Return whether the machine has a process of its own for this task."""
    with open(f"{MACHINE}/apart") as file:
        return name.partition("-")[0] in file.read().split()


def claim_another(folder: str, environment: dict[str, str]) -> None:
    """Let the account say that its process is another's, which the machine notes."""
    import json
    import subprocess

    other = {name: value for name, value in environment.items() if name != "FAKE_ACCOUNT"}
    process = subprocess.Popen(["/bin/sleep", "600"], env=other, start_new_session=True)
    with open(f"{folder}/order") as file:
        stage = json.load(file)["stage"]
    with open(f"{folder}/said/{stage}.begun", "w") as file:
        file.write(str(process.pid))


def register_task(arguments: list[str]) -> int:
    """``Register-ScheduledTask -TaskName NAME -TaskPath PATH -Xml TEXT -Force``; its words for an account go to stdout.

    Without a password: S4U for an account of this server, Password for a gMSA, whose name ends with a dollar sign.
    """
    path, name, file = arguments
    try:
        task = task_of(file)
    except ValueError as error:
        return refuse("Register-ScheduledTask", arguments, str(error))
    account = str(task["user"])
    if path != FOLDER or task["logon"] != ("Password" if account.endswith("$") else "S4U"):
        return refuse("Register-ScheduledTask", arguments, f"{account} with the logon type {task['logon']}")
    if fault("register") or not known_account(account):
        sys.stdout.write("No mapping between account names and security IDs was done.")
        return 1
    keep(task, name)
    os.makedirs(f"{MACHINE}/registered", exist_ok=True)
    os.replace(file, f"{MACHINE}/registered/{name}.xml")
    return 0


def end_task(name: str) -> int:
    """End the process that a task has started; 1 if there is no such task."""
    if not os.path.exists(task_file(name)):
        return 1
    note("end", name=name)
    if os.path.exists(f"{MACHINE}/tasks.pid/{name}"):
        with open(f"{MACHINE}/tasks.pid/{name}") as file:
            process_id = int(file.read())
        try:
            if process_id:
                kill(process_id)
        except ProcessLookupError:
            return 0  # it has ended
    return 0


def create_task(name: str, file: str) -> int:
    """Register a task from its file."""
    if fault("schtasks"):
        return 1
    try:
        task = task_of(file)
    except ValueError as error:
        return refuse("schtasks", [name, file], str(error))
    if (task["user"], task["logon"]) != ("S-1-5-18", None):
        return refuse("schtasks", [name, file], "it asks for the password of another account than SYSTEM")
    keep(task, name)
    note("task", name=name, triggers=task["triggers"], priority=task["priority"])
    return 0


def run_task(name: str) -> int:
    """Start a task on demand; 1 if there is none: "the system cannot find the file specified".

    With the fault ``run late`` another has started it a moment before, and it has ended and removed itself.
    """
    if fault("run") or not os.path.exists(task_file(name)):
        return 1
    if fault("run late"):
        import time

        start_task(name)
        while os.path.exists(task_file(name)):
            time.sleep(0.02)
        return 1
    if not fault("start"):
        start_task(name)
    return 0


def delete_task(name: str) -> int:
    """Remove a task's definition; 1 if there is none."""
    try:
        os.unlink(task_file(name))
    except FileNotFoundError:
        return 1
    return 0


def schtasks(arguments: list[str]) -> int:
    """``/create /tn NAME /xml FILE /f``, ``/run /tn NAME``, ``/end``, ``/delete /tn NAME /f``: learn.microsoft.com."""
    if fault("schtasks hangs"):
        import signal

        signal.pause()
    match arguments:
        case ["/create", "/tn", name, "/xml", file, "/f"] if name.startswith(FOLDER):
            return create_task(name.removeprefix(FOLDER), file)
        case ["/run", "/tn", name] if name.startswith(FOLDER):
            return run_task(name.removeprefix(FOLDER))
        case ["/end", "/tn", name] if name.startswith(FOLDER):
            return end_task(name.removeprefix(FOLDER))
        case ["/delete", "/tn", name, "/f"] if name.startswith(FOLDER):
            return delete_task(name.removeprefix(FOLDER))
    return refuse("schtasks", arguments, "unknown")


PROGRAMS = {"schtasks": schtasks, "register-task": register_task}
