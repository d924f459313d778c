"""A busy application on two volumes: orders on D:, their bookings in a ledger on E:.

Each order is written to D: first and booked on E: next. At an instant between the two writes an order lacks its
booking: harmless while the application runs, but a copy taken at that instant is torn.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Protocol

ORDERS_DRIVE, ORDERS_PATH = "D:", r"\Shop\orders.csv"
LEDGER_DRIVE, LEDGER_PATH = "E:", r"\Shop\ledger.csv"
FIRST_WRITES = 400
MOST_WRITES_BETWEEN_OBSERVATIONS = 60


def _amount(number: int) -> int:
    return 5 + number * 7919 % 495


def _lines(count: int) -> str:
    return "".join(f"{number},{_amount(number)}\n" for number in range(1, count + 1))


class Files(Protocol):
    """The files of a volume, by path."""

    def read(self, path: str) -> str:
        """Return the text of a file; empty if it was not written yet."""

    def write(self, path: str, text: str) -> None:
        """Replace a file."""


class BusyApplication:
    """An application at work; its progress at the nth observation depends on the seed and n alone, not on a clock."""

    def __init__(self, seed: int, drives: Mapping[str, Files]) -> None:
        self._seed, self._drives = seed, drives
        self._observations, self._writes = 0, FIRST_WRITES
        self.held = False
        self.flushes = True
        """Whether its VSS writer finishes the order at hand, so that shadow copies hold whole data."""
        self.asked: list[str] = []
        """The calls of its owner's scripts: `before`, `after 1`, `complete 0`."""
        self._put_on_disk()

    def work(self) -> None:
        """Work until the next observation, which may fall between the two writes of an order; not while held."""
        if self.held:
            return
        self._observations += 1
        self._writes += Random(f"{self._seed}/{self._observations}").randint(1, MOST_WRITES_BETWEEN_OBSERVATIONS)
        self._put_on_disk()

    def shut_down(self) -> None:
        """Finish the order at hand, as a clean shutdown does."""
        self._writes += self._writes % 2
        self._put_on_disk()

    def freeze(self) -> None:
        """Freeze for the instant of a shadow copy, as VSS asks its writer to."""
        if self.flushes:
            self.shut_down()

    def obey(self, stage: str, argument: str) -> str:
        """Do what a script asks (hold between two orders, go on, or note the backup's end), and report it."""
        self.asked.append(f"{stage} {argument}".strip())
        if stage == "before":
            self.shut_down()
        self.held = {"before": True, "after": False}.get(stage, self.held)
        return f"{self.asked[-1]}: the shop is {'held' if self.held else 'at work'}, {self._writes // 2} orders booked"

    def _put_on_disk(self) -> None:
        orders, bookings = (self._writes + 1) // 2, self._writes // 2
        self._drives[ORDERS_DRIVE].write(ORDERS_PATH, _lines(orders))
        self._drives[LEDGER_DRIVE].write(LEDGER_PATH, _lines(bookings))


@dataclass(frozen=True)
class Examination:
    """The application's data as found in a copy; money in whole euros."""

    orders: int
    orders_total: int
    bookings: int
    bookings_total: int

    @property
    def torn(self) -> bool:
        """Whether orders and bookings differ."""
        return (self.orders, self.orders_total) != (self.bookings, self.bookings_total)

    def __str__(self) -> str:
        facts = f"{self.orders} orders worth {self.orders_total} on {ORDERS_DRIVE}, "
        facts += f"{self.bookings} booked worth {self.bookings_total} on {LEDGER_DRIVE}"
        return f"{'torn' if self.torn else 'consistent'}: {facts}"


def examine(drives: Mapping[str, Files]) -> Examination:
    """Read the application's data from a copy of its drives, and count.

    Raises:
        KeyError: the copy lacks the drive of the orders or of the ledger.
    """
    orders = _amounts(drives[ORDERS_DRIVE].read(ORDERS_PATH))
    bookings = _amounts(drives[LEDGER_DRIVE].read(LEDGER_PATH))
    return Examination(len(orders), sum(orders), len(bookings), sum(bookings))


def _amounts(text: str) -> list[int]:
    return [int(line.split(",")[1]) for line in text.splitlines()]
