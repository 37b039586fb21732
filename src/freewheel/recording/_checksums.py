"""What tells that something in a recording was changed: XXH3, at the speed of memory."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from freewheel.core import MissingExtraError

try:
    import xxhash
except ImportError as error:
    feature = "freewheel.recording"
    raise MissingExtraError(feature, "recording") from error

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["array_checksum", "bytes_of", "checksums", "file_checksum", "running_checksum"]

_BLOCK = 1 << 20


def array_checksum(array: np.ndarray, timestamp: float) -> int:
    """Return the checksum of an array and its timestamp, an integer of 64 bits.

    It is XXH3 of the bytes of the array in C order, with the bits of the timestamp as its seed.

    Parameters
    ----------
    array : numpy.ndarray
        Contiguous, in C order.
    timestamp : float
        Seconds since the epoch.
    """
    (checksum,) = checksums([bytes_of(array)], [timestamp])
    return checksum


def checksums(rows: Sequence[Any], timestamps: Sequence[float]) -> list[int]:
    """Return the checksums of the bytes of arrays and their timestamps; see `array_checksum`."""
    seeds = struct.unpack(f"<{len(rows)}Q", struct.pack(f"<{len(rows)}d", *timestamps))
    return list(map(xxhash.xxh3_64_intdigest, rows, seeds))


def bytes_of(array: np.ndarray) -> Any:
    """Return the bytes of an array that is contiguous, in C order, as an array of its memory."""
    return array.reshape(-1).view(np.uint8)


def running_checksum() -> Any:
    """Return an object that takes bytes with ``update`` and gives a text with ``hexdigest``."""
    return xxhash.xxh3_64()


def file_checksum(path: Path, size: int) -> str | None:
    """Return the checksum of the first bytes of a file, so many; `None` if it has fewer.

    Raises
    ------
    OSError
        When it cannot be read.
    """
    total = xxhash.xxh3_64()
    with path.open("rb", buffering=0) as file:
        while size and (block := file.read(min(_BLOCK, size))):
            total.update(block)
            size -= len(block)
    return None if size else str(total.hexdigest())
