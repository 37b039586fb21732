"""The newest frame of each camera, for clients that ask for them at a size."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from freewheel.core._pictures import has_picture

from ._protocol import Frame
from ._wire import to_client

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from freewheel.core import EngineView

__all__ = ["FrameKeeper", "is_replaceable"]

_log = logging.getLogger("freewheel")


#: The kinds of numpy's types that pixels can have.
_NUMBERS: Final = "biufc"


def is_replaceable(mode: str | None, name: str, doc: Mapping[str, Any]) -> bool:
    """Tell whether a document may be left out for a newer one of its stream.

    For ``display`` its pictures may, and what else it carries stays.
    """
    if name not in ("event", "event_page"):
        return False
    if mode == "latest":
        return True
    return mode == "display" and has_picture(doc)


class FrameKeeper:
    """Keeps the newest frame of each data key, and follows the engine only while asked to.

    Parameters
    ----------
    engine : EngineView
        The engine.
    changed : callable
        Called when there is a new one, on the thread that brings it: it must be quick.
    """

    def __init__(self, engine: EngineView, changed: Callable[[], object]) -> None:
        self._engine = engine
        self._changed = changed
        self._lock = threading.Lock()  # guards the next two: kept on one thread, asked on others
        self._frames: dict[str, tuple[np.ndarray[Any, Any], Mapping[str, Any]]] = {}
        self._numbers: dict[str, int] = {}
        self._tokens: list[int] = []  # of the server's loop
        # What was made of the newest ones, for the next client that asks for the same size.
        self._made: dict[tuple[str, int], tuple[int, bytes]] = {}  # of the server's loop

    def follow(self, wanted: bool) -> None:
        """Take frames from now on, or no more; on the server's loop."""
        if wanted and not self._tokens:
            self._tokens = [self._engine.subscribe(self._take, delivery="latest")]
            if (reader := _reader(self._take)) is not None:
                self._tokens.append(self._engine.subscribe(reader, delivery="latest"))
        elif not wanted:
            for token in self._tokens:
                self._engine.unsubscribe(token)
            self._tokens.clear()

    def _take(self, name: str, doc: Mapping[str, Any]) -> None:
        if name != "event":
            return
        found = False
        for key, value in doc["data"].items():
            if _is_picture(value):
                with self._lock:
                    self._frames[key] = (value, doc)
                    self._numbers[key] = self._numbers.get(key, 0) + 1
                found = True
        if found:
            self._changed()

    def numbers(self) -> dict[str, int]:
        """Return the number of the newest frame of each key."""
        with self._lock:
            return dict(self._numbers)

    def message(self, key: str, max_side: int) -> tuple[int, bytes]:
        """Return the number of the newest frame of a key, and the message that carries it."""
        with self._lock:
            frame, doc = self._frames[key]
            number = self._numbers[key]
        step = max(1, -(-max(frame.shape[:2]) // max_side))
        made = self._made.get((key, step))
        if made is None or made[0] != number:
            small = np.ascontiguousarray(frame[::step, ::step])
            message = Frame(
                key=key,
                shape=list(small.shape),
                full_shape=list(frame.shape),
                dtype=small.dtype.str,
                data=small.data.cast("B") if small.size else b"",
                seq_num=doc["seq_num"],
                time=doc["time"],
                number=number,
            )
            made = self._made[key, step] = number, to_client(message)
        return made


def _is_picture(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.ndim >= 2 and value.dtype.kind in _NUMBERS


def _reader(take: Callable[[str, Any], object]) -> Any:
    """Return what reads frames that detectors write to files, if that can be done here."""
    from freewheel.core import MissingExtraError
    from freewheel.recording import NewestFrames

    try:
        return NewestFrames(take, external=True)
    except MissingExtraError:
        _log.info("Without h5py no frames are shown that detectors write to files.")
        return None
