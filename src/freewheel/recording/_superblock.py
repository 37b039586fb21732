"""Reading HDF5 files whose writer died, or still writes.

Such a file says in its first bytes that it is being written. HDF5 opens it in its SWMR mode
only, where it reads again, after twice as long each time, whatever looks unfinished; and if the
file was cut short, that is for ever. Here HDF5 is shown the file with those first bytes as a
proper close would have left them, and refuses at once what it cannot read.
"""

from __future__ import annotations

import os
import struct
import weakref
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ClosedView", "lengthen", "needs_view"]

_SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"
_SIZE: Final = 48  # of the superblock of version 3, with addresses of 8 bytes
_VERSION_AT, _FLAGS_AT, _END_AT, _CHECKSUM_AT = 8, 11, 28, 44
_WORD: Final = 0xFFFFFFFF


def needs_view(path: Path) -> bool:
    """Tell whether an HDF5 file was not closed properly.

    It says of itself that it is being written, or is shorter than it says, as after a full disk.
    """
    head = _head(path)
    return head is not None and (head[_FLAGS_AT] != 0 or _end(head) > path.stat().st_size)


def lengthen(path: Path) -> None:
    """Make a file that a full disk kept short as long as it says it is, without taking space.

    HDF5 refuses a file that is shorter, though all that was stored is there.

    Raises
    ------
    OSError
        When even that is not possible.
    """
    head = _head(path)
    if head is not None and _end(head) > path.stat().st_size:
        os.truncate(path, _end(head))


def _head(path: Path) -> bytes | None:
    """Return the superblock, if it is one of the kind that `ArrayFile` writes."""
    with path.open("rb") as file:
        head = file.read(_SIZE)
    whole = len(head) == _SIZE and head.startswith(_SIGNATURE)
    return head if whole and head[_VERSION_AT] == 3 else None


def _end(head: bytes) -> int:
    end: int = struct.unpack_from("<Q", head, _END_AT)[0]
    return end


class ClosedView:
    """An HDF5 file, read-only, as if it had been closed at its present length.

    A file object for h5py, which keeps it until the last of its own objects is gone; the file is
    closed with it.

    Parameters
    ----------
    path : Path
        A file for which `needs_view`.
    """

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        weakref.finalize(self, os.close, self._fd)
        self._size = os.fstat(self._fd).st_size
        self._position = 0
        head = bytearray(os.read(self._fd, _SIZE))
        head[_FLAGS_AT] = 0
        head[_END_AT : _END_AT + 8] = struct.pack("<Q", self._size)
        head[_CHECKSUM_AT:] = struct.pack("<I", checksum(bytes(head[:_CHECKSUM_AT])))
        self._head = bytes(head)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position."""
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = origin + offset
        return self._position

    def tell(self) -> int:
        """Return the present position."""
        return self._position

    def read(self, size: int) -> bytes:
        """Read from the present position."""
        buffer = bytearray(size)
        return bytes(buffer[: self.readinto(memoryview(buffer))])

    def readinto(self, buffer: memoryview) -> int:
        """Read from the present position."""
        at = os.lseek(self._fd, self._position, os.SEEK_SET)
        data = os.read(self._fd, min(len(buffer), max(0, self._size - at)))
        buffer[: len(data)] = data
        shown = self._head[at : at + len(data)]
        buffer[: len(shown)] = shown
        self._position = at + len(data)
        return len(data)


def checksum(data: bytes) -> int:
    """Return HDF5's checksum of metadata: Bob Jenkins's public-domain hash ``lookup3``."""
    a = b = c = (0xDEADBEEF + len(data)) & _WORD
    while len(data) > 12:
        x, y, z = struct.unpack_from("<III", data)
        a, b, c = _mix((a + x) & _WORD, (b + y) & _WORD, (c + z) & _WORD)
        data = data[12:]
    if not data:
        return c
    x, y, z = struct.unpack("<III", data.ljust(12, b"\0"))
    return _final((a + x) & _WORD, (b + y) & _WORD, (c + z) & _WORD)


def _rotate(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (32 - bits))) & _WORD


def _mix(a: int, b: int, c: int) -> tuple[int, int, int]:
    for bits in (4, 6, 8, 16, 19, 4):
        a = ((a - c) & _WORD) ^ _rotate(c, bits)
        c = (c + b) & _WORD
        a, b, c = b, c, a
    return a, b, c


def _final(a: int, b: int, c: int) -> int:
    for bits in (14, 11, 25, 16, 4, 14, 24):
        c = ((c ^ b) - _rotate(b, bits)) & _WORD
        a, b, c = b, c, a
    # After seven turns c has moved to b's place.
    return b
