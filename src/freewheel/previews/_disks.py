"""Where a plan's data go, and whether there is room for them."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING

from ._preview import Disk, Problem, bytes_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ._preview import Preview

__all__ = ["with_disks"]


def with_disks(foreseen: Preview, wrote: Mapping[str, int], recorders: Iterable[str]) -> Preview:
    """Return a preview that tells where data go, and where there is no room for them.

    Parameters
    ----------
    foreseen : Preview
        The preview.
    wrote : mapping of str to int
        How much devices write into which folders.
    recorders : iterable of str
        Folders that all the rest is written to, whatever it comes from.
    """
    rest = max(0, foreseen.data_bytes - sum(wrote.values()))
    needed = dict(wrote)
    for folder in recorders:
        needed[folder] = needed.get(folder, 0) + rest
    if not needed:
        return foreseen
    disks: dict[Disk, int] = {}  # with the volumes that they are on
    for folder, number in needed.items():
        if not number:
            continue
        # Of another computer; here it would be a folder in this one.
        if PureWindowsPath(folder).drive and not Path(folder).is_absolute():
            continue
        try:
            there = _existing(Path(folder))
            volume, free = there.stat().st_dev, shutil.disk_usage(there).free
        except OSError:
            continue  # what a detector's computer has is not always seen from here
        lasts = None
        if not foreseen.is_complete and 0 < foreseen.followed < math.inf:
            lasts = free / number * foreseen.followed
        disks[Disk(folder, number, free, lasts)] = volume
    problems = () if foreseen.is_endless else tuple(_problems(disks))
    return replace(foreseen, disks=tuple(disks), problems=(*foreseen.problems, *problems))


def _problems(disks: Mapping[Disk, int]) -> Iterable[Problem]:
    """Say which volumes are too small for all that is written to them."""
    for volume in dict.fromkeys(disks.values()):
        there = [disk for disk in disks if disks[disk] == volume]
        whole, free = sum(disk.needed for disk in there), there[0].free
        if whole > free:
            where = " and ".join(disk.path for disk in there)
            text = f"{bytes_text(whole)} go to {where}, where {bytes_text(free)} are free"
            # Files may be compressed, and others deleted meanwhile.
            yield Problem(text, is_guess=True)


def _existing(folder: Path) -> Path:
    while folder != folder.parent:
        try:
            folder.stat()  # `exists` of Python 3.14 says no to what cannot be, too
        except (FileNotFoundError, NotADirectoryError):
            folder = folder.parent
        else:
            break
    return folder
