"""What a client's configuration does below boto3, against a server on loopback that ends connections as AWS may."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from quiesce.aws import clients

ANSWER = b"<DescribeRegionsResponse><requestId>test</requestId><regionInfo/></DescribeRegionsResponse>"


class OneRequestAConnection(BaseHTTPRequestHandler):
    """Answer the first request of a connection, and close it when a second one arrives, without a word before that.

    So does any server whose limit for idle connections ends as a request is under way to it.
    """

    protocol_version = "HTTP/1.1"
    answered = False

    def __init__(self, received: list[int], *rest: object) -> None:
        self.received = received
        super().__init__(*rest)  # type: ignore[arg-type]

    def do_POST(self) -> None:
        self.received.append(self.client_address[1])
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.answered:
            self.close_connection = True
            return
        self.answered = True
        self.send_response(200)
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def served() -> Iterator[tuple[str, list[int]]]:
    received: list[int] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(OneRequestAConnection, received)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", received
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Answer EC2's requests; return the client's port of each request, in their order."""
    with served() as (address, received):
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        yield received


def test_a_call_that_is_sent_once_is_not_lost_on_a_connection_that_aws_is_about_to_close(aws: list[int]) -> None:
    ec2 = clients.client("ec2", clients.ONCE)
    for _ in range(3):
        ec2.describe_regions()
    assert len(set(aws)) == len(aws) == 3


def test_a_call_that_may_be_repeated_keeps_its_connection_and_is_sent_again_on_another(aws: list[int]) -> None:
    ec2 = clients.client("ec2", clients.REPEATABLE)
    ec2.describe_regions()
    ec2.describe_regions()
    first, again, other = aws
    assert first == again != other
