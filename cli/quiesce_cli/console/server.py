"""An HTTP server for one person on this machine, which pages of other sites can neither read nor use.

It listens on the loopback interface alone. The first folder of its address is a token, new each time, without which
it says nothing. A foreign Host header is refused, so that no other name can be made to lead here (DNS rebinding). A
form counts only from its own page. Nothing is kept by the browser, and no address is told to another site.
"""

import hmac
import html
import os
import socketserver
import sys
from collections.abc import Callable, Mapping
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote

LOOPBACK = "127.0.0.1"
# A form here has a few short fields.
MAX_FORM_BYTES = 10_000
# So that a connection which sends nothing does not hold a thread for long.
SILENT_S = 15
FORM = "application/x-www-form-urlencoded"
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # To another site nothing; to its own forms the origin, by which they are known.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Asked(NamedTuple):
    """What the browser asks for: a path below the token, without a slash before it, and a form that it sends."""

    path: str
    form: Mapping[str, str] | None = None


class Answered(NamedTuple):
    """A page, or where to go instead: a path below the token."""

    html: str = ""
    status: int = HTTPStatus.OK
    location: str | None = None


class Console(ThreadingHTTPServer):
    """The server; it listens once it is made, and answers once ``serve_forever`` is called."""

    daemon_threads = True
    # Elsewhere it only spares a wait after a restart; on Windows another program could listen on the port, too.
    allow_reuse_address = os.name == "posix"

    def __init__(
        self, answer: Callable[[Asked], Answered], *, token: str, port: int = 0, takes_forms: bool = False
    ) -> None:
        """Listen.

        Args:
            answer: makes a page; many threads call it at once.
            token: the first folder of every address, of characters that need no escape.
            port: 0 takes a free one.
            takes_forms: whether a form may be sent at all.

        Raises:
            OSError: the port is taken.
        """
        self.answer, self.token, self.takes_forms = answer, token, takes_forms
        super().__init__((LOOPBACK, port), _Handler)

    def server_bind(self) -> None:
        """Listen without asking a name server for this machine's name, as the base class does."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = LOOPBACK, int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """Say that a browser which went away is no error; anything else is one of ours, in a line."""
        error = sys.exception()
        if not isinstance(error, ConnectionError | TimeoutError):
            sys.stderr.write(f"error: a page could not be made ({type(error).__name__}: {error})\n")

    @property
    def url(self) -> str:
        """The address to open."""
        return f"http://{LOOPBACK}:{self.server_port}/{self.token}/"

    @property
    def hosts(self) -> tuple[str, str]:
        """The names by which a browser may ask."""
        return f"{LOOPBACK}:{self.server_port}", f"localhost:{self.server_port}"


class _Refused(Exception):
    def __init__(self, status: HTTPStatus, words: str) -> None:
        super().__init__(words)
        self.status, self.words = status, words


class _Handler(BaseHTTPRequestHandler):
    server: Console
    headers: Message
    timeout = SILENT_S
    server_version, sys_version = "quiesce", ""
    # Of a request that names none, so that it must have a Host header, too.
    default_request_version = "HTTP/1.0"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        try:
            host = self._host()
            path = self._path()
            asked = Asked(path, self._form(host) if self.command == "POST" else None)
        except _Refused as refused:
            self._send(_words(refused.status, refused.words))
            return
        try:
            answered = self.server.answer(asked)
        except Exception:
            self._send(_words(HTTPStatus.INTERNAL_SERVER_ERROR, "quiesce failed by itself; its terminal says more"))
            raise
        self._send(answered)

    def _host(self) -> str:
        """Return the one Host header, which must be this server's own."""
        given = self.headers.get_all("Host") or []
        if len(given) != 1 or given[0].lower() not in self.server.hosts:
            raise _Refused(HTTPStatus.MISDIRECTED_REQUEST, "this console answers under its own address alone")
        return str(given[0]).lower()

    def _path(self) -> str:
        """Return the path below the token."""
        token, slash, rest = self.path.partition("?")[0].removeprefix("/").partition("/")
        if not hmac.compare_digest(token.encode(), self.server.token.encode()) or not slash:
            raise _Refused(HTTPStatus.NOT_FOUND, "open the address that quiesce serve printed, to its end")
        return unquote(rest)

    def _form(self, host: str) -> Mapping[str, str]:
        """Return a form that one of our own pages sends."""
        if not self.server.takes_forms:
            raise _Refused(HTTPStatus.METHOD_NOT_ALLOWED, "this console only looks; quiesce serve --allow-start starts")
        if self.headers.get("Origin") != f"http://{host}":
            raise _Refused(HTTPStatus.FORBIDDEN, "a form counts only from this console's own page")
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_FORM_BYTES or self.headers.get_content_type() != FORM:
            raise _Refused(HTTPStatus.BAD_REQUEST, "this is no form of this console")
        return dict(parse_qsl(self.rfile.read(int(length)).decode(errors="replace"), keep_blank_values=True))

    def _send(self, answered: Answered) -> None:
        content = answered.html.encode()
        self.send_response(HTTPStatus.SEE_OTHER if answered.location is not None else answered.status)
        if answered.location is not None:
            self.send_header("Location", f"/{self.server.token}/{answered.location}")
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what is no request of a browser with the headers of every answer."""
        self.close_connection = True
        self._send(_words(code, message or explain or "not understood"))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Write no line for each request: it would have the token."""


def _words(status: int, words: str) -> Answered:
    title = f"<!doctype html><html lang=en><meta charset=utf-8><title>quiesce</title><p>{html.escape(words)}"
    return Answered(title, status)
