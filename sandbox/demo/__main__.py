"""A Windows server backed up and recovered, from deployment to its data, on a local AWS: `python -m sandbox.demo`."""

import argparse
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sandbox.aws.interpreter import ARCHITECTURE, RUNTIME
from sandbox.aws.snapshots import RULES
from sandbox.demo.commands import commands, to_look
from sandbox.demo.month import play_month
from sandbox.demo.pages import keep_pages
from sandbox.demo.policy import play_policy
from sandbox.demo.recovery import play_recovery, show_hand_over
from sandbox.demo.terminal import BOLD, DIM, GREEN, RED, YELLOW, done, paint, run, say, table
from sandbox.environment import credentials
from sandbox.executions import follow
from sandbox.gateway import Sandbox
from sandbox.servers import DISKS, SHOP_WRITER, Server
from sandbox.windows.application import ORDERS_DRIVE, Examination
from sandbox.windows.inventory import Drive, volume_guid
from sandbox.windows.vss import ShadowCopy, ShadowStorage

PROJECT = Path(__file__).parents[2]
TORN_SEED = 2
WAIT_SCALE = 0.1
# Done by the second look, as on AWS where little has changed: the machine looks again after ten seconds, one here.
SNAPSHOT_DURATION_S = 0.8
SWEEP_PATIENCE_S = 120
# Seconds; without it sam looks every 5 whether a change set or a stack is ready.
SAM_LOOKS_EVERY_S = 0.2
FREEZE_LIMIT_S = 120
# EBS User Guide, pricing of the EBS direct APIs, its examples.
GET_DOLLARS, LIST_DOLLARS = 0.003 / 1000, 0.0006 / 1000
EXAMPLES = PROJECT / "examples" / "scripts"
POLICIES = {
    "files-nightly": """\
name: files-nightly
owner: demo
targets:
  - instance_id: {instance_id}
    vss: off
""",
    "orders": """\
name: orders
owner: demo
targets:
  - instance_id: {instance_id}
    scripts: {{from: bucket}}
    vss: {{create_limit_s: 60, retry_wait_s: 20}}
    freeze_limit_s: {freeze_limit_s}
""",
    "shop": """\
name: shop
owner: demo
targets:
  - instance_id: {instance_id}
""",
}


def main() -> None:
    """Play the demo; Ctrl-C ends all that it started."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.demo", description=__doc__)
    parser.add_argument("--seed", type=int, default=TORN_SEED, help="decides the instant (default: an unlucky one)")
    parser.add_argument("--home", type=Path, default=PROJECT / ".sandbox", help="its folder (default: .sandbox)")
    parser.add_argument("--recovery", action="store_true", help="only one backup, and a recovery from it")
    parser.add_argument("--open", action="store_true", help="deploy, print what to try, and stay open until Ctrl-C")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        act = _open if arguments.open else _recovery if arguments.recovery else _everything
        _play(arguments.home.resolve(), arguments.seed, act)
    except KeyboardInterrupt:
        say(f"\n{paint('Ended.', DIM)} Nothing is left running.")
        sys.exit(128 + signal.SIGINT)


def _play(home: Path, seed: int, act: Callable[[Sandbox, dict[str, str], Server], Path | None]) -> None:
    say(paint("\nA Windows server, backed up and recovered on a local AWS\n", BOLD))
    started = time.monotonic()
    with Sandbox(home, seed=seed, wait_scale=WAIT_SCALE) as aws:
        done("local AWS", f"{aws.endpoint}, in this process", time.monotonic() - started)
        outputs = _deploy(aws)
        server = _prepare(aws, outputs["BucketName"])
        overview = act(aws, outputs, server)
    _show_what_next(seed)
    if overview:
        _show_where_to_look(overview)
    say()


def _everything(aws: Sandbox, outputs: dict[str, str], server: Server) -> Path:
    crash = _back_up(aws, outputs["BackupMachineArn"], server, "files-nightly")
    torn = _examine(aws, crash)
    _show_torn(torn)
    held = _back_up_at_the_second_attempt(aws, outputs["BackupMachineArn"], server)
    _show_both((crash, torn), (held, aws.servers.examine_shadow_copies(held)))
    _back_up_what_reaches_no_disk(aws, outputs["BackupMachineArn"], server)
    _back_up_with_storage_elsewhere(aws, outputs["BackupMachineArn"], server)
    _stop_while_frozen(aws, outputs, server)
    handed = _recover(aws, outputs, server)
    play_policy(aws, outputs)
    say()
    overview = keep_pages(aws, outputs["BucketName"])
    # Each record that says of its removal gets a page anew: nobody waits for those.
    play_month(aws, outputs, server, held)
    show_hand_over(handed)
    return overview


def _recovery(aws: Sandbox, outputs: dict[str, str], server: Server) -> None:
    show_hand_over(_recover(aws, outputs, server))


def _recover(aws: Sandbox, outputs: dict[str, str], server: Server) -> dict[str, Any]:
    """A backup by VSS alone, with the shop at work again before EBS takes the snapshots; then a recovery from it."""
    record = _back_up(aws, outputs["BackupMachineArn"], server, "shop")
    return play_recovery(aws, outputs["RecoverMachineArn"], server, record)


def _open(aws: Sandbox, outputs: dict[str, str], server: Server) -> None:
    """Print how to reach the stack and what to try, and stay open until Ctrl-C."""
    say(f"\n{paint('In another terminal:', BOLD)}")
    for name, value in credentials(aws.endpoint).items():
        say(f"  export {name}={value}")
    for command in [*commands(outputs, server.instance_id), *to_look(sys.executable, PROJECT)]:
        say(f"  {command}")
    say(f"{paint('Ctrl-C', BOLD)} ends it.")
    threading.Event().wait()


def _deploy(aws: Sandbox) -> dict[str, str]:
    """Run the real `sam build` and `sam deploy`, for this machine's Python and processor and the sandbox's endpoint.

    They build into the sandbox's own folder, so that a later `sam deploy` to AWS finds no build for this machine.
    """
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        **credentials(aws.endpoint),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "SAM_CLI_TELEMETRY": "0",
        "SAM_CLI_POLL_DELAY": str(SAM_LOOKS_EVERY_S),
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
    command += ["--config-file", str(PROJECT / "samconfig.toml")]  # otherwise sam looks beside the built template
    command += ["--parameter-overrides", f"Runtime={RUNTIME}", f"Architecture={ARCHITECTURE}"]
    took = run("sam deploy", command, environment, PROJECT)
    stack = aws.client("cloudformation").describe_stacks(StackName="quiesce")["Stacks"][0]
    done("sam deploy", f"stack {stack['StackName']}: {stack['StackStatus']}", took)
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def _prepare(aws: Sandbox, bucket: str) -> Server:
    RULES.duration_s = SNAPSHOT_DURATION_S
    # EBS requires 15 s between two snapshots of a volume; the demo does not wait that long.
    RULES.volume_interval_s = 0.0
    server, s3 = aws.servers.add("SERVER1"), aws.client("s3")
    drives = ", ".join(f"{disk.drive} {disk.size_gib} GiB" for disk in DISKS)
    done("server", f"{server.name}, {server.instance_id}, Windows: {drives}; a shop is open on D: and E:")
    for name, text in POLICIES.items():
        policy = text.format(instance_id=server.instance_id, freeze_limit_s=FREEZE_LIMIT_S)
        s3.put_object(Bucket=bucket, Key=f"policies/{name}.yaml", Body=policy.encode())
    done("policies", f"s3://{bucket}/policies/: {', '.join(POLICIES)}")
    for script in sorted(EXAMPLES.glob("*.ps1")):
        s3.put_object(Bucket=bucket, Key=f"scripts/demo/{script.name}", Body=script.read_bytes())
    done("scripts", f"s3://{bucket}/scripts/demo/: those of examples/scripts")
    return server


def _start(aws: Sandbox, machine: str, server: Server, policy: str) -> str:
    request = json.dumps({"policy": policy, "instance_id": server.instance_id})
    say(f"\n{paint('Backup', BOLD)} started with {request}")
    arn: str = aws.client("stepfunctions").start_execution(stateMachineArn=machine, input=request)["executionArn"]
    return arn


def _watch(aws: Sandbox, execution: str) -> None:
    for name, seconds in follow(aws, execution):
        say(f"  {paint(f'{seconds:5.1f} s', DIM)}  {name}")


def _back_up(aws: Sandbox, machine: str, server: Server, policy: str) -> dict[str, Any]:
    execution = _start(aws, machine, server, policy)
    say(paint(f"  from the execution's history; waits are {1 / WAIT_SCALE:.0f} times shorter here", DIM))
    _watch(aws, execution)
    ended = aws.client("stepfunctions").describe_execution(executionArn=execution)
    if "output" not in ended:
        raise SystemExit(f"The execution ended {ended['status']}: {ended.get('error')}: {ended.get('cause')}")
    record: dict[str, Any] = json.loads(ended["output"])
    _show_record(record)
    return record


def _back_up_at_the_second_attempt(aws: Sandbox, machine: str, server: Server) -> dict[str, Any]:
    """A backup by VSS whose writer times out once: quiesce thaws before the wait, and the second attempt succeeds."""
    vss = server.windows.guest.vss
    writer = next(writer for writer in vss.writers if writer.name == SHOP_WRITER)
    good, original = (writer.state, writer.failure), vss.created
    timed_out = ("9 (VSS_WS_FAILED_AT_FREEZE)", "0x800423f2 (VSS_E_WRITERERROR_TIMEOUT)")
    states = iter((timed_out, good))

    def created(copies: list[ShadowCopy]) -> None:
        original(copies)
        writer.state, writer.failure = next(states)

    vss.created = created
    record = _back_up(aws, machine, server, "orders")
    vss.created = original
    return record


def _back_up_what_reaches_no_disk(aws: Sandbox, machine: str, server: Server) -> None:
    """A backup whose shadow copy Windows lists throughout and never writes to disk: only the snapshots reveal it."""
    vss = server.windows.guest.vss
    original = vss.created

    def created(copies: list[ShadowCopy]) -> None:
        original(copies)
        server.lost |= {copy.shadow_id for copy in copies if vss.volumes[copy.volume] == ORDERS_DRIVE}

    vss.created = created
    say(f"\n  Windows will show a shadow copy of {ORDERS_DRIVE}, and what VSS writes for it never reaches a disk.")
    before = len(server.application.asked)
    _back_up(aws, machine, server, "orders")
    say(f"  scripts      called with: {', '.join(server.application.asked[before:])}")
    vss.created = original


def _back_up_with_storage_elsewhere(aws: Sandbox, machine: str, server: Server) -> None:
    """A backup whose shadow copies the snapshots would miss: their storage is on a disk outside of EBS."""
    guest = server.windows.guest
    scratch = Drive("Z:", volume_guid("instance store"), 9, "AWS0123456789ABCDEF0")
    guest.drives.append(scratch)
    orders_guid = next(guid for guid, path in guest.vss.volumes.items() if path == ORDERS_DRIVE)
    original, guest.vss.storage = guest.vss.storage, [ShadowStorage(orders_guid, scratch.volume_guid)]
    say(f"\n  The shadow storage of {ORDERS_DRIVE} has been moved to {scratch.path}, an instance-store volume.")
    _back_up(aws, machine, server, "orders")
    guest.drives.remove(scratch)
    guest.vss.storage = original


def _stop_while_frozen(aws: Sandbox, outputs: dict[str, str], server: Server) -> None:
    """The worst day: the execution is stopped while the application is frozen, and AWS cannot reach the server."""
    agent, before = server.windows.agent, len(server.application.asked)
    execution = _start(aws, outputs["BackupMachineArn"], server, "orders")

    def stop(*_captured: object) -> None:
        agent.connected = False
        aws.client("stepfunctions").stop_execution(executionArn=execution)

    RULES.captured.append(stop)
    _watch(aws, execution)
    RULES.captured.remove(stop)
    say(f"  {paint('Stopped', BOLD, RED)} while the snapshots were taken, and the server's network is down.")
    say(paint("  the demo puts the server's clock forward instead of waiting", DIM))
    _show_application(server, before, "now")
    RULES.skip(FREEZE_LIMIT_S)
    aws.servers.advance()
    _show_application(server, before, f"{FREEZE_LIMIT_S} s later")
    agent.connected = True
    say("  The network is back: the sweep, which EventBridge had started, ends the run.")
    s3, key = aws.client("s3"), f"records/{server.instance_id}/{execution.rpartition(':')[2]}.json"
    place = {"Bucket": outputs["BucketName"], "Key": key}
    s3.get_waiter("object_exists").wait(**place, WaiterConfig={"Delay": 1, "MaxAttempts": SWEEP_PATIENCE_S})
    _show_application(server, before, "in the end")
    record = json.loads(s3.get_object(**place)["Body"].read())
    _show_record(record)
    say(f"  thawed by    {paint('the server itself' if record['session']['auto_thawed'] else 'AWS', BOLD)}")


def _show_application(server: Server, before: int, when: str) -> None:
    state = paint("frozen", YELLOW) if server.application.held else paint("at work", GREEN)
    calls = ", ".join(server.application.asked[before:])
    say(f"  {when.ljust(12)} the shop is {state}; its scripts were called with: {calls}")


def _show_record(record: dict[str, Any]) -> None:
    say(f"\n{paint('Record', BOLD)} {record['record']}")
    colour = {"Successful": GREEN, "Failed": RED}.get(record["status"], YELLOW)
    say(f"  status       {paint(record['status'], BOLD, colour)}: {record['reason']}")
    level, reason = record["consistency"]["level"], record["consistency"]["reason"]
    say(f"  consistency  {paint(level, BOLD, GREEN if level == 'application' else YELLOW)}: {reason}")
    rows = [["volume", "device", "size", "snapshot", "state", "instant"]]
    for snapshot in record["snapshots"]:
        size = f"{snapshot['size_gib']} GiB"
        row = [snapshot["volume_id"], snapshot["device"], size, snapshot["snapshot_id"], snapshot["state"]]
        rows.append([*row, snapshot["started_at"][11:19]])
    table(rows)
    for attempt in record["attempts"]:
        say(f"  attempt {attempt['attempt']}    {attempt['reason']}")
    for copy in record["shadow"]["copies"] if record["shadow"] else []:
        say(f"  shadow copy  {copy['path']} {copy['shadow_id']}")
    if record["evidence"]:
        _show_evidence(record["evidence"])
    if record["freeze_window"]:
        _show_window(record["freeze_window"])
    if record["logs"]:
        logs = record["logs"]
        say(f"  files        {logs['problem'] or logs['place']}")
        say(paint(f"               {', '.join(logs['files'])}", DIM))


def _show_evidence(evidence: dict[str, Any]) -> None:
    """Show what Verify read out of the snapshots, and what that costs on AWS."""
    for copy in evidence["copies"]:
        seen = f"made {copy['created_at'][11:19]}, storage on {copy['storage_volume_id']}" if copy["created_at"] else ""
        colour = GREEN if copy["verdict"] == "present" else RED
        say(f"  in snapshot  {copy['path']} {paint(copy['verdict'], BOLD, colour)}  {seen or copy['reason']}")
    gets, lists = (evidence["calls"].get(f"ebs:{name}", 0) for name in ("GetSnapshotBlock", "ListSnapshotBlocks"))
    cost = gets * GET_DOLLARS + lists * LIST_DOLLARS
    say(f"  read         {gets} blocks of 512 KiB, {lists} lists of blocks: ${cost:.6f} on AWS")


def _show_window(window: dict[str, int | None]) -> None:
    """Show the freeze window as a timeline, with the length of each part."""
    parts = (("known_ms", "known in AWS"), ("snapshots_ms", "snapshots initiated"), ("thaw_ms", "after begins"))
    line = "before ended"
    for part, then in parts:
        length = "?" if window[part] is None else f"{window[part]} ms"
        line += f" {paint(f'── {length} ──▶', YELLOW)} {then}"
    say(f"  frozen       {line}")


def _examine(aws: Sandbox, record: dict[str, Any]) -> Examination:
    return aws.servers.examine({s["volume_id"]: s["snapshot_id"] for s in record["snapshots"]})


def _show_torn(found: Examination) -> None:
    if found.torn:
        say(f"\n  {paint('Torn.', BOLD, YELLOW)} All volumes were copied at one instant, between two writes:")
        say(f"  order {found.orders} is on D:, its booking is not on E:. This is what crash-consistent means.")
    else:
        say(f"\n  {paint('Whole, by luck.', BOLD, GREEN)} The shop was not frozen; other instants are torn.")


def _show_both(*backups: tuple[dict[str, Any], Examination]) -> None:
    """Show the data of two backups side by side, without and with the application frozen."""
    say(f"\n{paint('Data', BOLD)} as found in the snapshots: on the volumes, and in the shadow copies that they hold")
    rows = [["policy", "consistency", "D: orders", "E: ledger", "data", "frozen"]]
    for record, found in backups:
        window = record["freeze_window"]
        rows.append(
            [
                record["policy"],
                record["consistency"]["level"],
                f"{found.orders} worth {found.orders_total}",
                f"{found.bookings} worth {found.bookings_total}",
                "torn" if found.torn else "whole",
                f"{window['total_ms']} ms" if window else "never",
            ]
        )
    table(rows)


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


def _show_where_to_look(overview: Path) -> None:
    python = sys.executable.removeprefix(f"{Path.cwd()}{os.sep}")
    say(f"\n{paint('Look', BOLD)} at the overview, as the stack has written it: {overview}")
    say(f"  {python} -m webbrowser {overview.as_uri()}")


if __name__ == "__main__":
    main()
