"""Run the sandbox until Ctrl-C: `python -m sandbox`."""

import argparse
import signal
import sys
import threading
from pathlib import Path

from sandbox.environment import credentials
from sandbox.gateway import PortTakenError, Sandbox


def main() -> None:
    """Start the sandbox, add one simulated server, print how to reach both, and wait for the end."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox", description="A local AWS with one simulated Windows server."
    )
    parser.add_argument("--port", type=int, default=0, help="TCP port on the loopback interface (default: a free one)")
    parser.add_argument("--home", type=Path, default=Path(".sandbox"), help="folder for its files (default: .sandbox)")
    parser.add_argument(
        "--seed", type=int, default=1, help="decides when the busy application is observed (default: 1)"
    )
    arguments = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        _run(Sandbox(arguments.home, port=arguments.port, seed=arguments.seed), ended)
    except PortTakenError as error:
        sys.exit(str(error))


def _run(sandbox: Sandbox, ended: threading.Event) -> None:
    with sandbox as aws:
        server = aws.servers.add("SERVER1")
        for name, value in credentials(aws.endpoint).items():
            print(f"export {name}={value}")
        print(f"# Windows server {server.name}: {server.instance_id}. Ctrl-C ends the sandbox.", flush=True)
        ended.wait()


if __name__ == "__main__":
    main()
