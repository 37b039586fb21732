"""The scalars of runs, in arrays that grow; the window's thread alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

__all__ = ["Run", "Table"]

_POINTS = 200_000  # of one stream; older ones are forgotten
_NUMBERS = 2_200_000  # of one stream, all columns together
_SCALARS = frozenset({"number", "integer", "boolean"})


def _is_scalar(key: dict[str, Any]) -> bool:
    shape = [*(key.get("shape") or ())]
    # Of what is in a file, the shape begins with how many rows an event has.
    return key.get("dtype") in _SCALARS and (not shape or ("external" in key and shape == [1]))


class Table:
    """One stream of a run: the time of its events, and a column for each scalar."""

    def __init__(self, run: Run, name: str, scalars: dict[str, str], more: Iterable[str]) -> None:
        self.run, self.name, self.scalars = run, name, scalars
        keys = dict.fromkeys((*scalars, *more))
        self.columns = {key: place for place, key in enumerate(keys, start=1)}
        self._limit = min(_POINTS, _NUMBERS // (len(self.columns) + 1))
        self._values = np.empty((len(self.columns) + 1, 256))
        self.count = 0

    def add(self, time: float, data: dict[str, Any], shown: Sequence[str | None]) -> None:
        """Add an event, unless it has none of the scalars.

        Raises
        ------
        ValueError
            If one of the keys that are shown has no number; then it is not added.
        """
        if self.columns and self.columns.keys().isdisjoint(data):
            return  # a picture alone
        for key in shown:
            if key is not None and key in data:
                _number(key, data[key])
        self._make_room()
        column = self._values[:, self.count]
        column[0] = time - self.run.start
        try:
            column[1:] = [data[key] for key in self.columns]
        except (KeyError, TypeError, ValueError):  # one of them is missing, or is no number
            column[1:] = [_number_or_nan(key, data) for key in self.columns]
        self.count += 1

    def _make_room(self) -> None:
        if self.count < self._values.shape[1]:
            return
        kept = self._values
        if self.count >= self._limit:
            kept = kept[:, self.count // 2 :]
            self.count = kept.shape[1]
        self._values = np.empty((len(kept), 2 * self.count))
        self._values[:, : self.count] = kept

    def points(self, y: str, x: str | None) -> npt.NDArray[Any]:
        """Return x and y of all events, shape (2, n)."""
        places = [0 if x is None else self.columns[x], self.columns[y]]
        points: npt.NDArray[Any] = self._values[places, : self.count]
        return points


class Run:
    """One run: its streams, and which of their columns are shown."""

    def __init__(self, start: float) -> None:
        self.start = start
        self.open = True
        self.tables: list[Table] = []
        #: Whether it is shown with other keys if it does not have those that were chosen.
        self.lenient = True
        self.decided = False
        self.shown: tuple[Table, str, str | None] | None = None

    def add_stream(self, descriptor: dict[str, Any], wanted: Iterable[str]) -> Table:
        """Add a stream; it gets columns for its scalars, and for what is wanted of it."""
        keys = descriptor["data_keys"]
        hinted = {name for hint in descriptor.get("hints", {}).values() for name in hint["fields"]}
        scalars = {
            name: str(keys[name].get("units") or "")
            for name in sorted(keys, key=lambda name: name not in hinted)
            if _is_scalar(keys[name])
        }
        table = Table(
            self, descriptor.get("name", ""), scalars, [key for key in wanted if key in keys]
        )
        self.tables.append(table)
        self.tables.sort(key=lambda table: table.name != "primary")  # which says most of a plan
        self.decided = False
        return table

    def scalars(self) -> list[str]:
        """Return the keys of all scalars."""
        return [key for table in self.tables for key in table.scalars]

    def units(self) -> dict[str, str]:
        """Return the units of the scalars that have some."""
        return {key: unit for t in self.tables for key, unit in t.scalars.items()}

    def pick(
        self, y: str | None, x: str | None, *, strict: bool, lenient: bool
    ) -> tuple[Table, str, str | None] | None:
        """Return which stream and keys to show, if there are some.

        Parameters
        ----------
        y, x
            What was asked for.
        strict
            Whether `x` must be there if it was asked for.
        lenient
            Whether another scalar will do for `y`.
        """
        for table in self.tables:
            if (y is None or y in table.columns) and (found := _columns(table, y, x, strict)):
                return found
        if y is not None and lenient:
            return self.pick(None, x, strict=strict, lenient=False)
        return None

    @property
    def keys(self) -> tuple[str | None, str | None]:
        """The keys y and x that are shown."""
        return (None, None) if self.shown is None else self.shown[1:]

    @property
    def count(self) -> int:
        """How many points are shown."""
        return 0 if self.shown is None else self.shown[0].count

    def points(self) -> npt.NDArray[Any]:
        """Return x and y of what is shown, shape (2, n)."""
        if self.shown is None:
            return np.empty((2, 0))
        table, y, x = self.shown
        return table.points(y, x)


def _columns(
    table: Table, y: str | None, x: str | None, strict: bool
) -> tuple[Table, str, str | None] | None:
    if x is not None and x not in table.columns:
        if strict:
            return None
        x = None
    if y is None:
        others = [key for key in table.scalars if key != x]
        y = next(iter(others or table.scalars), None)
    return None if y is None else (table, y, x)


def _number(key: str, value: Any) -> float:
    if np.ndim(value) != 0:
        msg = f"{key} has the shape {np.shape(value)}: it can be shown as an image, not plotted"
        raise ValueError(msg)
    try:
        return float(value)
    except (TypeError, ValueError):
        msg = f"{key} is {value!r}, which is no number"
        raise ValueError(msg) from None


def _number_or_nan(key: str, data: dict[str, Any]) -> float:
    try:
        return _number(key, data[key])
    except (KeyError, ValueError):  # not shown, or it would have been refused
        return np.nan
