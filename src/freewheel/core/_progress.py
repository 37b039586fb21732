"""How far something has come: what is shown of it, and scopes that tell of it."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Progress", "ProgressScope"]

_log = logging.getLogger("freewheel")

_NUMBERS = ("current", "initial", "target", "fraction", "time_elapsed", "time_remaining")
_TOLD = (*_NUMBERS, "unit", "precision")


@dataclass(frozen=True)
class Progress:
    """A picture of the progress of one thing at one moment.

    Attributes
    ----------
    name : str
        What it is the progress of.
    owner : str
        The plan or background task that it belongs to.
    kind : {"scope", "device", "task"}
        A part of a plan, a move that a plan waits for, or a background task as a whole.
    background : bool
        Whether the owner is a background task.
    depth : int
        How many scopes of the same owner it is nested in.
    fraction : float or None
        From 0 to 1; ``None`` where the end is not known.
    current, initial, target : object
        Where it is, where it began and where it ends, in `unit`; ``None`` if not known.
    unit : str
        Such as ``"points"`` or ``"mm"``.
    elapsed : float
        Seconds since it began.
    remaining : float or None
        Seconds until its end, estimated; ``None`` if not known.
    done : bool
        Whether it has ended.
    """

    name: str
    owner: str = ""
    kind: Literal["scope", "device", "task"] = "scope"
    background: bool = False
    depth: int = 0
    fraction: float | None = None
    current: Any = None
    initial: Any = None
    target: Any = None
    unit: str = ""
    elapsed: float = 0.0
    remaining: float | None = None
    done: bool = False


def _distance(one: Any, other: Any) -> float:
    """Return the distance of two positions: numbers, or sequences of numbers."""
    ones = one if hasattr(one, "__len__") else (one,)
    others = other if hasattr(other, "__len__") else (other,)
    return math.dist([float(x) for x in ones], [float(x) for x in others])


def _fraction_of(told: Mapping[str, Any]) -> float | None:
    """Return the fraction that has been done, from 0 to 1, or ``None``."""
    fraction = told.get("fraction")
    try:
        if fraction is None:
            current, target = told.get("current"), told.get("target")
            if current is None or target is None:
                return None
            initial = told.get("initial")
            if initial is None:
                initial = [0.0] * len(target) if hasattr(target, "__len__") else 0.0
            whole = _distance(target, initial)
            fraction = 1.0 if whole == 0 else _distance(current, initial) / whole
        fraction = float(fraction)
    except (TypeError, ValueError):
        return None
    return None if math.isnan(fraction) else min(1.0, max(0.0, fraction))


@final
class ProgressScope:
    """The progress of a part of a plan; nested scopes have parents. Any thread may use it.

    It can be watched as a status can (`watch`). Plans open and update scopes with the stubs
    `declare_progress` and `update_progress`.

    Parameters
    ----------
    name : str
        What it is called.
    parent : ProgressScope, optional
        The scope that it is nested in.
    kind : {"scope", "device"}
        What it is the progress of.
    """

    def __init__(
        self,
        name: str,
        parent: ProgressScope | None = None,
        *,
        kind: Literal["scope", "device"] = "scope",
    ) -> None:
        self.name = name
        self.parent = parent
        self.kind: Literal["scope", "device"] = kind
        self.began_at = time.monotonic()
        # The lock guards what follows. It is not held while watchers are called.
        self._lock = threading.Lock()
        self._told: dict[str, Any] = {}
        self._ended_at: float | None = None
        self._watchers: list[Callable[..., None]] = []

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self._ended_at is not None

    @property
    def depth(self) -> int:
        """How many scopes it is nested in."""
        return 0 if self.parent is None else self.parent.depth + 1

    @property
    def fraction(self) -> float | None:
        """How much of it is done, from 0 to 1; ``None`` where the end is not known."""
        with self._lock:
            return _fraction_of(self._told)

    def watch(self, watcher: Callable[..., None]) -> None:
        """Have a function called with each update.

        Parameters
        ----------
        watcher : callable
            Called with the keyword arguments ``name``, ``current``, ``initial``, ``target``,
            ``unit``, ``precision``, ``fraction``, ``time_elapsed`` and ``time_remaining``, each
            of which may be ``None``, in the thread that updates. One that raises is dropped.
        """
        with self._lock:
            self._watchers.append(watcher)
            begun = bool(self._told)
        if begun:
            self._tell([watcher])

    def update(self, **told: Any) -> None:
        """Note how far it has come; what is not given, or ``None``, stays as it is.

        Parameters
        ----------
        current, initial, target : float or sequence of float
            Where it is, where it began and where it ends.
        unit : str
            Of these.
        precision : int
            Decimals to show them with.
        fraction : float
            From 0 to 1, in place of the three.
        time_elapsed, time_remaining : float
            Seconds.

        Raises
        ------
        TypeError
            For anything else.
        """
        if unknown := set(told) - set(_TOLD):
            raise TypeError(
                f"progress has no {', '.join(sorted(unknown))}; it has {', '.join(_TOLD)}."
            )
        given = {key: value for key, value in told.items() if value is not None}
        with self._lock:
            if self._ended_at is not None:
                return
            if "fraction" not in given and "current" in given:
                self._told.pop("fraction", None)
            self._told.update(given)
            watchers = list(self._watchers)
        self._tell(watchers)

    def finish(self, *, complete: bool = True) -> None:
        """End it; with ``complete`` it is at 100 % then.

        Parameters
        ----------
        complete : bool, optional
            Whether it has come to its end.
        """
        with self._lock:
            if self._ended_at is not None:
                return
            self._ended_at = time.monotonic()
            if complete:
                self._told["fraction"] = 1.0
                if self._told.get("target") is not None:
                    self._told["current"] = self._told["target"]
            watchers, self._watchers = self._watchers, []
        self._tell(watchers)

    def _tell(self, watchers: list[Callable[..., None]]) -> None:
        if not watchers:
            return
        with self._lock:
            told: dict[str, Any] = dict.fromkeys(_TOLD) | self._told
        if told["time_elapsed"] is None:
            told["time_elapsed"] = self._elapsed()
        for watcher in watchers:
            try:
                watcher(name=self.name, **told)
            except Exception:
                _log.exception("A watcher of the progress of %r raised; dropped.", self.name)
                with self._lock:
                    if watcher in self._watchers:
                        self._watchers.remove(watcher)

    def _elapsed(self) -> float:
        return (self._ended_at or time.monotonic()) - self.began_at

    def picture(self, owner: str = "", *, background: bool = False) -> Progress:
        """Return how it stands at this moment.

        Parameters
        ----------
        owner : str
            The plan.
        background : bool
            Whether that is a background task.
        """
        with self._lock:
            told = dict(self._told)
        elapsed, fraction = self._elapsed(), _fraction_of(told)
        remaining = told.get("time_remaining")
        if remaining is None and fraction:
            remaining = elapsed * (1 - fraction) / fraction
        return Progress(
            name=self.name,
            owner=owner,
            kind=self.kind,
            background=background,
            depth=self.depth,
            fraction=fraction,
            current=told.get("current"),
            initial=told.get("initial"),
            target=told.get("target"),
            unit=str(told.get("unit") or ""),
            elapsed=elapsed,
            remaining=remaining,
            done=self.done,
        )

    def __repr__(self) -> str:
        fraction = self.fraction
        text = "" if fraction is None else f" {fraction:.0%}"
        return f"<ProgressScope {self.name!r}{text}{' done' if self.done else ''}>"
