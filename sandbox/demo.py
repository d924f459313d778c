"""A Windows server backed up, from deployment to record, on a local AWS: `python -m sandbox.demo`."""

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from .application import Examination
from .environment import credentials
from .executions import follow
from .gateway import Sandbox
from .interpreter import ARCHITECTURE, RUNTIME
from .servers import DISKS, Server
from .terminal import BOLD, DIM, GREEN, YELLOW, done, paint, run, say, table

PROJECT = Path(__file__).parents[1]
TORN_SEED = 2
WAIT_SCALE = 0.1
SNAPSHOT_DURATION_S = 3.0
POLICY = """\
name: files-nightly
owner: demo
targets:
  - instance_id: {instance_id}
"""


def main() -> None:
    """Play the demo; Ctrl-C ends everything that it started."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.demo", description=__doc__)
    parser.add_argument("--seed", type=int, default=TORN_SEED, help="decides the instant (default: an unlucky one)")
    parser.add_argument("--home", type=Path, default=PROJECT / ".sandbox", help="its folder (default: .sandbox)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        _play(arguments.home.resolve(), arguments.seed)
    except KeyboardInterrupt:
        say(f"\n{paint('Ended.', DIM)} Nothing is left running.")
        sys.exit(128 + signal.SIGINT)


def _play(home: Path, seed: int) -> None:
    say(paint("\nA Windows server, backed up on a local AWS\n", BOLD))
    started = time.monotonic()
    with Sandbox(home, seed=seed, wait_scale=WAIT_SCALE) as aws:
        done("local AWS", f"{aws.endpoint}, in this process", time.monotonic() - started)
        outputs = _deploy(aws)
        server = _prepare(aws, outputs["BucketName"])
        record = _back_up(aws, outputs["BackupMachineArn"], server)
        _show_record(record)
        _show_data(aws.servers.examine({s["volume_id"]: s["snapshot_id"] for s in record["snapshots"]}))
    _show_what_next(seed)


def _deploy(aws: Sandbox) -> dict[str, str]:
    """The real `sam build` and `sam deploy`; only the Python, the processor and the endpoint are this machine's.

    They build into the sandbox's own folder: what `sam deploy` later takes to AWS is built for Lambda, not for here.
    """
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        **credentials(aws.endpoint),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "SAM_CLI_TELEMETRY": "0",
        "__SAM_CLI_APP_DIR": str(aws.home / "sam"),
        "PIP_CACHE_DIR": str(aws.home / "pip"),
        "QUIESCE_RUNTIME": RUNTIME,
        "QUIESCE_ARCHITECTURE": ARCHITECTURE,
    }
    build, cache = str(aws.home / "build"), str(aws.home / f"cache-{RUNTIME}-{ARCHITECTURE}")
    command = ["sam", "build", "--cached", "--cache-dir", cache, "--build-dir", build]
    took = run("sam build", command, environment, PROJECT)
    done("sam build", f"the real template, for {RUNTIME} on {ARCHITECTURE}", took)
    command = ["sam", "deploy", "--template-file", f"{build}/template.yaml"]
    command += ["--config-file", str(PROJECT / "samconfig.toml")]  # else it is looked for beside the built template
    command += ["--parameter-overrides", f"Runtime={RUNTIME}", f"Architecture={ARCHITECTURE}"]
    took = run("sam deploy", command, environment, PROJECT)
    stack = aws.client("cloudformation").describe_stacks(StackName="quiesce")["Stacks"][0]
    done("sam deploy", f"stack {stack['StackName']}: {stack['StackStatus']}", took)
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def _prepare(aws: Sandbox, bucket: str) -> Server:
    from .snapshots import RULES

    RULES.duration_s = SNAPSHOT_DURATION_S
    server = aws.servers.add("SERVER1")
    drives = ", ".join(f"{disk.drive} {disk.size_gib} GiB" for disk in DISKS)
    done("server", f"{server.name}, {server.instance_id}, Windows: {drives}; a shop is open on D: and E:")
    policy = POLICY.format(instance_id=server.instance_id)
    aws.client("s3").put_object(Bucket=bucket, Key="policies/files-nightly.yaml", Body=policy.encode())
    done("policy", f"s3://{bucket}/policies/files-nightly.yaml")
    return server


def _back_up(aws: Sandbox, machine: str, server: Server) -> dict[str, Any]:
    states = aws.client("stepfunctions")
    request = json.dumps({"policy": "files-nightly", "instance_id": server.instance_id})
    execution = states.start_execution(stateMachineArn=machine, input=request)["executionArn"]
    say(f"\n{paint('Backup', BOLD)} started with {request}")
    say(paint(f"  as its own history has it; waits are {1 / WAIT_SCALE:.0f} times shorter here", DIM))
    for name, seconds in follow(aws, execution):
        say(f"  {paint(f'{seconds:5.1f} s', DIM)}  {name}")
    ended = states.describe_execution(executionArn=execution)
    if "output" not in ended:
        raise SystemExit(f"The execution ended {ended['status']}: {ended.get('error')}: {ended.get('cause')}")
    record: dict[str, Any] = json.loads(ended["output"])
    return record


def _show_record(record: dict[str, Any]) -> None:
    say(f"\n{paint('Record', BOLD)} {record['record']}")
    colour = GREEN if record["status"] == "Successful" else YELLOW
    say(f"  status       {paint(record['status'], BOLD, colour)}: {record['reason']}")
    say(f"  consistency  {paint(record['consistency']['level'], BOLD, YELLOW)}: {record['consistency']['reason']}")
    rows = [["volume", "device", "size", "snapshot", "state", "instant"]]
    for snapshot in record["snapshots"]:
        size = f"{snapshot['size_gib']} GiB"
        row = [snapshot["volume_id"], snapshot["device"], size, snapshot["snapshot_id"], snapshot["state"]]
        rows.append([*row, snapshot["started_at"][11:19]])
    table(rows)


def _show_data(found: Examination) -> None:
    say(f"\n{paint('Data', BOLD)} as found in these snapshots")
    say(f"  D: orders  {found.orders:5} worth {found.orders_total}")
    say(f"  E: ledger  {found.bookings:5} worth {found.bookings_total}")
    if found.torn:
        say(f"\n  {paint('Torn.', BOLD, YELLOW)} All volumes were copied at one instant, between two writes:")
        say(f"  order {found.orders} is on D:, its booking is not on E:. This is what crash-consistent means.")
    else:
        say(f"\n  {paint('Whole, by luck.', BOLD, GREEN)} Nobody asked the shop to pause; other instants are torn.")


def _show_what_next(seed: int) -> None:
    python = sys.executable.removeprefix(f"{Path.cwd()}{os.sep}")
    other = 1 if seed == TORN_SEED else TORN_SEED
    say(f"\n{paint('Try next', BOLD)}")
    for command, purpose in (
        (f"{python} -m sandbox.demo --seed {other}", "another instant"),
        (f"{python} -m sandbox", "keep the local AWS open for your own commands"),
        ("make test", "all tests, on this same local AWS"),
        ("make deploy", "the same template, to your AWS account"),
    ):
        say(f"  {command:42} {paint(purpose, DIM)}")
    say()


if __name__ == "__main__":
    main()
