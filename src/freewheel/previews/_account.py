"""What is written down while a plan is followed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, final

from freewheel.core._devices import claimed_with, device_name

from ._facts import UNKNOWN
from ._preview import Move, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._seen import Seen

__all__ = ["Account"]

#: So many places of a path, and so many points of a picture, are kept.
_KEPT: Final = 10_000
#: So many milestones are.
_MARKS: Final = 1000
#: So many different problems and guesses are told.
_TOLD: Final = 50


@final
class _Path:
    """Where one device is sent; thinned out when it grows long."""

    __slots__ = ("_every", "count", "highest", "lowest", "model", "places")

    def __init__(self, model: Seen, begin: Any) -> None:
        self.model = model
        self.places: list[Any] = [] if begin is UNKNOWN else [begin]
        self.lowest, self.highest = math.inf, -math.inf
        self.count = 0
        self._every = 1

    def add(self, value: Any) -> None:
        self.count += 1
        if type(value) is float or (isinstance(value, (int, float)) and type(value) is not bool):
            if value < self.lowest:
                self.lowest = value
            if value > self.highest:
                self.highest = value
        if not self.count % self._every:
            self.places.append(value)
            if len(self.places) > _KEPT:
                self.places = self.places[::2]
                self._every *= 2

    def shown(self) -> Move:
        known = self.lowest <= self.highest
        low, high = (float(self.lowest), float(self.highest)) if known else (None, None)
        return Move(low, high, tuple(self.places), _unit(self.model), self.count)


def _unit(model: Seen) -> str:
    key = model.keys.get(model.name, {})
    return str(key.get("units") or "")


@final
class Account:
    """Events, data, moves, claims, problems and guesses of one preview.

    Parameters
    ----------
    when : callable
        Returns how many messages have come, and what time it is in the plan.
    """

    def __init__(self, when: Callable[[], tuple[int, float]]) -> None:
        self._when = when
        self.events: dict[str, int] = {}
        self.data_bytes = 0
        self.runs = 0
        #: How much devices write into files, by folder.
        self.wrote: dict[str, int] = {}
        self.problems: list[Problem] = []
        self._told: set[str] = set()
        self.guesses: list[str] = []
        self._claims: dict[int, Any] = {}
        self._paths: dict[int, _Path] = {}
        self._points: list[dict[str, float]] = []
        self._every = 1
        self._saved = 0
        self._milestones: list[tuple[int, float]] = []
        self._last_mark = 0, 0.0
        self._marked, self._next_mark, self._apart = 0, 1, 1
        #: How much longer, and how much shorter, what was measured before has been [s].
        self.slack = [0.0, 0.0]
        self.has_unknown_time = False
        #: Whether the plan was told something made up, so that it may do something else in the run.
        self.is_astray = False

    # -- problems and guesses -----------------------------------------------------------------

    def problem(self, text: str, device: str = "", *, is_guess: bool = False) -> None:
        """Write down what will go wrong, each once."""
        if text in self._told or len(self.problems) >= _TOLD:
            return
        self._told.add(text)
        number, now = self._when()
        self.problems.append(Problem(text, device, number, now, is_guess or self.is_astray))

    def guess(self, text: str, *, astray: bool = False) -> None:
        """Write down what is not known, each once; and whether the plan may go by it."""
        self.is_astray = self.is_astray or astray
        if text not in self._told and len(self.guesses) < _TOLD:
            self._told.add(text)
            self.guesses.append(text)

    # -- events -------------------------------------------------------------------------------

    def mark(self, number: int, now: float) -> None:
        """Write down when the plan itself has had events."""
        self._marked = marked = self._marked + number
        self._last_mark = mark = marked, now
        if marked >= self._next_mark:
            milestones = self._milestones
            milestones.append(mark)
            self._next_mark = marked + self._apart
            if len(milestones) > _MARKS:
                del milestones[:-1:2]
                self._apart *= 2

    def event(self, stream: str, size: int, number: int = 1) -> None:
        """Count events of a stream."""
        self.events[stream] = self.events.get(stream, 0) + number
        self.data_bytes += size * number
        self._saved += 1
        if self._paths and not self._saved % self._every:
            self._points.append(
                {
                    path.model.name: float(path.model.position)
                    for path in self._paths.values()
                    if path.lowest <= path.highest
                }
            )
            if len(self._points) > _KEPT:
                self._points = self._points[::2]
                self._every *= 2

    # -- devices ------------------------------------------------------------------------------

    def need(self, model: Seen, *, anew: bool = False) -> None:
        """Write down that the plan needs a device, with what it drives."""
        if id(model.device) in self._claims and not anew:
            return
        try:
            parts = claimed_with(model.device)
        except Exception as error:
            parts = (model.device,)
            self.guess(f"what {model.name} drives: it raises {error!r}")
        for part in parts:
            self._claims.setdefault(id(part), part)

    def moving(self, model: Seen, begin: Any) -> None:
        """Write down where a device stands before its first move."""
        if id(model.device) not in self._paths:
            self._paths[id(model.device)] = _Path(model, begin)

    def moved(self, model: Seen, value: Any) -> None:
        """Write down a move."""
        path = self._paths.get(id(model.device))
        if path is None:
            self.moving(model, UNKNOWN)
            path = self._paths[id(model.device)]
        path.add(value)

    # -- the result ---------------------------------------------------------------------------

    def claims(self) -> Mapping[str, Any]:
        """Return the devices that are needed, by name."""
        return _named((device_name(device), device) for device in self._claims.values())

    def moves(self) -> Mapping[str, Move]:
        """Return where devices are sent, by name."""
        moved = (path for path in self._paths.values() if path.count)  # and not refused at once
        return _named((path.model.name, path.shown()) for path in moved)

    def milestones(self) -> tuple[tuple[int, float], ...]:
        """Return when the plan's own events are taken; the last one is among them."""
        kept = self._milestones
        last = [self._last_mark] if self._marked and kept[-1] != self._last_mark else []
        return (*kept, *last)

    def points(self) -> tuple[Mapping[str, float], ...]:
        """Return where the events are taken."""
        return tuple(self._points)


def _named(several: Any) -> dict[str, Any]:
    """Return a mapping by name; of several with one name, all but the first get a number."""
    found: dict[str, Any] = {}
    for name, each in several:
        key, number = name, 1
        while key in found:
            number += 1
            key = f"{name} ({number})"
        found[key] = each
    return found
