"""What can be wrong with a recording, or with what is asked of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "DamagedArrayError",
    "DamagedRecordingError",
    "FutureVersionError",
    "MissingArrayError",
    "NotARecordingError",
    "NotRecordedError",
    "RecordingError",
    "RecordingNotFoundError",
    "TiledConnectionError",
    "raise_first",
]


class RecordingError(Exception):
    """Something is wrong with a recording; the base of all errors of this package.

    Parameters
    ----------
    message : str
        What is wrong, and the remedy.
    file : Path or str or None
        The file, directory or address that it is about.
    run : str or None
        The unique id of the run that it is about.
    device : str or None
        The device or data key that it is about.
    """

    def __init__(
        self,
        message: str,
        *,
        file: Path | str | None = None,
        run: str | None = None,
        device: str | None = None,
    ) -> None:
        super().__init__(message)
        self.file = file
        self.run = run
        self.device = device

    def __str__(self) -> str:
        """Give the message, then file, run and device as far as they are known."""
        labels = (("device", self.device), ("run", self.run), ("file", self.file))
        where = ", ".join(f"{label} {value}" for label, value in labels if value is not None)
        return f"{self.args[0]} ({where})" if where else str(self.args[0])


class NotARecordingError(RecordingError):
    """The file or directory holds no documents."""


class RecordingNotFoundError(NotARecordingError, FileNotFoundError):
    """There is no such file or directory."""


class FutureVersionError(RecordingError):
    """The recording was written by a newer version, in a format that this one cannot know."""


class DamagedRecordingError(RecordingError):
    """A document is unreadable or out of order; those before it were read."""


class MissingArrayError(RecordingError):
    """The file that held an array is gone, unreadable, or too short."""


class DamagedArrayError(MissingArrayError):
    """An array is there, and is not what was recorded: its checksum is another one."""


class NotRecordedError(RecordingError, LookupError):
    """A replay was asked for a device, a position or a point that was never recorded."""


class TiledConnectionError(RecordingError, ConnectionError):
    """A Tiled server could not be reached, or went away."""


def raise_first(failures: list[BaseException]) -> None:
    """Raise the first of some failures, if there is one, and forget all of them."""
    try:
        if failures:
            raise failures[0]
    finally:
        failures.clear()  # else they and their tracebacks keep each other, and the documents
