"""Writing a run's tables and pictures for other programs. No widget is touched here."""

from __future__ import annotations

import csv
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from freewheel.qt._look._files import written_whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from freewheel.qt._plot._tables import Run

__all__ = ["why_no_tiff", "write_tables", "write_tiff"]

#: What OME-TIFF has no type for.
_OTHER_TYPES = {"int64": np.int32, "uint64": np.uint32, "float16": np.float32, "bool": np.uint8}


def why_no_tiff() -> str:
    """Return why no TIFF can be written; empty if one can."""
    return "" if find_spec("tifffile") else "needs tifffile: pip install tifffile"


def write_tables(path: Path, run: Run) -> list[Path]:
    """Write the scalars of a run, each stream into a file of its own; return which files.

    The first stream is written to ``path``, another one beside it with its name.
    """
    written: list[Path] = []
    for number, table in enumerate(run.tables):
        if not table.columns:
            continue
        file = path if not written else path.with_stem(f"{path.stem}-{table.name or number}")
        units = {key: f" [{unit}]" if unit else "" for key, unit in table.scalars.items()}
        with written_whole(file) as beside, beside.open("w", newline="", encoding="utf-8") as out:
            lines = csv.writer(out)
            lines.writerow(["time [s]", *(f"{key}{units.get(key, '')}" for key in table.columns)])
            lines.writerows(table.rows().T.tolist())
        written.append(file)
    if not written:
        msg = "this run has no scalars that could be written into a table"
        raise ValueError(msg)
    return written


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
    with written_whole(path) as beside:
        tifffile.imwrite(
            beside,
            (np.asarray(frame).astype(other, copy=False) for frame in frames),
            shape=(len(frames), *first.shape),
            dtype=other,
            ome=True,
            photometric="rgb" if colour else "minisblack",
            metadata=metadata,
        )
