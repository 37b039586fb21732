"""What can go wrong at the core, with the device and the property named."""

from __future__ import annotations

__all__ = [
    "BufferOverflowError",
    "ConfigurationFileError",
    "CoreError",
    "CoreTimeoutError",
    "FrameTimeoutError",
]


class CoreError(RuntimeError):
    """Micro-Manager's core refused something, or failed.

    Parameters
    ----------
    device : str
        The device's label in the configuration.
    what : str
        What was asked of it, such as ``"set the property 'Gain' to 1000"``.
    reason : str
        What the core said, and what it would take.
    """

    def __init__(self, device: str, what: str, reason: str) -> None:
        super().__init__(device, what, reason)
        self.device = device
        self.what = what
        self.reason = reason

    def __str__(self) -> str:
        """Name the device first."""
        return f"Micro-Manager's {self.device!r} could not {self.what}: {self.reason}"


class CoreTimeoutError(CoreError, TimeoutError):
    """A device did not answer, or was busy for longer than the core's time-out."""


class FrameTimeoutError(CoreTimeoutError):
    """A camera stopped delivering frames."""


class BufferOverflowError(CoreError):
    """The core's buffer of frames was full: frames could not be kept.

    Those that came before were delivered.
    """


class ConfigurationFileError(ValueError):
    """A configuration file did not load.

    Parameters
    ----------
    path : str
        The file.
    line : int
        The number of the line that failed; 0 if it is not known.
    text : str
        That line.
    reason : str
        What the core said.
    """

    def __init__(self, path: str, line: int, text: str, reason: str) -> None:
        super().__init__(path, line, text, reason)
        self.path = path
        self.line = line
        self.text = text
        self.reason = reason

    def __str__(self) -> str:
        """Give file and line as editors know them."""
        where = f"{self.path}:{self.line}: {self.text}" if self.line else self.path
        return f"{where}\n{self.reason}"
