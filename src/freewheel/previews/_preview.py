"""What a preview says: frozen values, their words and their picture."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from freewheel.core import duration_text
from freewheel.core._wording import count_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._contention import Conflict

__all__ = ["Disk", "Move", "Preview", "Problem", "bytes_text"]

_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB", "PB")


def bytes_text(count: float) -> str:
    """Return an amount of data, in bytes, in words: ``"1.6 GB"``."""
    unit = 0
    while count >= 999.5 and unit < len(_UNITS) - 1:
        count, unit = count / 1000, unit + 1
    return f"{count:.0f} {_UNITS[unit]}" if unit == 0 else f"{count:.3g} {_UNITS[unit]}"


@dataclass(frozen=True)
class Problem:
    """Something that will keep a plan from doing what it is asked to.

    Attributes
    ----------
    text : str
        What happens, to which device, and what the limit is.
    device : str
        The device's name; empty if it is about none.
    message : int
        After how many messages of the plan.
    time : float
        After how many seconds.
    is_guess : bool
        Whether it hangs on something that the preview did not know, so that the run may go
        differently.
    """

    text: str
    device: str = ""
    message: int = 0
    time: float = 0.0
    is_guess: bool = False

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Move:
    """Where a plan sends a device.

    Attributes
    ----------
    lowest, highest : float or None
        The furthest positions; ``None`` where they are no numbers, as a shutter's.
    path : tuple
        The positions one after the other, where it stood before included if that is known;
        thinned out if they are very many.
    unit : str
        Their unit.
    count : int
        How often it is sent somewhere.
    """

    lowest: float | None
    highest: float | None
    path: tuple[Any, ...] = ()
    unit: str = ""
    count: int = 0

    def __str__(self) -> str:
        if self.lowest is None or self.highest is None:
            places = (tuple(each) if isinstance(each, list) else each for each in self.path)
            return ", ".join(list(dict.fromkeys(map(str, places)))[:6])
        if self.lowest == self.highest:
            return f"{self.lowest:.6g} {self.unit}".strip()
        return f"{self.lowest:.6g} … {self.highest:.6g} {self.unit}".strip()


@dataclass(frozen=True)
class Disk:
    """A folder that a plan's data go to.

    Attributes
    ----------
    path : str
        The folder.
    needed : int
        How many bytes the plan writes there.
    free : int
        How many are free, at the time of the preview.
    lasts : float or None
        Of a plan without an end, or one that was not followed to its end: in how many seconds there
        is no room any more, should it go on so.
    """

    path: str
    needed: int
    free: int
    lasts: float | None = None

    def __str__(self) -> str:
        free = f"{self.path}, where {bytes_text(self.free)} are free"
        if self.lasts is None:
            return f"{bytes_text(self.needed)} to {free}"
        return f"to {free}: full after {duration_text(self.lasts)}"


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, eq=False, repr=False)
class Preview:
    """What a plan will do, as far as that can be told before it runs.

    Attributes
    ----------
    name : str
        The plan's name.
    duration : float
        How long it will take [s]; infinite for a plan without an end.
    shortest, longest : float
        Between what the duration will lie [s]; ``longest`` is infinite where a device takes a time
        that nobody knows.
    events : mapping of str to int
        How many events each stream will have, in all of the plan's runs.
    data_bytes : int
        How much data is in them, and in the files that they point to.
    runs : int
        How many runs.
    moves : mapping of str to Move
        By name, the devices that are sent somewhere.
    claims : mapping of str to device
        By name, the devices that the plan and its tasks need, with those that they drive.
    problems : tuple of Problem
        What will keep it from going through.
    guesses : tuple of str
        Where the preview had to guess: what follows from these may be different in the run.
    is_endless : bool
        Whether it goes on until somebody ends it. All numbers are then those of ``followed``
        seconds.
    is_complete : bool
        Whether the plan was followed to its end. If not, the numbers are the least.
    followed : float
        How many seconds of the plan were followed.
    messages : int
        How many messages it has sent until then.
    disks : tuple of Disk
        Where data are written to, by detectors and by recorders, and how much is free there.
    milestones : tuple of (int, float)
        After how many events of the plan itself how many seconds have passed; thinned out if they
        are very many. Without those of its tasks, and of devices that are monitored.
    points : tuple
        Where the numbered positions were at each event, one tuple for each, in the order of
        ``moves``; thinned out if they are very many.
    task_conflicts : mapping of str to tuple of Conflict
        By the names of its background tasks, the devices of these that the plan itself needs
        after it has started them.
    rivals : tuple of str
        Of a preview by an engine: who has devices that it needs, at the time of the preview.
    unforeseen : tuple of str
        Of a preview by an engine: what may hold it up there, and is not in the numbers: interlocks
        on its devices, suspenders, plans that take its place again and again.
    """

    name: str = ""
    duration: float = 0.0
    shortest: float = 0.0
    longest: float = 0.0
    events: Mapping[str, int] = field(default_factory=_nothing)
    data_bytes: int = 0
    runs: int = 0
    moves: Mapping[str, Move] = field(default_factory=_nothing)
    claims: Mapping[str, Any] = field(default_factory=_nothing)
    problems: tuple[Problem, ...] = ()
    guesses: tuple[str, ...] = ()
    is_endless: bool = False
    is_complete: bool = True
    followed: float = 0.0
    messages: int = 0
    disks: tuple[Disk, ...] = ()
    milestones: tuple[tuple[int, float], ...] = field(default=(), repr=False)
    points: tuple[Mapping[str, float], ...] = field(default=(), repr=False)
    task_conflicts: Mapping[str, tuple[Conflict, ...]] = field(default_factory=_nothing)
    rivals: tuple[str, ...] = ()
    unforeseen: tuple[str, ...] = ()

    @property
    def is_wrong(self) -> bool:
        """Whether something is known to be wrong: then the plan need not be run to find out."""
        return any(not problem.is_guess for problem in self.problems)

    @property
    def is_guess(self) -> bool:
        """Whether something had to be guessed."""
        return bool(self.guesses)

    @property
    def num_events(self) -> int:
        """How many events there are in all streams."""
        return sum(self.events.values())

    @property
    def summary(self) -> str:
        """One line: ``"about 12 min 30 s, 200 events, 1.6 GB"``."""
        number = self.num_events
        data = f", {bytes_text(self.data_bytes)}" if self.data_bytes else ""
        if self.is_endless:
            return f"until it is stopped{self._rates()}"
        events = f"{number:,} event{'' if number == 1 else 's'}{data}"
        about = duration_text(self.duration, tenths=self.duration < 10)
        if not self.is_complete:
            return f"at least {about}, {events}"
        return f"about {about}, {events}"

    def _rates(self) -> str:
        if not self.followed or math.isinf(self.followed) or not self.num_events:
            return ""
        each = self.num_events / self.followed
        data = self.data_bytes / self.followed
        size = f" and {bytes_text(data)}" if data else ""
        return f", about {count_text(each, 'event')}{size} a second"

    @property
    def lines(self) -> tuple[str, ...]:
        """The whole preview in words, a line for each thing that there is to say."""
        found = [self.summary]
        if (
            not math.isinf(self.duration)
            and self.is_complete
            and self.longest > self.duration * 1.25
        ):
            most = "not known" if math.isinf(self.longest) else duration_text(self.longest)
            found.append(f"at least {duration_text(self.shortest)}, at most {most}")
        found += [
            f"{'may fail' if problem.is_guess else 'fails'}: {problem}" for problem in self.problems
        ]
        if len(self.events) > 1:
            found.append("events: " + ", ".join(f"{n:,} {name}" for name, n in self.events.items()))
        if self.moves:
            found.append(
                "moves " + ", ".join(f"{name} {move}" for name, move in self.moves.items())
            )
        if self.claims:
            found.append("needs " + ", ".join(self.claims))
        found += [f"writes {disk}" for disk in self.disks]
        found += self.rivals
        found += [f"guessed: {guess}" for guess in self.guesses]
        found += [f"not foreseen: {each}" for each in self.unforeseen]
        return tuple(found)

    @property
    def _title(self) -> str:
        return f"{self.name}: {self.summary}" if self.name else self.summary

    def __str__(self) -> str:
        return "\n".join((self._title, *self.lines[1:]))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._title}>"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Show it at a prompt as it is printed."""
        printer.text(repr(self) if cycle else str(self))

    def _repr_html_(self) -> str:
        """Return a card, for notebooks."""
        from ._card import card

        return card(self.name, self.lines, wrong=self.is_wrong, unsure=self.is_guess)

    def plot(self, ax: Any = None, *, x: str | None = None, y: str | None = None) -> Any:
        """Draw where the events are taken: the raster path of two axes, or one axis by number.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default a new figure.
        x, y : str, optional
            The names of the axes, of `moves`; by default the first two that are moved to numbers.

        Returns
        -------
        matplotlib.axes.Axes
            What it was drawn in.

        Raises
        ------
        KeyError
            For an axis that is not moved, with those that are.
        ImportError
            Without matplotlib.
        """
        from ._picture import draw

        return draw(self._title, self.moves, self.points, ax, x, y)
