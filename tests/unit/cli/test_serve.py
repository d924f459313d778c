"""Serving until Ctrl-C, and reading what was read before only once."""

from datetime import timedelta
from typing import Any

import pytest
from quiesce_cli.answers.shapes import Serving
from quiesce_cli.app import Answer, _print
from quiesce_cli.commands.serve import until_stopped
from quiesce_cli.console.pages import run_path
from quiesce_cli.console.server import Answered, Console
from quiesce_cli.overview import Remembered

from quiesce.aws.bucket import Bucket
from quiesce.aws.pages.records import Kept, Unread
from quiesce.clock import Clock
from tests.support.factories.run import INSTANCE, NOW, a_record
from tests.unit.cli.test_following import a_desk


def a_kept(run_id: str, *, minutes: int) -> Kept:
    return Kept(f"records/{INSTANCE}/{run_id}.json", INSTANCE, run_id, NOW - timedelta(minutes=minutes))


def test_ctrl_c_is_how_it_ends_and_the_port_is_free_again(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(lambda _asked: Answered(), token="t")

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(console, "serve_forever", interrupted)
    until_stopped(console)
    Console(lambda _asked: Answered(), token="t", port=console.server_port).server_close()


def test_what_goes_on_after_an_answer_begins_once_it_was_printed() -> None:
    desk, seen = a_desk(terminal=False), []
    shape = Serving(stack="s", region="r", url="http://127.0.0.1:1/t/", starts=False)
    answer = Answer(shape, ["the address"], then=lambda: seen.append(desk.screen.out.file.getvalue()))  # type: ignore[attr-defined]
    assert _print(desk, answer) == 0
    assert seen == ["the address\n"]


def test_records_are_read_once_but_for_new_ones_and_those_that_may_still_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[list[str]] = []

    def read(_bucket: Bucket, wanted: Any) -> list[Any]:
        asked.append([kept.run_id for kept in wanted])
        return [a_record(run_id=k.run_id) if k.run_id != "bad" else Unread(k, "no") for k in wanted]

    monkeypatch.setattr("quiesce_cli.overview.read_records", read)
    remembered, bucket = Remembered(Clock(now=lambda: NOW)), Bucket(None, None, "b")  # type: ignore[arg-type]
    old, fresh, bad, new = (
        a_kept("old", minutes=2),
        a_kept("fresh", minutes=0),
        a_kept("bad", minutes=9),
        a_kept("new", minutes=5),
    )
    first = remembered.read(bucket, [fresh, old, bad])
    again = remembered.read(bucket, [new, fresh, old, bad])
    assert asked == [["fresh", "old", "bad"], ["new", "fresh", "bad"]]
    assert [getattr(each, "run_id", "unread") for each in again] == ["new", "fresh", "old", "unread"]
    assert again[1:3] == first[:2]
    remembered.read(bucket, [])
    assert remembered.known == {}


def test_a_runs_place_is_one_address_whatever_its_id_is() -> None:
    assert run_path(INSTANCE, "run-1") == f"records/{INSTANCE}/run-1.html"
    assert run_path("../x", "a/b?c") == "records/..%2Fx/a%2Fb%3Fc.html"
