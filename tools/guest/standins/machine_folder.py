"""The machine's folder, ``$FAKE_WINDOWS``: its journal, its faults and its accounts.

Stand-ins start some times in each contract case, so this imports nothing at once but what every Python has loaded.
"""

import os

MACHINE = os.environ["FAKE_WINDOWS"]


def note(kind: str, **facts: object) -> None:
    """Append one line to the machine's journal."""
    import json

    with open(f"{MACHINE}/journal", "a") as journal:
        journal.write(json.dumps({"kind": kind, **facts}) + "\n")


def refuse(program: str, arguments: list[str], why: str) -> int:
    """Record a command line that the real program would refuse, or that the stand-in does not know."""
    note("refused", program=program, arguments=arguments, why=why)
    return 1


def fault(name: str) -> bool:
    """Return whether the case has this fail: ``icacls``, ``schtasks`` (create), ``start`` (never comes up), ..."""
    return os.path.exists(f"{MACHINE}/faults/{name}")


def known_account(name: str) -> bool:
    """Return whether the server or its domain has an account; names are the same in upper and lower case."""
    import json

    with open(f"{MACHINE}/accounts.json") as file:
        known = json.load(file)
    return not fault("account gone") and name.lower() in [each.lower() for each in known]


def kill(process_id: int) -> None:
    """End a process, and write its number down, so that the case knows that its own machine has ended it.

    Machines use the same PowerShells one after the other. A case whose PowerShell ended otherwise runs again.

    Raises:
        ProcessLookupError: it has ended.
    """
    import signal

    with open(f"{MACHINE}/killed/{process_id}", "w"):
        os.kill(process_id, signal.SIGKILL)
