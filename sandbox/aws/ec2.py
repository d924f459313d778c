"""moto's EC2 behind MiniStack's front: one call in, one answer out, without a socket."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlencode

from ministack.core.responses import get_account_id, get_region
from moto.ec2.models import ec2_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.test import EnvironBuilder, run_wsgi_app

from sandbox.aws.faults import Answer
from sandbox.aws.iam import Permission, refuse, refuse_ec2

_moto = DomainDispatcherApplication(create_backend_app)
_caller: ContextVar[tuple[dict[str, str], dict[str, Any]] | None] = ContextVar("_caller", default=None)
"""Headers and query of the request that is being answered: EBS uses keys in its caller's name."""


@contextmanager
def called_by(headers: dict[str, str], query: dict[str, Any]) -> Iterator[None]:
    """Let keys be used in the name of the caller of this request."""
    token = _caller.set((headers, query))
    try:
        yield
    finally:
        _caller.reset(token)


def may_use_keys(permissions: list[Permission]) -> bool:
    """Whether the role that made the request being answered grants these uses of keys; without one, nobody asks."""
    caller = _caller.get()
    return caller is None or refuse("kms", permissions, *caller) is None


def backend(account: str, region: str) -> Any:
    """Return moto's EC2 of an account and region."""
    return ec2_backends[account][region]


async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Answer:
    """Answer an EC2 call; MiniStack has checked its signature."""
    return await asyncio.to_thread(_answer, method, path, headers, body, query)


def _answer(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Answer:
    account = get_account_id()
    refused = refuse_ec2(backend(account, get_region()), headers, body, query)
    if refused:
        return refused
    kept = {name: value for name, value in headers.items() if name.lower() not in {"content-length", "connection"}}
    kept["x-moto-account-id"] = account
    pairs = [(name, v) for name, value in query.items() for v in (value if isinstance(value, list) else [value])]
    request = EnvironBuilder(
        method=method,
        path=path,
        query_string=urlencode(pairs),
        headers=kept,
        data=body,
        base_url=f"http://{kept['host']}",
    )
    with called_by(headers, query):
        chunks, status, answer_headers = run_wsgi_app(_moto, request.get_environ())
    answer = {name: value for name, value in answer_headers if name.lower() != "content-length"}
    return int(status.split()[0]), answer, b"".join(chunks)
