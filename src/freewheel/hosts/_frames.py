"""The newest frame of each camera, for clients that ask for one."""

from __future__ import annotations

import base64
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FrameKeeper"]


class FrameKeeper:
    """Keeps the newest frame of each data key: a subscriber, for ``delivery="latest"``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards `_frames`: kept on one thread, asked for on others
        self._frames: dict[str, tuple[np.ndarray[Any, Any], Mapping[str, Any]]] = {}

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take a document."""
        if name != "event":
            return
        for key, value in doc["data"].items():
            if isinstance(value, np.ndarray) and value.ndim >= 2:
                with self._lock:
                    self._frames[key] = (value, doc)

    def newest(self, key: str | None, max_side: int) -> dict[str, Any]:
        """Return the newest frame as JSON can have it, every n-th pixel of a large one.

        Raises
        ------
        KeyError
            If there is none; with the keys that there are.
        """
        with self._lock:
            wanted = next(reversed(self._frames), None) if key is None else key
            if wanted not in self._frames:
                names = ", ".join(map(repr, self._frames)) or "none"
                raise KeyError(f"There is no frame of {key or 'any camera'!r} yet. Of: {names}.")
            frame, doc = self._frames[wanted]
        step = max(1, -(-max(frame.shape[:2]) // max(1, max_side)))
        small = np.ascontiguousarray(frame[::step, ::step])
        return {
            "key": wanted,
            "shape": list(small.shape),
            "full_shape": list(frame.shape),
            "dtype": small.dtype.str,
            "data": base64.b64encode(small.tobytes()).decode("ascii"),
            "seq_num": doc["seq_num"],
            "time": doc["time"],
        }
