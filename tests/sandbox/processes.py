"""What runs on this machine."""

import subprocess


def running_with(text):
    """The command lines that contain a text, however long they are."""
    listed = subprocess.run(["ps", "-ewwo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if text in line]
