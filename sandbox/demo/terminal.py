"""The demo's output: colours and a running clock on a terminal, plain lines everywhere else."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Thread

BOLD, DIM, GREEN, RED, YELLOW, CYAN = "1", "2", "32", "31", "33", "36"
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
LIVELY = sys.stdout.isatty() and "NO_COLOR" not in os.environ
WIDTH_OF_NAMES = 12


def paint(text: str, *styles: str) -> str:
    """Return the text in these styles if the output is a terminal, unless NO_COLOR is set."""
    return f"\033[{';'.join(styles)}m{text}\033[0m" if LIVELY else text


def say(text: str = "") -> None:
    """Print one line without buffering."""
    print(text, flush=True)


def done(name: str, text: str, seconds: float | None = None) -> None:
    """Print a step that succeeded, and how long it took."""
    took = paint(f"  {seconds:.1f} s", DIM) if seconds is not None else ""
    say(f"{paint('✓', GREEN)} {paint(name.ljust(WIDTH_OF_NAMES), BOLD)} {text}{took}")


def table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns, the first row as their heading."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for number, row in enumerate(rows):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        say(f"  {paint(line, DIM) if number == 0 else line}")


def run(name: str, command: Sequence[str], environment: dict[str, str], folder: Path) -> float:
    """Run a command with a running clock, and return the seconds it took.

    Raises:
        SystemExit: the command failed; holds what it printed.
    """
    started, lines = time.monotonic(), [""]
    process = subprocess.Popen(
        command,
        env=environment,
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # a group of its own, so that its children end with it
    )
    reader = Thread(target=lambda: lines.extend(line.rstrip() for line in process.stdout or []), daemon=True)
    try:
        reader.start()
        if not LIVELY:
            say(f"  {name} ...")
        while _still_running(process):
            if LIVELY:
                _tick(name, time.monotonic() - started, lines[-1])
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
        if LIVELY:
            print("\r\033[K", end="")
    reader.join()
    if process.returncode != 0:
        raise SystemExit("\n".join([*lines, f"{' '.join(command)}: ended with {process.returncode}"]))
    return time.monotonic() - started


def _still_running(process: subprocess.Popen[str]) -> bool:
    try:
        process.wait(timeout=0.1)
    except subprocess.TimeoutExpired:
        return True
    return False


def _tick(name: str, seconds: float, last_line: str) -> None:
    spinner = SPINNER[int(seconds * 10) % len(SPINNER)]
    text = f"{spinner} {name.ljust(WIDTH_OF_NAMES)} {seconds:4.0f} s  {last_line}"
    print(f"\r\033[K{paint(text[: shutil.get_terminal_size().columns - 1], CYAN)}", end="", flush=True)
