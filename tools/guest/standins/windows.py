"""Strict stand-ins for the programs of Windows that the guest starts: ``python -IS windows.py PROGRAM ARGUMENT...``.

Each takes exactly the command line that the guest uses and the real program documents. It writes anything else to the
machine's journal as ``refused``, which fails the case: a stand-in never guesses.
They start some times in each case: this file, which Python compiles each time, only finds the module of the program.
"""

import os
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    if sys.argv[1] in ("schtasks", "register-task"):
        from task_scheduler import PROGRAMS
    else:
        from programs import PROGRAMS
    sys.exit(PROGRAMS[sys.argv[1]](sys.argv[2:]))
