"""Faults on purpose, so that users can see how their plans take them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import final

#: Methods that a device may have and that faults may be told to act on.
DEVICE_METHODS = (
    "trigger",
    "read",
    "describe",
    "read_configuration",
    "describe_configuration",
    "set",
    "locate",
    "check_value",
    "stop",
    "stage",
    "unstage",
    "pause",
    "resume",
    "prepare",
    "kickoff",
    "complete",
    "collect_asset_docs",
    "describe_collect",
    "get_index",
)

#: Methods that return values, which a fault may spoil.
VALUE_METHODS = ("read", "read_configuration", "locate")


@dataclass(frozen=True, slots=True)
class FaultyCall:
    """The call that a fault struck.

    Parameters
    ----------
    device : str
        Name of the device.
    method : str
        Name of the method.
    number : int
        How many times the method had been called since the fault was injected, this call
        included.
    """

    device: str
    method: str
    number: int

    def __str__(self) -> str:
        """Say it in words."""
        return f"call {self.number} of {self.device}.{self.method}()"


class FaultError(RuntimeError):
    """A simulated device did what it was told to do: it failed.

    Parameters
    ----------
    call : FaultyCall
        Which device, method and call.
    fault : Fault
        The fault that struck.
    what : str
        What it did.
    """

    def __init__(self, call: FaultyCall, fault: Fault, what: str = "failed on purpose") -> None:
        super().__init__(call, fault, what)
        self.call = call
        self.fault = fault
        self.what = what

    def __str__(self) -> str:
        """Name device, call and fault."""
        return f"{self.call} {self.what}: {self.fault!r}"


class ConnectionLostError(FaultError, ConnectionError):
    """A simulated device has lost its connection on purpose."""


@dataclass(frozen=True, repr=False)
class Fault:
    """What goes wrong, on which methods, and when.

    Not used itself; see `Fail`, `Hang`, `Slow`, `LoseConnection`, `ReturnNaN` and `WrongShape`.
    A fault strikes a call when all of ``at``, ``window``, ``times`` and ``probability`` allow it.

    Parameters
    ----------
    on : str or tuple[str, ...]
        Names of the methods that it strikes, such as ``"trigger"``.
    at : int or tuple[int, ...], optional
        Only these calls of a method, counted from 1 when the fault is injected.
    probability : float
        Chance that it strikes a call, from 0 to 1.
    window : tuple[float, float], optional
        Only within this time after the fault was injected [s].
    times : int, optional
        How many times it strikes at most.
    seed : int
        Seed of the chance.

    Raises
    ------
    ValueError
        If a parameter can't be.
    TypeError
        If it does not say what goes wrong, as its subclasses do.
    """

    on: str | tuple[str, ...]
    at: int | tuple[int, ...] | None = field(default=None, kw_only=True)
    probability: float = field(default=1.0, kw_only=True)
    window: tuple[float, float] | None = field(default=None, kw_only=True)
    times: int | None = field(default=None, kw_only=True)
    seed: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        """Refuse what can't be, by name."""
        if type(self) in (Fault, SpoilingFault):
            msg = f"{type(self).__name__} alone says not what goes wrong: use Fail, Hang or another"
            raise TypeError(msg)
        self._check(bool(self.methods) and all(self.methods), "on", "a method's name, or several")
        self._check(all(number >= 1 for number in self.calls), "at", "call numbers, from 1")
        self._check(0 <= self.probability <= 1, "probability", "a number from 0 to 1")
        begin, end = self.window or (0.0, math.inf)
        self._check(0 <= begin < end, "window", "its begin and its later end [s]")
        self._check(self.times is None or self.times >= 1, "times", "1 or more")

    def _check(self, holds: bool, name: str, wanted: str) -> None:
        if not holds:
            msg = f"{name} of {type(self).__name__} must be {wanted}, not {getattr(self, name)!r}"
            raise ValueError(msg)

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that it strikes."""
        return (self.on,) if isinstance(self.on, str) else tuple(self.on)

    @property
    def calls(self) -> tuple[int, ...]:
        """The calls that it strikes; empty for all."""
        if self.at is None:
            return ()
        return (self.at,) if isinstance(self.at, int) else tuple(self.at)

    def __repr__(self) -> str:
        """Show what differs from the defaults."""
        shown = [repr(self.on)]
        for part in fields(self):
            value = getattr(self, part.name)
            if part.name != "on" and value != part.default:
                shown.append(f"{part.name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


@final
@dataclass(frozen=True, repr=False)
class Fail(Fault):
    """The call raises, or its status fails.

    Parameters
    ----------
    error : Exception, optional
        What to raise instead of `FaultError`.
    """

    error: Exception | None = field(default=None, kw_only=True)


@final
@dataclass(frozen=True, repr=False)
class Hang(Fault):
    """The call never ends by itself.

    It can be cancelled. When the fault is removed, calls that still hang fail with `FaultError`.
    """


@final
@dataclass(frozen=True, repr=False)
class Slow(Fault):
    """The call begins late.

    Parameters
    ----------
    seconds : float
        How late [s].
    """

    seconds: float = field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        """Refuse what can't be, by name."""
        super().__post_init__()
        self._check(0 <= self.seconds < math.inf, "seconds", "a time, zero or more")


@final
@dataclass(frozen=True, repr=False)
class LoseConnection(Fault):
    """The call fails with `ConnectionLostError`, and from then on all others of the device.

    Parameters
    ----------
    duration : float, optional
        How long the connection stays lost [s]; by default until the fault is removed.
    """

    duration: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        """Refuse what can't be, by name."""
        super().__post_init__()
        self._check(self.duration is None or self.duration > 0, "duration", "a time above zero")


@dataclass(frozen=True, repr=False)
class SpoilingFault(Fault):
    """A fault that spoils the values that a call returns."""

    on: str | tuple[str, ...] = "read"

    def __post_init__(self) -> None:
        """Refuse what can't be, by name."""
        super().__post_init__()
        known = all(method in VALUE_METHODS for method in self.methods)
        self._check(known, "on", f"among {', '.join(VALUE_METHODS)}, which return values")


@final
@dataclass(frozen=True, repr=False)
class ReturnNaN(SpoilingFault):
    """Numbers in what the call returns are NaN.

    Integers have no NaN: an array of them comes back as one of ``float64``.
    """


@final
@dataclass(frozen=True, repr=False)
class WrongShape(SpoilingFault):
    """Arrays in what the call returns have the wrong shape, and numbers are arrays.

    Parameters
    ----------
    shape : tuple[int, ...], optional
        The wrong shape; by default the first axis is one short.
    """

    shape: tuple[int, ...] | None = field(default=None, kw_only=True)
