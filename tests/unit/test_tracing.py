"""Coverage's tracer rests where no code of ours runs, and misses none of ours."""

import sys
import threading
from typing import Any

import pytest

from tests.support.tracing import traced, untraced


class Tracer:
    """Notes which functions are called, as coverage's does."""

    __module__ = "coverage.of_this_test"

    def __init__(self) -> None:
        self.called: list[str] = []

    def __call__(self, frame: Any, event: str, _argument: object) -> "Tracer":
        if event == "call":
            self.called.append(frame.f_code.co_name)
        return self


def library() -> None:
    pass


def product(*, fails: bool) -> None:
    if fails:
        raise ValueError("why")


def engine(*, fails: bool) -> None:
    library()
    traced(product)(fails=fails)
    library()


def after() -> None:
    pass


@pytest.mark.parametrize("fails", [False, True])
def test_the_tracer_rests_in_a_library_and_sees_the_product_that_it_calls_and_what_follows(fails: bool) -> None:
    tracer, errors = Tracer(), []

    def run() -> None:
        sys.settrace(tracer)
        try:
            untraced(engine)(fails=fails)
        except ValueError as error:
            errors.append(str(error))
        after()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert [name for name in tracer.called if name in ("library", "product", "after")] == ["product", "after"]
    assert errors == (["why"] if fails else [])


def test_another_tracer_goes_on() -> None:
    tracer = type("Debugger", (Tracer,), {"__module__": "bdb"})()

    def run() -> None:
        sys.settrace(tracer)
        untraced(library)()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert "library" in tracer.called
