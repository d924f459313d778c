"""The freeze window as a picture to scale: what held the application, and for how long. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from quiesce.guest.sessions import Session
from quiesce.pages.words import seconds
from quiesce.points.record import FreezeWindow

# Around the window, as a part of it: so much of the scripts before and behind it is shown.
PADDING = 0.18
STEPS = (1, 2, 5)
MOST_TICKS = 5
# A bar that is thinner can't be seen.
THINNEST = 0.4


@dataclass(frozen=True)
class Bar:
    """A bar of the timeline; ``x`` and ``width`` in percent of its length, ``cut`` where it goes on outside of it."""

    lane: int
    kind: str
    letter: str
    label: str
    took: str
    x: float
    width: float
    cut: str = ""


@dataclass(frozen=True)
class Tick:
    """A place on the scale, in percent, and the time since the before script ended."""

    x: float
    label: str


@dataclass(frozen=True)
class Timeline:
    """The freeze window to scale: by the server's clock, but for the parts that ``note`` names."""

    total: str
    begins: float
    ends: float
    bars: Sequence[Bar]
    ticks: Sequence[Tick]
    note: str
    sentence: str


def timeline(session: Session | None, window: FreezeWindow | None) -> Timeline | None:
    """Return the timeline of a run's last attempt, None if nothing is known to have been held."""
    if session is None or window is None or not window.total_ms or session.before is None or session.after is None:
        return None
    scale = _Scale(window.total_ms)
    held = seconds(window.total_ms / 1000)
    parts = list(_parts(window))
    known = "" if parts else "How the window divides between the server and AWS is not known: their clocks differ. "
    note = (
        f"{known}Times are by the server's clock; when AWS knew and asked is by the clock of AWS." if parts else known
    )
    zero = session.before.ended_ms
    scripts = [(each.started_ms - zero, each.ended_ms - zero) for each in (session.before, session.after)]
    bars = [*_of_server(scripts, session, zero, scale), *_divided(parts, scale)]
    return Timeline(
        total=held,
        begins=scale.x(0),
        ends=scale.x(window.total_ms),
        bars=bars,
        ticks=list(scale.ticks()),
        note=note.strip(),
        sentence=f"The application was held for {held}: {', '.join(f'{bar.label} {bar.took}' for bar in bars)}.",
    )


@dataclass(frozen=True)
class _Scale:
    total_ms: float

    def x(self, ms: float) -> float:
        """Return the place of a time after the end of the before script, in percent, also outside of the picture."""
        pad = self.total_ms * PADDING
        return round((ms + pad) / (self.total_ms + 2 * pad) * 100, 2)

    def bar(self, name: tuple[int, str, str, str], begins: float, ends: float) -> Bar:
        lane, kind, letter, label = name
        left, right = self.x(begins), self.x(ends)
        cut = ("left" if left < 0 else "") + ("right" if right > 100 else "")  # noqa: PLR2004 - percent
        left, right = min(max(left, 0.0), 100.0 - THINNEST), min(max(right, 0.0), 100.0)
        width = round(max(right - left, THINNEST), 2)
        return Bar(lane, kind, letter, label, seconds((ends - begins) / 1000), left, width, cut)

    def ticks(self) -> Iterator[Tick]:
        step, tens = 1.0, 1.0
        while self.total_ms / step > MOST_TICKS - 1:
            step = next((tens * one for one in STEPS if self.total_ms / (tens * one) <= MOST_TICKS - 1), step)
            tens *= 10
        unit, name = (1000, "s") if step >= 1000 else (1, "ms")  # noqa: PLR2004 - milliseconds of a second
        at = 0.0
        while at <= self.total_ms:
            yield Tick(self.x(at), f"{at / unit:g} {name}")
            at += step


def _of_server(scripts: Sequence[tuple[float, float]], session: Session, zero: int, scale: _Scale) -> Iterator[Bar]:
    """Return what ran on the server; ``zero`` is the end of the before script by its clock."""
    (began, _), (_, ended) = scripts
    names = ("session script freezes", "session script thaws") if session.holds else ("before script", "after script")
    yield scale.bar((0, "script", "", names[0]), began, 0)
    yield scale.bar((0, "script", "", names[1]), scale.total_ms, ended)
    shadow = session.shadow
    if shadow and shadow.created_ms:
        begins, ends = shadow.started_ms - zero, shadow.created_ms - zero
        yield scale.bar((1, "vss", "", "VSS makes the shadow copies"), begins, ends)


def _parts(window: FreezeWindow) -> Iterator[tuple[str, str, int]]:
    named = (
        ("A", "until AWS knew of the freeze", window.known_ms),
        ("B", "until the snapshots were initiated", window.snapshots_ms),
        ("C", "until the after script began", window.thaw_ms),
    )
    if all(took is not None for _, _, took in named):
        yield from ((letter, label, took) for letter, label, took in named if took is not None)


def _divided(parts: Sequence[tuple[str, str, int]], scale: _Scale) -> Iterator[Bar]:
    """Return the parts of the window, one behind the other."""
    ends = [0]
    for _, _, took in parts:
        ends.append(ends[-1] + took)
    for (letter, label, _), (begin, end) in zip(parts, pairwise(ends), strict=True):
        yield scale.bar((2, f"part-{letter.lower()}", letter, label), begin, end)
