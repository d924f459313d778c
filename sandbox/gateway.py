"""The local AWS: one process, one port on the loopback interface; MiniStack in front, our parts behind it."""

import asyncio
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self
from urllib.request import urlopen

from sandbox import environment
from sandbox.aws.faults import Faults

START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 15
LOOK_S = 0.01
SHORTEST_PAUSES = 0.1


class PortTakenError(RuntimeError):
    """Another program listens on the requested port."""


class Sandbox:
    """A local AWS in a thread of this process, for the time of a `with` block.

    A process can have only one in its life: MiniStack and moto keep their state in modules.
    """

    def __init__(self, home: Path, *, port: int = 0, seed: int = 1, wait_scale: float = 1.0) -> None:
        """Prepare the sandbox without starting it.

        Args:
            home: folder for all files of the sandbox; created if missing.
            port: TCP port; 0 takes a free one.
            seed: decides the instants at which simulated applications are observed.
            wait_scale: factor for the waits and retry intervals of state machines; 0 skips them. Also for the pauses
                of functions between two looks, but at least 0.1: a server takes its time.
        """
        self.home, self.port, self.seed, self.wait_scale = home.resolve(), port, seed, wait_scale
        self.region, self.account = environment.REGION, environment.ACCOUNT
        self.faults = Faults()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()

    def __enter__(self) -> Self:
        """Start, and return once the sandbox answers."""
        if "ministack.app" in sys.modules:
            raise RuntimeError("One sandbox per process, started before ministack is imported: its state is in modules")
        listener = _listen(self.port)
        self.port = int(listener.getsockname()[1])
        self.endpoint = f"http://127.0.0.1:{self.port}"
        with ExitStack() as cleanup:
            cleanup.enter_context(environment.entered(self.home, self.port))
            application = self._assemble()
            cleanup.callback(_end_functions)
            self._thread = threading.Thread(target=self._serve, args=(application, listener.detach()), daemon=True)
            self._thread.start()
            cleanup.callback(self._end_server)
            cleanup.callback(self._start_ticking())
            urlopen(f"{self.endpoint}/_ministack/health", timeout=START_TIMEOUT_S).close()
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop the server and end every process that runs a function."""
        self._cleanup.close()

    def _end_server(self) -> None:
        if self._loop:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(STOP_TIMEOUT_S)

    def client(self, service: str, *, function: str | None = None, **config: Any) -> Any:
        """A boto3 client of this AWS.

        Args:
            service: as boto3 names it.
            function: name of the function whose role makes the calls; the account's root by default.
            config: for botocore's Config.
        """
        import boto3
        from botocore.config import Config

        keys = environment.credentials(self.endpoint) if function is None else self._keys_of(function)
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=keys.get("AWS_SESSION_TOKEN"),
            config=Config(**config),
        )

    def _keys_of(self, function: str) -> dict[str, str]:
        from ministack.core import lambda_runtime

        described = self.client("lambda").get_function_configuration(FunctionName=function)
        keys: dict[str, str] = lambda_runtime.execution_credentials(described)
        return keys

    def changes_of(self, execution_arn: str) -> Iterator[None]:
        """Yield whenever an execution has entered another state, and once more when it has ended."""
        from ministack.services import stepfunctions

        execution = stepfunctions._executions.get_scoped(self.account, self.region, execution_arn)
        seen = 0
        while execution["status"] == "RUNNING":
            if (events := len(execution["events"])) != seen:
                seen = events
                yield
            else:
                time.sleep(LOOK_S)
        yield

    def reset(self) -> None:
        """Forget servers, volumes, snapshots and ordered faults; keep stacks, their resources and the IAM decisions.

        What still runs is ended first: executions that nobody waited for, and those that schedules start when the
        clock is moved on, would take the functions' turns from what comes next.
        """
        from moto.ec2.models import ec2_backends
        from moto.ec2.models.subnets import Subnet

        from sandbox.aws import lambdas, nested_executions
        from sandbox.aws.images import IMAGES
        from sandbox.aws.instances import INSTANCES
        from sandbox.aws.keys import KEYS
        from sandbox.aws.recycle_bin import BIN
        from sandbox.aws.snapshot_copies import COPIES
        from sandbox.aws.snapshot_tiers import TIERS
        from sandbox.aws.snapshot_use import LOCKS
        from sandbox.aws.snapshots import RULES
        from sandbox.aws.volumes import VOLUMES

        nested_executions.stop_all()
        lambdas.end_running()
        ec2_backends.reset()
        Subnet._base_avail_ip_iterator.cache_clear()  # it would keep each EC2 of before
        for rules in (RULES, INSTANCES, VOLUMES, IMAGES, BIN, COPIES, KEYS, LOCKS, TIERS):
            rules.reset()
        self.servers.forget()
        self.direct_apis.reset()
        self.scheduler.reset()
        self.faults.reset()

    def _assemble(self) -> Any:
        """Put our parts into MiniStack, after checking that the names they hook exist."""
        from sandbox.aws.hooks import check_hooks

        check_hooks()
        from ministack import app as ministack
        from ministack.core import router
        from ministack.services import stepfunctions

        from sandbox.aws import (
            associations,
            attachments,
            cloudformation,
            distributed_map,
            ebs,
            ec2,
            iam,
            images,
            instance_profiles,
            instances,
            keys,
            kms,
            lambdas,
            nested_executions,
            recycle_bin,
            resource_rules,
            roles,
            scheduler,
            snapshot_copies,
            snapshot_tiers,
            snapshot_use,
            snapshots,
            ssm,
            volumes,
        )
        from sandbox.aws.faults import break_off_lost_answers
        from sandbox.aws.run_command import RunCommand
        from sandbox.servers import Servers

        action_of = iam.iam_actions.extract_iam_action
        parts = (snapshots, snapshot_copies, instances, volumes, attachments, images, snapshot_use, snapshot_tiers)
        for part in (
            *parts,
            recycle_bin,
            associations,
            resource_rules,
            instance_profiles,
            cloudformation,
            nested_executions,
            distributed_map,
        ):
            part.install()
        self.decisions = iam.DecisionLog()
        iam.install(self.decisions)
        lambdas.install(self.home / "runtime", max(self.wait_scale, SHORTEST_PAUSES))
        handlers = ministack.SERVICE_HANDLERS
        handlers["ec2"], keys.KEYS.allows = ec2.handle, ec2.may_use_keys
        links = ssm.BucketLinks(self.endpoint)
        self.servers = Servers(
            self.client("ec2"), lambda: ec2.backend(self.account, self.region), self.seed, links.get, links.put
        )
        servers, clock = self.servers, snapshots.RULES.now_s
        self.run_command = RunCommand(servers.managed, servers.state_of, clock, lock=servers.lock)
        self.direct_apis = servers.direct_apis(clock)
        handlers |= {
            "ebs": ebs.handler(self.direct_apis),
            "kms": kms.followed(handlers["kms"]),
            "iam": roles.handler(handlers["iam"]),
            "s3": iam.hide_missing_objects(handlers["s3"]),
            "ssm": ssm.handler(self.run_command),
        }
        # Otherwise MiniStack spends seconds on all of botocore's models at the first request for an unknown service.
        router._KNOWN_AWS_SERVICE_NAMES = frozenset({"ebs"})
        ssm.install_documents(self.run_command)
        self.scheduler = scheduler.install(handlers, clock, self.client)
        for service in ("ec2", "s3", "dynamodb", "sns", "ssm", "scheduler"):
            handlers[service] = self.faults.wrap(service, handlers[service], action_of)
        stepfunctions._SFN_WAIT_SCALE = self.wait_scale
        return _as_if_by_tls(break_off_lost_answers(ministack.app))

    def _start_ticking(self) -> Callable[[], None]:
        from sandbox.aws.scheduler import start_ticking

        return start_ticking(self.scheduler)

    def _serve(self, application: Any, listener: int) -> None:
        from hypercorn.asyncio import serve
        from hypercorn.config import Config

        config = Config()
        config.bind, config.graceful_timeout, config.loglevel = [f"fd://{listener}"], 1, "CRITICAL"

        async def run() -> None:
            self._loop = asyncio.get_running_loop()
            await serve(application, config, shutdown_trigger=self._stop.wait)

        asyncio.run(run())


def _as_if_by_tls(application: Any) -> Any:
    """Let loopback count as TLS, as behind a proxy: otherwise aws:SecureTransport in bucket policies refuses all."""

    async def wrapped(scope: dict[str, Any], receive: Any, send: Any) -> None:
        names = {name.lower() for name, _ in scope.get("headers", [])}
        if scope["type"] == "http" and b"x-forwarded-proto" not in names:
            scope = {**scope, "headers": [*scope["headers"], (b"x-forwarded-proto", b"https")]}
        await application(scope, receive, send)

    return wrapped


def _end_functions() -> None:
    from sandbox.aws import lambdas

    lambdas.end()


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise PortTakenError(f"Port {port} is taken: stop its program, or choose another port with --port") from error
