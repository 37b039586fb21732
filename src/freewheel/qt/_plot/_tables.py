"""The scalars of runs, in arrays that grow; the window's thread alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from freewheel.qt._plot._hints import dimensions_of, hinted_fields, is_even_grid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

__all__ = ["TIME", "Axis", "Run", "Shown", "Table", "with_unit"]

#: What is asked for as x to have the time, whatever the run's dimensions are.
TIME: Final = "time"
#: So many scalars are shown by themselves at most: each has an axis of its own.
_TOGETHER: Final = 4

_POINTS = 200_000  # of one stream; older ones are forgotten
_NUMBERS = 2_200_000  # of one stream, all columns together
_SCALARS = frozenset({"number", "integer", "boolean"})


def _is_scalar(key: dict[str, Any]) -> bool:
    shape = [*(key.get("shape") or ())]
    # Of what is in a file, the shape begins with how many rows an event has.
    return key.get("dtype") in _SCALARS and (not shape or ("external" in key and shape == [1]))


def with_unit(key: str, units: Mapping[str, str]) -> str:
    """Return what an axis or a column is called."""
    return f"{key} [{units[key]}]" if units.get(key) else key


class Shown(NamedTuple):
    """What is shown of a run: a stream, and its columns; without `x` the time."""

    table: Table
    ys: tuple[str, ...]
    x: str | None


class Axis(NamedTuple):
    """Where a dimension of a grid begins and ends, and how many places it has."""

    begin: float
    end: float
    num: int

    @property
    def step(self) -> float:
        """From one place to the next; 1 if there is no other."""
        return (self.end - self.begin) / (self.num - 1) if self.num > 1 else 1.0


class Table:
    """One stream of a run: the time of its events, and a column for each scalar."""

    def __init__(
        self,
        run: Run,
        name: str,
        scalars: dict[str, str],
        more: Iterable[str],
        hinted: Iterable[str] = (),
    ) -> None:
        self.run, self.name, self.scalars = run, name, scalars
        self._hinted = [key for key in scalars if key in set(hinted)]
        keys = dict.fromkeys((*scalars, *more))
        self.columns = {key: place for place, key in enumerate(keys, start=1)}
        self._limit = min(_POINTS, _NUMBERS // (len(self.columns) + 1))
        self._values = np.empty((len(self.columns) + 1, 256))
        self.count = 0
        self.first: npt.NDArray[Any] | None = None  # event, if it was seen

    def add(self, doc: Mapping[str, Any], shown: Sequence[str | None] = ()) -> None:
        """Add an event, unless it has none of the scalars.

        Raises
        ------
        ValueError
            If one of the keys that are shown has no number; then it is not added.
        """
        data = doc["data"]
        if self.columns and self.columns.keys().isdisjoint(data):
            return  # a picture alone
        for key in shown:
            if key is not None and key in data:
                _number(key, data[key])
        self._make_room()
        column = self._values[:, self.count]
        column[0] = doc["time"] - self.run.start
        try:
            column[1:] = [data[key] for key in self.columns]
        except (KeyError, TypeError, ValueError, OverflowError):  # one is missing, or no number
            column[1:] = [_number_or_nan(key, data) for key in self.columns]
        if doc.get("seq_num") == 1:
            self.first = column.copy()
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

    @property
    def axis(self) -> str | None:
        """What the run says that this stream is to be plotted against; `None` for time."""
        return next((key for key in self.run.axes(self.name) if key in self.columns), None)

    @property
    def dimensions(self) -> list[str]:
        """What the run has moved for this stream, one of each dimension: the fastest is the first.

        None if one of them is no scalar that the stream has.
        """
        found = [
            next((key for key in fields if key in self.columns), None)
            for fields in self.run.dimensions(self.name)
        ]
        return [] if None in found else [key for key in found if key is not None]

    def automatic(self, x: str | None) -> tuple[str, ...]:
        """Return what is plotted if nobody says: what is hinted at, but for the dimensions."""
        moved = {x, *self.run.axes(self.name)}
        hinted = [key for key in self._hinted if key not in moved]
        if hinted:
            return tuple(hinted[:_TOGETHER])
        others = [key for key in self.scalars if key not in moved]
        return tuple((others or [*self.scalars])[:1])

    def rows(self) -> npt.NDArray[Any]:
        """Return the time, and each column, of all events; shape (columns + 1, n)."""
        rows: npt.NDArray[Any] = self._values[:, : self.count]
        return rows

    def points(self, y: str, x: str | None) -> npt.NDArray[Any]:
        """Return x and y of all events, shape (2, n)."""
        places = [0 if x is None else self.columns[x], self.columns[y]]
        points: npt.NDArray[Any] = self._values[places, : self.count]
        return points


class Run:
    """One run: its streams, and which of their columns are shown."""

    def __init__(self, start: Mapping[str, Any]) -> None:
        self.start = float(start["time"])
        self.scan_id = start.get("scan_id")
        self._dimensions = dimensions_of(start)
        self.grid = _grid_of(start)
        self.open = True
        self.tables: list[Table] = []
        #: Whether it is shown with other keys if it does not have those that were chosen.
        self.lenient = True
        self.decided = False
        self.shown: Shown | None = None

    def dimensions(self, stream: str) -> list[list[str]]:
        """Return the fields of each of a stream's dimensions: the fastest one first."""
        found: list[list[str]] = []
        for fields, name in reversed(self._dimensions):
            if name == stream:
                found.append([field for field in fields if field != TIME])
        return [fields for fields in found if fields]

    def axes(self, stream: str) -> list[str]:
        """Return what the run's dimensions say of a stream: the fastest one first."""
        return [field for fields in self.dimensions(stream) for field in fields]

    def add_stream(self, descriptor: dict[str, Any], wanted: Iterable[str]) -> Table:
        """Add a stream; it gets columns for its scalars, and for what is wanted of it."""
        keys = descriptor["data_keys"]
        hinted = hinted_fields(descriptor)
        scalars = {
            name: str(keys[name].get("units") or "")
            for name in sorted(keys, key=lambda name: name not in hinted)
            if _is_scalar(keys[name])
        }
        table = Table(
            self, descriptor.get("name", ""), scalars, [k for k in wanted if k in keys], hinted
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
        self, ys: tuple[str, ...], x: str | None, *, strict: bool, lenient: bool
    ) -> Shown | None:
        """Return which stream and keys to show, if there are some.

        Parameters
        ----------
        ys, x
            What was asked for; nothing is what the run hints at.
        strict
            Whether `x` must be there if it was asked for.
        lenient
            Whether another scalar will do for ``ys``.
        """
        for table in self.tables:
            if not ys or any(y in table.columns for y in ys):
                if found := _columns(table, ys, x, strict):
                    return found
        if ys and lenient:
            return self.pick((), x, strict=strict, lenient=False)
        return None

    @property
    def keys(self) -> tuple[tuple[str, ...], str | None]:
        """The keys y and x that are shown."""
        return ((), None) if self.shown is None else self.shown[1:]

    @property
    def slower(self) -> list[str]:
        """What was moved beside x, where that is the fastest of several dimensions."""
        if self.shown is None or self.shown.x is None:
            return []
        moved = self.shown.table.dimensions
        return moved[1:] if self.shown.x in moved[:1] else []

    @property
    def count(self) -> int:
        """How many points are shown."""
        return 0 if self.shown is None else self.shown.table.count

    def points(self, y: str | None = None) -> npt.NDArray[Any]:
        """Return x and y of what is shown, shape (2, n); of the first y by default."""
        if self.shown is None:
            return np.empty((2, 0))
        table, ys, x = self.shown
        return table.points(ys[0] if y is None else y, x)


def _grid_of(start: Mapping[str, Any]) -> tuple[Axis, ...]:
    """Return the axes of an even grid, as bluesky's plans tell of it: the fastest is the first."""
    if not is_even_grid(start):
        return ()
    try:
        axes = [
            Axis(float(begin), float(end), int(num))
            for (begin, end), num in zip(start["extents"], start["shape"], strict=True)
        ]
    except (KeyError, TypeError, ValueError, OverflowError):  # of a plan that tells of it otherwise
        return ()
    return tuple(reversed(axes)) if all(a.num > 0 and a.step for a in axes) else ()


def _columns(table: Table, ys: tuple[str, ...], x: str | None, strict: bool) -> Shown | None:
    if x == TIME and x not in table.columns:
        axis = None
    elif x is None or x in table.columns:
        axis = table.axis if x is None else x
    elif strict:
        return None
    else:
        axis = table.axis
    found = tuple(y for y in ys if y in table.columns) or table.automatic(axis)
    if x is None and found == (axis,):
        axis = None  # a motor alone is plotted against time
    return Shown(table, found, axis) if found else None


def _number(key: str, value: Any) -> float:
    if np.ndim(value) != 0:
        msg = f"{key} has the shape {np.shape(value)}: it can be shown as an image, not plotted"
        raise ValueError(msg)
    try:
        return float(value)
    except OverflowError:
        msg = f"{key} is too large a number to be plotted"
        raise ValueError(msg) from None
    except (TypeError, ValueError):
        msg = f"{key} is {value!r}, which is no number"
        raise ValueError(msg) from None


def _number_or_nan(key: str, data: dict[str, Any]) -> float:
    try:
        return _number(key, data[key])
    except (KeyError, ValueError):  # not shown, or it would have been refused
        return np.nan
