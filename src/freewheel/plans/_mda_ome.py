"""Frames of a useq sequence as OME-Zarr or OME-TIFF."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

from freewheel.core import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["OmeWriter"]

_FORMATS: Final = (".zarr", ".tif", ".tiff")
_log = logging.getLogger(__name__)


@final
class OmeWriter:
    """A document callback that writes the frames of `mda` to OME-Zarr or OME-TIFF.

    ``RE.subscribe(OmeWriter("stack.ome.zarr"), delivery="queued")`` writes beside the acquisition;
    the plan's future is done when all is written. It writes one run, and warns of a second one;
    those that are not `mda`'s are left out. Frames that were skipped stay empty. A frame that is
    taken again after a pause is written once.

    A sequence whose positions differ in more than their grids is no regular array: its frames are
    written one after the other along one axis.

    Used by one thread at a time.

    Parameters
    ----------
    path : path
        Where to write: ``….ome.zarr``, or ``….ome.tiff`` (with several positions, one file each).
    key : str, optional
        The data key of the frames; by default the first of two dimensions.
    stream : str
        Name of the stream.
    pixel_size : float, optional
        The size of a pixel [um].
    overwrite : bool
        Whether what is there already may be replaced.

    Raises
    ------
    ValueError
        When the path ends with something else.
    freewheel.MissingExtraError
        Without ome-writers.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        key: str | None = None,
        stream: str = "primary",
        pixel_size: float | None = None,
        overwrite: bool = False,
    ) -> None:
        try:
            import ome_writers  # noqa: F401
        except ModuleNotFoundError as error:
            raise MissingExtraError("freewheel.plans.OmeWriter", "micromanager") from error
        self._path = Path(path)
        if self._path.suffix not in _FORMATS:
            raise ValueError(f"{self._path} is to end with .ome.zarr or .ome.tiff")
        self._key = key
        self._name = "mda"  # how the run's own keys begin
        self._stream_name = stream
        self._pixel_size = pixel_size
        self._overwrite = overwrite
        self._run: str | None = None  # the one that is written
        self._sequence: Any = None
        self._descriptor: str | None = None
        self._places: Iterator[Mapping[str, int]] | None = None  # of the frames to come
        self._stream: Any = None
        self._last = 0  # the number of the newest event that was written
        self._finished = False

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take a document.

        Raises
        ------
        FileExistsError
            When there is something at the path already, and it may not be replaced.
        ValueError
            When the run has no frames of two dimensions.
        """
        if name == "start":
            self._start(doc)
        elif name == "descriptor" and doc["run_start"] == self._run:
            if doc["name"] == self._stream_name and self._stream is None:
                self._open(doc)
        elif name == "event" and doc["descriptor"] == self._descriptor:
            self._write(doc)
        elif name == "stop" and doc["run_start"] == self._run:
            self.close()

    def close(self) -> None:
        """Write what is left, and close the file. The run's stop document does it too."""
        stream, self._stream = self._stream, None
        self._run = self._descriptor = None
        if stream is not None:
            self._finished = True
            stream.close()

    def _start(self, doc: Mapping[str, Any]) -> None:
        if "useq_sequence" not in doc:
            return
        if self._finished or self._run is not None:
            _log.warning(
                "%s has one sequence in it; run %s is not written. Make an OmeWriter for each.",
                self._path,
                doc["uid"],
            )
            return
        if self._path.exists() and not self._overwrite:
            raise FileExistsError(
                f"{self._path} is there already: give another path, or overwrite=True"
            )
        from useq import MDASequence

        self._sequence = MDASequence.model_validate(doc["useq_sequence"])
        self._run = doc["uid"]

    def _open(self, doc: Mapping[str, Any]) -> None:
        from ome_writers import AcquisitionSettings, create_stream

        key = self._key or next(
            (
                name
                for name, described in doc["data_keys"].items()
                if described["dtype"] == "array" and len(described["shape"]) == 2
            ),
            None,
        )
        if key is None or len(doc["data_keys"][key]["shape"]) != 2:
            keys = ", ".join(doc["data_keys"])
            raise ValueError(f"{self._path}: no frames of two dimensions among the keys: {keys}")
        self._key, self._name = key, _name_in(doc["data_keys"])
        height, width = doc["data_keys"][key]["shape"]
        dtype = doc["data_keys"][key].get("dtype_numpy", "<u2").lstrip("<>|=")
        settings = AcquisitionSettings(
            root_path=str(self._path),
            overwrite=self._overwrite,
            dtype={"u1": "uint8", "u2": "uint16", "u4": "uint32", "f4": "float32"}[dtype],
            **self._shape(height, width),
        )
        self._stream = create_stream(settings)
        self._descriptor = doc["uid"]

    def _shape(self, height: int, width: int) -> Any:
        """Return the dimensions of the array, with those that the sequence has if it is regular."""
        from ome_writers import Dimension, useq_to_acquisition_settings

        try:
            regular = useq_to_acquisition_settings(
                self._sequence,
                image_width=width,
                image_height=height,
                pixel_size_um=self._pixel_size,
            )
        except NotImplementedError:
            unit: dict[str, Any] = {"scale": self._pixel_size, "unit": "micrometer"}
            return {
                "dimensions": [
                    Dimension(name="t", count=None, chunk_size=1, type="time"),
                    Dimension(name="y", count=height, chunk_size=height, **unit),
                    Dimension(name="x", count=width, chunk_size=width, **unit),
                ]
            }
        self._places = iter(
            [
                {str(axis.value): number for axis, number in event.index.items()}
                for event in self._sequence
                if event.action is None or event.action.type == "acquire_image"
            ]
        )
        return regular

    def _write(self, doc: Mapping[str, Any]) -> None:
        if doc["seq_num"] <= self._last:
            return
        self._last = doc["seq_num"]
        data = doc["data"]
        self._skip_to(data)
        frame = {"delta_t": data[f"{self._name}-elapsed"]}
        exposure = data[f"{self._name}-exposure"]
        if not math.isnan(exposure):
            frame["exposure_time"] = exposure / 1000
        self._stream.append(data[self._key], frame_metadata=frame)

    def _skip_to(self, data: Mapping[str, Any]) -> None:
        """Leave places empty until that of an event."""
        if self._places is None:
            return
        missing = 0
        for place in self._places:
            if all(data.get(f"{self._name}-{axis}") == number for axis, number in place.items()):
                break
            missing += 1
        if missing:
            self._stream.skip(frames=missing)


def _name_in(keys: Mapping[str, Any]) -> str:
    """Return how the keys begin that `mda` makes itself; a plan may have given it another name."""
    names = (key.removesuffix("-elapsed") for key in keys if key.endswith("-elapsed"))
    return next(name for name in names if {f"{name}-exposure", f"{name}-position"} <= set(keys))
