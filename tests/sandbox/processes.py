"""The processes on this machine."""

import subprocess


def running_with(text):
    """Return the whole command lines that contain a text."""
    listed = subprocess.run(["ps", "-ewwo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if text in line]
