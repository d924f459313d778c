"""Ask a person for one of several things."""

import typer


def choose_number(question: str, count: int, default: int | None = None) -> int:
    """Ask until the answer is a number from 1 to ``count``, and return it less one."""
    while True:
        number: int = typer.prompt(f"{question} (1 to {count})", type=int, default=default)
        if 1 <= number <= count:
            return number - 1
