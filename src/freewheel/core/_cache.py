"""A bounded cache of readings that gives them back as one array."""

from __future__ import annotations

import sys
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final, cast, final

import numpy as np

from ._status import Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bluesky.protocols import Reading
    from numpy.typing import NDArray

__all__ = ["DEFAULT_MAX_BYTES", "ReadingCache"]

DEFAULT_MAX_BYTES: Final = 512 * 2**20
"""How much a cache holds unless told otherwise: 512 MiB, or 64 frames of 2048 x 2048 uint16."""

# What a reading costs besides its value, in bytes: its dictionary, its time. Counted, so that a
# cache of scalars is bounded in truth.
_OVERHEAD = 256
# Rings up to this size are put in order through a copy, which is faster; larger ones in place.
_COPY_AT_MOST = 16 * 2**20
# Booleans, integers, floats, complex numbers, strings, bytes, dates and durations.
_KINDS = "biufcUSMm"


class ReadingCache:
    """A cache for readings, bounded in number and in memory: the ready-made `HasCache`.

    For each key, the latest readings are kept and the oldest dropped. The values of a key lie in
    one array from the start, so that `stack` need not put them together. All methods may be
    called from any thread.

    Parameters
    ----------
    maxlen : int, optional
        How many readings are kept for each key; ``None`` for as many as there is memory for.
    max_bytes : int
        How much memory the readings of all keys may take, in bytes, 256 for each reading
        besides its value included. A key that comes when the memory is used up gets a fair
        share of it: the largest then loses its oldest readings.
    name : str
        What plans and messages call it.

    Raises
    ------
    ValueError
        For a bound that is not positive.
    """

    parent = None

    def __init__(
        self,
        maxlen: int | None = None,
        max_bytes: int = DEFAULT_MAX_BYTES,
        *,
        name: str = "cache",
    ) -> None:
        for label, bound in (("maxlen", 1 if maxlen is None else maxlen), ("max_bytes", max_bytes)):
            if not bound >= 1:
                raise ValueError(f"{label} of {name} must be at least 1, not {bound!r}")
        self._name = name
        self._maxlen = maxlen
        self._max_bytes = int(max_bytes)
        self._lock = threading.Lock()
        self._rings: dict[str, _Ring] = {}  # guarded by _lock, with all that is in them

    @property
    def name(self) -> str:
        """What plans and messages call it."""
        return self._name

    @property
    def maxlen(self) -> int | None:
        """How many readings are kept for each key, at most."""
        return self._maxlen

    @property
    def max_bytes(self) -> int:
        """How much memory the readings may take, in bytes."""
        return self._max_bytes

    @property
    def nbytes(self) -> int:
        """How much memory is allocated for readings, in bytes. Never more than `max_bytes`."""
        with self._lock:
            return self._allocated()

    def stash(self, values: Mapping[str, Reading[Any]], /) -> Status:
        """Keep readings, copying their values. All are kept, or none.

        Parameters
        ----------
        values : mapping of str to Reading
            Readings by key, as ``read`` of a device gives them. Values are numbers, strings, or
            arrays of one shape and data type for each key; of scalars the types may differ,
            as long as there is one that holds them all.

        Returns
        -------
        Status
            Done already.

        Raises
        ------
        TypeError
            For something that is no reading, or a value that no array can hold.
        ValueError
            For a shape or a data type other than that of the readings before, and for a value
            larger than `max_bytes`.
        """
        arrays = {key: self._as_array(key, reading) for key, reading in values.items()}
        with self._lock:
            for key, array in arrays.items():
                self._check_fits(key, array)
            for key, array in arrays.items():
                self._keep(key, array, values[key])
        return _finished()

    def clear(self) -> Status:
        """Forget all readings, and give their memory back.

        Returns
        -------
        Status
            Done already.
        """
        with self._lock:
            self._rings.clear()
        return _finished()

    def keys(self) -> tuple[str, ...]:
        """Return the keys of which there are readings, in the order in which they came."""
        with self._lock:
            return tuple(self._rings)

    def readings(self, key: str) -> list[Reading[Any]]:
        """Return the readings of a key, the oldest first.

        Arrays among the values are read-only and share memory with `stack`. They never change,
        whatever is stashed later.

        Parameters
        ----------
        key : str
            A data key.

        Raises
        ------
        KeyError
            If there are none of that key; it names the keys that there are.
        """
        with self._lock:
            return self._ring(key).readings()

    def stack(self, key: str) -> NDArray[Any]:
        """Return the values of a key as one array, the oldest first.

        The array is read-only: a view of the memory that the cache keeps the values in, without
        a copy. It never changes, whatever is stashed later. While it, or anything cut from it,
        is held, its memory does not count towards `max_bytes` if the cache has to move on to
        other memory; so don't hold it longer than needed.

        Parameters
        ----------
        key : str
            A data key.

        Returns
        -------
        numpy.ndarray
            Of shape (n, ...), for n readings of the shape (...).

        Raises
        ------
        KeyError
            If there are no readings of that key; it names the keys that there are.
        """
        with self._lock:
            return self._ring(key).stack()

    def __len__(self) -> int:
        """Return the number of readings of the key that has most."""
        with self._lock:
            return max((ring.count for ring in self._rings.values()), default=0)

    def __repr__(self) -> str:
        """Say what is in it."""
        with self._lock:
            held = ", ".join(f"{key}: {ring.count}" for key, ring in self._rings.items())
            used = self._allocated() / 2**20
        bytes_text = f"{used:.3g} of {self._max_bytes / 2**20:.3g} MiB"
        return f"<{type(self).__name__} {self._name!r}: {held or 'empty'}; {bytes_text}>"

    def _as_array(self, key: str, reading: Reading[Any]) -> NDArray[Any]:
        """Return the value of a reading as an array, or refuse it."""
        try:
            value, _ = reading["value"], reading["timestamp"]
        except (KeyError, TypeError, IndexError):
            raise TypeError(
                f"{self._name} keeps readings, mappings with value and timestamp; "
                f"{key!r} has {reading!r:.200}"
            ) from None
        try:
            array = np.asarray(value)
        except ValueError:  # lists of different lengths
            array = np.empty(0, dtype=object)
        if array.dtype.kind not in _KINDS:
            raise TypeError(
                f"{self._name} can't keep the value of {key!r}: {value!r:.200} is no number, "
                "string or array of them"
            )
        return array

    def _check_fits(self, key: str, array: NDArray[Any]) -> None:
        """Refuse what can't stand beside the readings before. With the lock held."""
        cost = array.nbytes + _OVERHEAD
        if cost > self._max_bytes:
            raise ValueError(
                f"one reading of {key!r}, {array.shape} of {array.dtype}, takes {cost} bytes, and "
                f"{self._name} may take {self._max_bytes}; make the cache with a larger max_bytes"
            )
        ring = self._rings.get(key)
        if ring is not None and not ring.takes(array):
            raise ValueError(
                f"the readings of {key!r} in {self._name} are {ring.shape} of {ring.dtype}, and "
                f"this one is {array.shape} of {array.dtype}; clear the cache when the detector's "
                "settings change"
            )

    def _keep(self, key: str, array: NDArray[Any], reading: Reading[Any]) -> None:
        """Keep one reading. With the lock held."""
        ring = self._rings.get(key)
        if ring is None:
            ring = self._rings[key] = _Ring(array.shape, array.dtype)
        elif array.dtype != ring.dtype and not np.can_cast(array.dtype, ring.dtype, "safe"):
            room = self._max_bytes - self._allocated() + ring.nbytes
            ring = self._rings[key] = ring.promoted(array.dtype, room)
        if ring.count == ring.capacity:
            self._make_room(ring)
        ring.append(array, {name: part for name, part in reading.items() if name != "value"})

    def _make_room(self, ring: _Ring) -> None:
        """Enlarge a full ring if the bounds allow it. With the lock held."""
        if self._maxlen is not None and ring.capacity >= self._maxlen:
            return
        wanted = max(ring.capacity + 1, ring.capacity * 3 // 2, min(16, _COPY_AT_MOST // ring.cost))
        if self._maxlen is not None:
            wanted = min(wanted, self._maxlen)
        share = self._max_bytes // len(self._rings)
        if self._max_bytes - self._allocated() < ring.cost:
            self._take_from_the_large(ring, share)
        free = self._max_bytes - self._allocated()
        wanted = min(wanted, ring.capacity + free // ring.cost)
        if wanted > ring.capacity:
            ring.resize(wanted)

    def _take_from_the_large(self, ring: _Ring, share: int) -> None:
        """Cut the others down to a fair share, if this one has less than that."""
        others = [other for other in self._rings.values() if other is not ring]
        if not others or (ring.capacity and ring.nbytes + ring.cost > share):
            return
        # One reading finds room even if it takes more than a fair share.
        left = (self._max_bytes - max(share, ring.cost)) // len(others)
        for other in sorted(others, key=lambda one: -one.nbytes):
            if self._max_bytes - self._allocated() >= max(share - ring.nbytes, ring.cost):
                break
            other.resize(min(other.capacity, left // other.cost))
        self._rings = {key: one for key, one in self._rings.items() if one.count or one is ring}

    def _allocated(self) -> int:
        return sum(ring.nbytes for ring in self._rings.values())

    def _ring(self, key: str) -> _Ring:
        ring = self._rings.get(key)
        if ring is None:
            known = ", ".join(sorted(map(repr, self._rings)))
            raise KeyError(f"{self._name} has no readings of {key!r}; it has {known or 'none'}")
        return ring


@final
class _Ring:
    """The readings of one key: values in one array, used as a ring when it can't grow.

    Views of the array are handed out. Before a value in it would be overwritten or moved, the
    ring looks whether a view is still held somewhere; then it goes on with another array.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.shape = shape
        self.dtype = dtype
        self.cost = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize + _OVERHEAD
        self._first = 0  # where the oldest is; not 0 only when the ring is full
        self._infos: deque[dict[str, Any]] = deque()  # readings without their values
        self._data: NDArray[Any] = np.empty((0, *shape), dtype)
        # What nobody else refers to has this many references.
        self._references = self._count_references()

    @property
    def count(self) -> int:
        return len(self._infos)

    @property
    def capacity(self) -> int:
        return len(self._data)

    @property
    def nbytes(self) -> int:
        return self.capacity * self.cost

    def takes(self, array: NDArray[Any]) -> bool:
        """Return whether a value can stand beside the others."""
        if array.shape != self.shape or array.dtype == self.dtype:
            return array.shape == self.shape
        if array.shape:
            return False
        try:
            common = np.promote_types(array.dtype, self.dtype)
        except TypeError:
            return False
        # Numbers are not to become strings by standing beside one.
        strings = {kind in "US" for kind in (array.dtype.kind, self.dtype.kind)}
        return common.kind in _KINDS and len(strings) == 1

    def promoted(self, dtype: np.dtype[Any], room: int) -> _Ring:
        """Return a ring of scalars of a wider type, with the readings that there is room for."""
        wider = _Ring(self.shape, np.promote_types(dtype, self.dtype))
        wider._infos = self._infos
        data = self.stack().astype(wider.dtype)
        keep = min(len(data), room // wider.cost)
        wider._data = data[len(data) - keep :].copy()
        while len(wider._infos) > keep:
            wider._infos.popleft()
        return wider

    def append(self, array: NDArray[Any], info: dict[str, Any]) -> None:
        """Add a reading, in place of the oldest if there is no room."""
        if self.count < self.capacity:
            self._data[self.count] = array
        else:
            self._own()
            self._infos.popleft()
            self._data[self._first] = array
            self._first = (self._first + 1) % self.capacity
        self._infos.append(info)

    def resize(self, capacity: int) -> None:
        """Change the capacity; if there are more readings than that, the oldest go."""
        self._straighten()
        drop = max(0, self.count - capacity)
        if self._is_shared():
            fresh = np.empty((capacity, *self.shape), self.dtype)
            fresh[: self.count - drop] = self._data[drop : self.count]
            self._data = fresh
        else:
            if drop:
                _move_down(self._data, drop, self.count)
            # In place: large arrays are extended by the operating system, without a copy. That
            # no view is held was looked at above.
            self._data.resize((capacity, *self.shape), refcheck=False)
        for _ in range(drop):
            self._infos.popleft()

    def stack(self) -> NDArray[Any]:
        """Return a read-only view of all values, the oldest first."""
        self._straighten()
        view = self._data[: self.count]
        view.flags.writeable = False
        return view

    def readings(self) -> list[Reading[Any]]:
        """Return all readings, the oldest first; arrays in them are views."""
        stack = self.stack()
        # Scalars come back as what they were, not as arrays without a dimension.
        values: Any = stack if self.shape else stack.tolist()
        return [
            cast("Reading[Any]", {"value": value, **info})
            for value, info in zip(values, self._infos, strict=True)
        ]

    def _straighten(self) -> None:
        """Put the oldest at the beginning."""
        if not self._first:
            return
        if self._is_shared() or self._data.nbytes <= _COPY_AT_MOST:
            self._data = np.roll(self._data, -self._first, axis=0)
        else:
            _rotate(self._data, self._first)
        self._first = 0

    def _own(self) -> None:
        """Make sure that nobody sees it when the values are overwritten."""
        if self._is_shared():
            self._data = self._data.copy()

    def _is_shared(self) -> bool:
        # Every view, and every view of a view, refers to the array that owns the memory.
        return self._count_references() > self._references

    def _count_references(self) -> int:
        return sys.getrefcount(self._data)


def _move_down(data: NDArray[Any], by: int, count: int) -> None:
    """Move the values `by` places down, one after the other: a slice would go through a copy."""
    for index in range(by, count):
        data[index - by] = data[index]


def _rotate(data: NDArray[Any], by: int) -> None:
    """Move all values `by` places down in a circle, with room for one value only."""
    length = len(data)
    for start in range(int(np.gcd(length, by))):
        saved = data[start].copy()
        place = start
        while (source := (place + by) % length) != start:
            data[place] = data[source]
            place = source
        data[place] = saved


def _finished() -> Status:
    status = Status()
    status.set_finished()
    return status
