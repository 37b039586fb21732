"""Writing files whole, or not at all."""

from __future__ import annotations

import secrets
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["whole_file"]


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Have a file written whole or not at all; from any thread.

    Parameters
    ----------
    path : Path
        The file. One that is there stays as it is until the new one is complete.

    Yields
    ------
    Path
        Where to write it to: beside it, for a disk that is full is to leave no half of it. Under
        a name of its own each time, for two may write at once.

    Raises
    ------
    OSError
        When it cannot be written: which file, and why.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield part
        part.replace(path)
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror or error}"
        raise OSError(msg) from error
    finally:
        with suppress(OSError):  # what was raised says more
            part.unlink(missing_ok=True)
