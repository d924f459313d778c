"""Counts of the calls that a step sends to AWS: boto3 retries by itself, and the record shows what was truly sent."""

from collections import Counter
from typing import Any

_sent: Counter[str] = Counter()


def counted(client: Any) -> Any:
    """Count every request that this client sends, retries included, and return the client."""
    client.meta.events.register_first("before-send", _count)
    return client


def _count(event_name: str, **_kwargs: Any) -> None:
    _, service, operation = event_name.split(".", 2)
    _sent[f"{service}:{operation}"] += 1


def take_calls() -> dict[str, int]:
    """Return the calls counted since the last time, as ``service:Operation`` to number."""
    calls = dict(_sent)
    _sent.clear()
    return calls


def add_calls(*counts: dict[str, int]) -> dict[str, int]:
    """Return the sum of several counts of calls."""
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(sorted(total.items()))
