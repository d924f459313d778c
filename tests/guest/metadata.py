"""One loopback server for all machines of a test run: IMDSv2 of each, and the bucket behind its presigned links."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "a-token"


class Metadata:
    """The services of all machines: IMDS with ``instances`` (without an entry it is down), the bucket with ``objects``.

    ``uploads`` are the machines' own objects: the bucket refuses ``refused``, and ``lost`` loses its answer.
    """

    def __init__(self) -> None:
        self.instances: dict[str, str] = {}
        self.late: dict[str, int] = {}
        """How many requests a machine's IMDS drops before it comes up."""
        self.objects: dict[tuple[str, str], bytes] = {}
        self.uploads: dict[tuple[str, str], bytes] = {}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def origin(self, machine: str) -> str:
        """Return the address of both services for a machine."""
        return f"http://127.0.0.1:{self.server.server_port}/{machine}"

    def put(self, machine: str, name: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes] | None:
        """Answer a presigned PUT as S3 does: it refuses one without a length (411) and a chunked one (501)."""
        if "transfer-encoding" in headers:
            return 501, b"NotImplemented"
        if "content-length" not in headers:
            return 411, b"MissingContentLength"
        if name == "refused":
            return 403, b"AccessDenied"
        self.uploads[machine, name] = body
        return (200, b"") if name != "lost" else None

    def _is_late(self, machine: str) -> bool:
        """Return whether a machine's IMDS is not up yet; each request brings that nearer."""
        self.late[machine] = self.late.get(machine, 0) - 1
        return self.late[machine] >= 0

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> tuple[int, bytes] | None:
        """Return status and body; None closes the connection without an answer."""
        machine, _, rest = path.lstrip("/").partition("/")
        rest = rest.partition("?")[0]
        if rest.startswith("logs/") and method == "PUT":
            return self.put(machine, rest.removeprefix("logs/"), headers, body)
        if rest.startswith(("packages/", "logs/")):
            found = self.objects.get((machine, rest)) if method == "GET" else None
            return (200, found) if found is not None else (403, b"AccessDenied")
        if machine not in self.instances or self._is_late(machine):
            return None
        if (method, rest) == ("PUT", "latest/api/token"):
            return (200, TOKEN.encode()) if headers.get("x-aws-ec2-metadata-token-ttl-seconds") else (400, b"")
        if (method, rest) == ("GET", "latest/meta-data/instance-id"):
            known = headers.get("x-aws-ec2-metadata-token") == TOKEN
            return (200, self.instances[machine].encode()) if known else (401, b"")
        return 404, b""

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        metadata = self

        class Handler(BaseHTTPRequestHandler):
            def respond(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(int(headers.get("content-length", 0)))
                answer = metadata.answer(self.command, self.path, headers, body)
                if answer is None:
                    self.close_connection = True
                    return
                self.send_response(answer[0])
                self.send_header("Content-Length", str(len(answer[1])))
                self.end_headers()
                self.wfile.write(answer[1])

            do_GET = do_PUT = respond  # noqa: N815 - BaseHTTPRequestHandler's names

            def log_message(self, *_: object) -> None:
                """Print nothing: a case's answers are its only output."""

        return Handler
