"""What devices of an engine elsewhere read, for those here who watch them."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, final

from ._newest import Newest

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._protocol import Value

__all__ = ["ServerTold", "WatchedValues"]


class WatchedValues:
    """Hands on what watched devices read, and whether that is what they read now.

    It is not while there is no line, nor while the server says that the device's own server is
    gone; and after the line was lost to a server that knows nothing of this client any more, not
    until it has told of the device anew.

    Parameters
    ----------
    soon : callable
        Has something called on the thread of the delivery: `Delivery.put`.
    """

    def __init__(self, soon: Callable[[Callable[[], object]], object]) -> None:
        self._soon = soon
        self._newest = Newest(soon, self._hand_over)
        self._lock = threading.Lock()  # guards what follows; no function is called with it held
        self._watchers: dict[str, list[Callable[..., object]]] = {}
        self._tellers: dict[str, list[ServerTold]] = {}
        self._last: dict[str, tuple[Value, int]] = {}  # with the session that it came in
        self._has_line = True
        self._session = 0  # counts those that did not go on from the one before

    # -- on any thread ------------------------------------------------------------------------

    def watch(self, name: str, func: Callable[..., object], wanted: bool) -> bool | None:
        """Have a function called with the values of a device, or no more.

        Returns
        -------
        bool or None
            What the server is to be asked for; ``None`` if that is as before.
        """
        with self._lock:
            known = self._watchers.setdefault(name, [])
            before = bool(known)
            if wanted:
                known.append(func)
                if name in self._last:  # another one has it already
                    reading = self._last[name][0].reading
                    self._soon(partial(func, reading))
            elif func in known:
                known.remove(func)
            after = bool(known)
            if not after:
                self._last.pop(name, None)
        return None if before == after else after

    def watch_server(self, name: str, told: Callable[[bool], object]) -> ServerTold:
        """Have a function told whether a device that is watched reads what is told of it."""
        made = ServerTold(self, name, told)
        with self._lock:
            self._tellers.setdefault(name, []).append(made)
        self._soon(partial(self._look, name))
        return made

    def leave_server(self, told: ServerTold) -> None:
        """Tell a function no more."""
        with self._lock:
            known = self._tellers.get(told.name, [])
            if told in known:
                known.remove(told)
            if not known:
                self._tellers.pop(told.name, None)

    @property
    def names(self) -> list[str]:
        """The devices that somebody watches."""
        with self._lock:
            return [name for name, known in self._watchers.items() if known]

    # -- on the line's thread -----------------------------------------------------------------

    def take(self, value: Value) -> None:
        """Hand a value on."""
        self._newest.put(value.device, value, self._session)

    def line_changed(self, *, up: bool, resumed: bool = True) -> None:
        """Know that there is no line, or one again: which goes on from the one before, or not."""
        with self._lock:
            self._has_line = up
            self._session += not resumed
            names = list(self._tellers)
        for name in names:
            self._soon(partial(self._look, name))

    # -- on the thread of the delivery --------------------------------------------------------

    def _hand_over(self, value: Value, session: int) -> None:
        with self._lock:
            known = list(self._watchers.get(value.device, ()))
            if known:
                self._last[value.device] = value, session
        for func in known if value.reading else ():
            func(value.reading)
        self._look(value.device)

    def _look(self, name: str) -> None:
        with self._lock:
            tellers = list(self._tellers.get(name, ()))
            there = self._has_line
            if name in self._last:
                value, session = self._last[name]
                there = there and not value.is_lost and session == self._session
        for each in tellers:
            each.told(there)


@final
class ServerTold:
    """What is told whether a device reads what was told of it, until it is closed."""

    def __init__(self, values: WatchedValues, name: str, told: Callable[[bool], object]) -> None:
        self._values, self.name, self.told = values, name, told

    def close(self) -> None:
        """End it, on any thread."""
        self._values.leave_server(self)
