"""The file that measured times are kept in, from one start to the next."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

from freewheel.core._whole_file import whole_file

if TYPE_CHECKING:
    from ._learned import Times

__all__ = ["TimesFile"]

_log = logging.getLogger("freewheel")

_VERSION: Final = 1
_DIGITS: Final = 6  # microseconds


@final
class TimesFile:
    """A small JSON file of measured times. From any thread.

    Parameters
    ----------
    path : str or Path
        The file; its folder must exist.
    times : Times
        What is kept in it.
    """

    def __init__(self, path: str | Path, times: Times) -> None:
        self._path = Path(path)
        self._times = times
        # Guards the two below: plans end on loops, a thread writes.
        self._lock = threading.Lock()
        self._wanted = False
        self._thread: threading.Thread | None = None

    def load(self) -> None:
        """Take what the file has; one that is missing or cannot be read counts as empty."""
        try:
            kept = json.loads(self._path.read_text())
            for device, verb, several in _entries(kept):
                for seconds in several:
                    self._times.note(device, verb, seconds)
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, KeyError) as error:
            _log.warning(
                "The times of devices in %s cannot be read (%r). They are measured anew.",
                self._path,
                error,
            )

    def save(self) -> None:
        """Write the file: all of it or nothing, so that no reader sees a half of it."""
        several: dict[str, dict[str, list[float]]] = {}
        for (device, verb), seconds in sorted(self._times.seen().items()):
            several.setdefault(device, {})[verb] = [round(each, _DIGITS) for each in seconds]
        text = json.dumps({"version": _VERSION, "seconds": several}, indent=1)
        try:
            with whole_file(self._path) as part:
                part.write_text(text)
        except OSError as error:
            _log.warning("The times of devices cannot be kept: %s", error)

    def save_soon(self) -> None:
        """Write the file on a thread that ends with it: a disk may be slow."""
        with self._lock:
            self._wanted = True
            if self._thread is None:
                # No daemon: a program that ends keeps what its last plan has taught.
                self._thread = threading.Thread(target=self._write, name="freewheel-times")
                self._thread.start()

    def _write(self) -> None:
        while True:
            with self._lock:
                wanted, self._wanted = self._wanted, False
                if not wanted:
                    self._thread = None
                    return
            self.save()


def _entries(kept: Any) -> list[tuple[str, str, list[float]]]:
    if kept["version"] != _VERSION:
        raise ValueError(f"version {kept['version']!r}, not {_VERSION}")
    return [
        (str(device), str(verb), [float(each) for each in several])
        for device, verbs in kept["seconds"].items()
        for verb, several in verbs.items()
    ]
