"""Writing a run's tables and pictures for other programs. No widget is touched here."""

from __future__ import annotations

import csv
import re
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from freewheel.core._whole_file import whole_file
from freewheel.qt._plot._tables import with_unit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from freewheel.qt._plot._tables import Run

__all__ = ["Columns", "TakenError", "columns_of", "why_no_tiff", "write_tables", "write_tiff"]

#: What OME-TIFF has no type for.
_OTHER_TYPES: Final = {
    "int64": np.int32,
    "uint64": np.uint32,
    "float16": np.float32,
    "bool": np.uint8,
}


class Columns(NamedTuple):
    """The scalars of one stream, to be written.

    Attributes
    ----------
    stream
        Its name.
    heads
        What the columns are called.
    rows
        One for each event.
    """

    stream: str
    heads: list[str]
    rows: npt.NDArray[Any]


def columns_of(run: Run) -> list[Columns]:
    """Return a copy of a run's scalars, stream by stream: it may go on while they are written."""
    return [
        Columns(
            table.name,
            ["time [s]", *(with_unit(key, table.scalars) for key in table.columns)],
            table.rows().T.copy(),
        )
        for table in run.tables
        if table.columns
    ]


def why_no_tiff() -> str:
    """Return why no TIFF can be written; empty if one can."""
    return "" if find_spec("tifffile") else "needs tifffile: pip install tifffile"


class TakenError(FileExistsError):
    """Files are there already that nobody has named: they are not replaced without being asked."""

    def __init__(self, files: Sequence[Path]) -> None:
        super().__init__(files)
        self.files = files

    def __str__(self) -> str:
        return f"{', '.join(map(str, self.files))} {'are' if len(self.files) > 1 else 'is'} there"


def write_tables(path: Path, tables: Sequence[Columns], *, replace: bool = True) -> list[Path]:
    """Write the scalars of a run, each stream into a file of its own; return which files.

    The first stream is written to ``path``, another one beside it with its name.

    Parameters
    ----------
    path
        The file of the first stream, which is replaced.
    tables
        The streams.
    replace
        Whether those of the others are replaced, too.

    Raises
    ------
    TakenError
        If they are not to be, and one is there; nothing is written then.
    ValueError
        If there is nothing to write.
    """
    files = _files_of(path, tables)
    if taken := [] if replace else [file for file in files[1:] if file.exists()]:
        raise TakenError(taken)
    written: list[Path] = []
    for file, table in zip(files, tables, strict=True):
        with whole_file(file) as part, part.open("w", newline="", encoding="utf-8") as out:
            lines = csv.writer(out)
            lines.writerow(table.heads)
            lines.writerows(table.rows.tolist())
        written.append(file)
    if not written:
        msg = "this run has no scalars that could be written into a table"
        raise ValueError(msg)
    return written


def _files_of(path: Path, tables: Sequence[Columns]) -> list[Path]:
    files = [path] if tables else []
    for number, table in enumerate(tables[1:], start=1):
        name = re.sub(r"[^\w.-]+", "_", table.stream) or str(number)
        file = path.with_stem(f"{path.stem}-{name}")
        # Two names may differ in what no name of a file has.
        files.append(path.with_stem(f"{file.stem}-{number}") if file in files else file)
    return files


def write_tiff(
    path: Path, frames: Sequence[Any], pixel_size: tuple[float, str] | None = None
) -> None:
    """Write pictures into an OME-TIFF, with axes and the size of a pixel.

    Parameters
    ----------
    path
        The file.
    frames
        The pictures, all of one shape.
    pixel_size
        The size of a pixel, and its unit.

    Raises
    ------
    ValueError
        If pictures are of several shapes, or have values that OME-TIFF has no type for.
    """
    import tifffile

    first = np.asarray(frames[0])
    other = _OTHER_TYPES.get(first.dtype.name, first.dtype)
    colour = first.ndim >= 3 and first.shape[-1] in (3, 4)
    planes = "ZCQ"[: first.ndim - (3 if colour else 2)]
    metadata: dict[str, Any] = {"axes": f"T{planes}YX{'S' if colour else ''}"}
    if pixel_size is not None:
        size, unit = pixel_size
        unit = "µm" if unit in ("um", "micrometer") else unit
        metadata |= {"PhysicalSizeX": size, "PhysicalSizeXUnit": unit}
        metadata |= {"PhysicalSizeY": size, "PhysicalSizeYUnit": unit}
    with whole_file(path) as part:
        tifffile.imwrite(
            part,
            (_as(other, first.shape, frame) for frame in frames),
            shape=(len(frames), *first.shape),
            dtype=other,
            ome=True,
            photometric="rgb" if colour else "minisblack",
            metadata=metadata,
        )


def _as(dtype: Any, shape: tuple[int, ...], frame: Any) -> npt.NDArray[Any]:
    """Return a picture as it is written: no values are cut off, and no shape is taken for another.

    Raises
    ------
    ValueError
        If one would be.
    """
    pixels = np.asarray(frame)
    if pixels.shape != shape:
        msg = f"a picture has the shape {pixels.shape}, and the first one {shape}"
        raise ValueError(msg)
    written: npt.NDArray[Any] = pixels.astype(dtype, copy=False)
    if pixels.dtype.kind in "ui" and not np.array_equal(written, pixels):
        msg = f"a picture has values that {np.dtype(dtype)}, which OME-TIFF has, cannot hold"
        raise ValueError(msg)
    return written
