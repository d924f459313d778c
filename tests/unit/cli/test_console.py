"""The local console over a real loopback socket: who gets an answer, what is told to nobody, and what starts once."""

import http.client
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlencode

import pytest
from quiesce_cli.console.pages import Pages, Sources
from quiesce_cli.console.server import HEADERS, LOOPBACK, Console
from quiesce_cli.troubles import NotReachable

TOKEN = "t0ken-of-this-start"
RUN = "records/i-0123456789abcdef0/run-1.html"
HOSTILE = "<script>alert(1)</script>"


@dataclass
class Opened:
    """A console that listens, and what a browser, or something else on this machine, says to it."""

    console: Console
    started: list[str] = field(default_factory=list)
    trouble: Exception | None = None

    def ask(self, path: str, method: str = "GET", body: str | None = None, **headers: str) -> tuple[int, str, dict]:
        connection = http.client.HTTPConnection(LOOPBACK, self.console.server_port, timeout=5)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, given)
        answer = connection.getresponse()
        found = answer.status, answer.read().decode(), dict(answer.getheaders())
        connection.close()
        return found

    def raw(self, request: bytes) -> bytes:
        with socket.create_connection((LOOPBACK, self.console.server_port), timeout=5) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(4096), b""))

    def send(self, form: dict[str, str], path: str = f"/{TOKEN}/start", **headers: str) -> tuple[int, str, dict]:
        own = {"Origin": f"http://{self.host}", "Content_Type": "application/x-www-form-urlencoded"}
        return self.ask(path, "POST", urlencode(form), **own | headers)

    def form(self) -> str:
        """Open the page that starts, and return what tells its form from others."""
        return self.ask(f"/{TOKEN}/start")[1].partition('name="form" value="')[2].partition('"')[0]

    @property
    def host(self) -> str:
        return f"{LOOPBACK}:{self.console.server_port}"


def opened(*, takes_forms: bool) -> Iterator[Opened]:
    numbers = iter(range(1000))

    def overview() -> str:
        if found.trouble:
            raise found.trouble
        return "<p>all is good"

    def start(policy: str) -> str:
        found.started.append(policy)
        return f"{policy}-1"

    sources = Sources(
        overview=overview,
        run=lambda instance_id, run_id: f"<p>{run_id} of {instance_id}" if run_id == "run-1" else None,
        policies=lambda: ["files", HOSTILE],
        start=start if takes_forms else None,
        token=lambda: f"form-{next(numbers)}",
    )
    found = Opened(Console(Pages(sources).answer, token=TOKEN, takes_forms=takes_forms))
    thread = threading.Thread(target=found.console.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    found.console.shutdown()
    found.console.server_close()
    thread.join()


@pytest.fixture
def looking() -> Iterator[Opened]:
    yield from opened(takes_forms=False)


@pytest.fixture
def starting() -> Iterator[Opened]:
    yield from opened(takes_forms=True)


def test_the_address_that_is_printed_opens_the_overview_and_its_links(looking: Opened) -> None:
    assert looking.console.url == f"http://{looking.host}/{TOKEN}/"
    status, text, headers = looking.ask(f"/{TOKEN}/")
    assert (status, text, headers["Content-Type"]) == (200, "<p>all is good", "text/html; charset=utf-8")
    assert looking.ask(f"/{TOKEN}/{RUN}")[1] == "<p>run-1 of i-0123456789abcdef0"
    assert looking.ask(f"/{TOKEN}/", Host=f"localhost:{looking.console.server_port}")[0] == 200
    assert looking.ask(f"/{TOKEN}/?from=mail")[0] == 200
    assert looking.ask(f"/{TOKEN}/{RUN.replace('run-1', 'run-2')}")[0] == 404


def test_it_listens_on_the_loopback_interface_alone(looking: Opened) -> None:
    assert looking.console.server_address[0] == "127.0.0.1"
    assert looking.console.server_port > 1023


@pytest.mark.parametrize(
    "path", ["/", f"/{TOKEN}", f"/{TOKEN[:-1]}/", f"/{TOKEN}x/", f"/{TOKEN.upper()}/", "/x/%00", "//é/"]
)
def test_without_the_token_it_says_nothing(looking: Opened, path: str) -> None:
    answer = looking.raw(f"GET {path} HTTP/1.1\r\nHost: {looking.host}\r\n\r\n".encode("latin-1"))
    assert answer.startswith(b"HTTP/1.0 404 ")
    assert TOKEN.encode() not in answer
    assert b"all is good" not in answer


def test_the_token_is_compared_in_a_time_that_tells_nothing(looking: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def compare(given: bytes, own: bytes) -> bool:
        compared.append((given, own))
        return given == own

    monkeypatch.setattr("quiesce_cli.console.server.hmac.compare_digest", compare)
    looking.ask("/guess/")
    assert compared == [(b"guess", TOKEN.encode())]


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "[::1]:{port}", ""]
)
def test_a_foreign_host_is_refused_though_it_knows_the_token(looking: Opened, host: str) -> None:
    status, text, _ = looking.ask(f"/{TOKEN}/", Host=host.format(port=looking.console.server_port))
    assert (status, "all is good" in text) == (421, False)


@pytest.mark.parametrize("hosts", [b"", b"Host: {own}\r\nHost: evil.example\r\n"])
def test_no_host_and_two_hosts_are_refused(looking: Opened, hosts: bytes) -> None:
    named = hosts.replace(b"{own}", looking.host.encode())
    assert looking.raw(b"GET /%s/ HTTP/1.1\r\n%s\r\n" % (TOKEN.encode(), named)).startswith(b"HTTP/1.0 421 ")


def test_an_address_in_the_request_line_is_no_way_around(looking: Opened) -> None:
    request = f"GET http://evil.example/{TOKEN}/ HTTP/1.1\r\nHost: {looking.host}\r\n\r\n"
    assert looking.raw(request.encode()).startswith(b"HTTP/1.0 404 ")


def test_every_answer_keeps_the_address_to_itself(starting: Opened) -> None:
    answers = [
        starting.ask(f"/{TOKEN}/"),
        starting.ask("/nothing/"),
        starting.ask(f"/{TOKEN}/", Host="evil.example"),
        starting.send({"form": starting.form(), "policy": "files"}),
        starting.ask(f"/{TOKEN}/", "DELETE"),
    ]
    assert [status for status, *_ in answers] == [200, 404, 421, 303, 501]
    for status, _, headers in answers:
        assert {name: headers.get(name) for name in HEADERS} == HEADERS, status
        assert headers["Server"].strip() == "quiesce"
        assert "Access-Control-Allow-Origin" not in headers
        assert "Set-Cookie" not in headers
    assert (HEADERS["Cache-Control"], HEADERS["Referrer-Policy"]) == ("no-store", "same-origin")


def test_head_has_no_body_and_what_is_no_request_is_refused(looking: Opened) -> None:
    status, text, headers = looking.ask(f"/{TOKEN}/", "HEAD")
    assert (status, text, headers["Content-Length"]) == (200, "", "14")
    for request, code in {
        b"nonsense\r\n\r\n": b"400",
        f"GET /{TOKEN}/\r\n\r\n".encode(): b"421",
        b"GET / HTTP/9.9\r\n\r\n": b"505",
        b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n": b"414",
        b"\r\n": b"",
    }.items():
        assert looking.raw(request).split(b" ")[1:2] == ([code] if code else []), request[:20]


def test_a_console_that_only_looks_starts_nothing(looking: Opened) -> None:
    status, text, _ = looking.send({"form": "form-0", "policy": "files"})
    assert (status, "--allow-start" in text, looking.started) == (405, True, [])
    assert looking.ask(f"/{TOKEN}/start")[0] == 404


def test_a_form_starts_once_and_says_how_to_look_on(starting: Opened) -> None:
    form = starting.form()
    status, _, headers = starting.send({"form": form, "policy": "files"})
    assert (status, headers["Location"]) == (303, f"/{TOKEN}/started/files-1")
    assert "quiesce follow files-1" in starting.ask(headers["Location"])[1]
    status, text, _ = starting.send({"form": form, "policy": "files"})
    assert (status, "nothing more was started" in text) == (409, True)
    assert starting.started == ["files"]


FOREIGN = {
    "another site's": {"Origin": "http://evil.example"},
    "a page's of the same host, another port": {"Origin": "http://127.0.0.1:1"},
    "one without an origin": {"Origin": "null"},
}


@pytest.mark.parametrize("whose", FOREIGN)
def test_a_form_of_another_page_starts_nothing(starting: Opened, whose: str) -> None:
    status, *_ = starting.send({"form": starting.form(), "policy": "files"}, **FOREIGN[whose])
    assert (status, starting.started) == (403, [])


NO_FORMS = [
    {"Content_Type": "text/plain"},
    {"Content_Length": "x"},
    {"Content_Length": "10001"},
    {"Content_Length": "-1"},
]


@pytest.mark.parametrize("headers", NO_FORMS, ids=str)
def test_what_is_no_form_is_not_read(starting: Opened, headers: dict[str, str]) -> None:
    status, *_ = starting.send({"form": starting.form(), "policy": "files"}, **headers)
    assert (status, starting.started) == (400, [])


def test_a_form_that_is_made_up_or_sent_elsewhere_starts_nothing(starting: Opened) -> None:
    assert starting.send({"policy": "files"})[0] == 409
    assert starting.send({"form": "guess", "policy": "files"})[0] == 409
    assert starting.send({"form": starting.form()}, f"/{TOKEN}/")[0] == 404
    assert starting.send({"form": starting.form()}, "/guess/start")[0] == 404
    assert starting.started == []


def test_of_forms_that_nobody_sends_only_the_newest_are_kept(starting: Opened) -> None:
    first = starting.form()
    forms = [starting.form() for _ in range(50)]
    assert starting.send({"form": first, "policy": "files"})[0] == 409
    assert starting.send({"form": forms[0], "policy": "files"})[0] == 303


def test_a_policys_name_is_text_in_the_form(starting: Opened) -> None:
    text = starting.ask(f"/{TOKEN}/start")[1]
    assert HOSTILE not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert HOSTILE not in starting.ask(f"/{TOKEN}/started/%3Cscript%3Ealert(1)%3C/script%3E")[1]


def test_what_aws_does_not_give_is_told_with_its_remedy(looking: Opened) -> None:
    looking.trouble = NotReachable("your credentials have expired", "sign in again")
    status, text, _ = looking.ask(f"/{TOKEN}/")
    assert (status, "your credentials have expired." in text, "To do: sign in again." in text) == (503, True, True)
    looking.trouble = None
    assert looking.ask(f"/{TOKEN}/")[0] == 200


def test_an_error_of_ours_ends_the_request_alone_and_is_told_without_the_token(
    looking: Opened, capsys: pytest.CaptureFixture[str]
) -> None:
    looking.trouble = KeyError("x")
    status, text, _ = looking.ask(f"/{TOKEN}/")
    assert (status, "quiesce failed by itself" in text) == (500, True)
    looking.trouble = None
    assert looking.ask(f"/{TOKEN}/")[0] == 200
    assert capsys.readouterr().err == "error: a page could not be made (KeyError: 'x')\n"


def test_a_browser_that_goes_away_is_no_error(
    looking: Opened, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.exception", ConnectionResetError)
    looking.console.handle_error(None, None)
    assert capsys.readouterr().err == ""


def test_a_port_that_is_taken_is_refused_at_once(looking: Opened) -> None:
    with pytest.raises(OSError, match="in use"):
        Console(looking.console.answer, token=TOKEN, port=looking.console.server_port)
