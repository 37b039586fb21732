"""How large a pixel of a camera is in the sample, and how the camera is turned on the stage."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
from ophyd_async.core import Array1D

from ._signals import Access, CoreBackend, CoreSignalR

if TYPE_CHECKING:
    import numpy.typing as npt
    from ophyd_async.core import SignalR

    from ._port import Port

__all__ = ["affine_signal", "size_signal"]


def size_signal(port: Port, label: str) -> SignalR[float]:
    """Return a signal of the size of a camera's pixels [um]; 0 where the core does not know it."""

    def get() -> float:
        preset = port.core.getCurrentPixelSizeConfig()
        return port.core.getPixelSizeUmByID(preset) * _scale(port, label) if preset else 0.0

    access = Access(
        label,
        "the size of its pixels",
        get,
        topics=_topics(label),
        metadata={"units": "um", "precision": 4},
    )
    return CoreSignalR(CoreBackend(float, port, access))


def affine_signal(port: Port, label: str) -> SignalR[Array1D[np.float64]]:
    """Return a signal of where the stage goes to bring a pixel to the place of another [um].

    Micro-Manager's affine transform, by rows: x goes by the first for each pixel to the right and
    by the second for each pixel down, y by the fourth and fifth. The core has one of its own
    where nobody has measured it; all zeros is none at all.
    """

    def get() -> npt.NDArray[np.float64]:
        preset = port.core.getCurrentPixelSizeConfig()
        affine = port.core.getPixelSizeAffineByID(preset) if preset else np.zeros(6)
        return np.asarray(affine, np.float64) * _scale(port, label)

    access: Access[Any] = Access(
        label, "how it is turned", get, topics=_topics(label), metadata={"units": "um"}
    )
    return CoreSignalR(CoreBackend(Array1D[np.float64], port, access))


def _topics(label: str) -> list[tuple[str, ...]]:
    return [("pixel_size",), ("property", label, "Binning")]


def _scale(port: Port, label: str) -> float:
    """Return what makes of the core's figures those of this camera, current or not.

    The core multiplies by the binning of its current camera.
    """
    core, binning = port.core, 1
    if core.hasProperty(label, "Binning"):
        try:
            told = core.getPropertyFromCache(label, "Binning")
        except (RuntimeError, ValueError):  # of one loaded since the core looked at all
            told = core.getProperty(label, "Binning")
        digits = re.match(r"\s*(\d+)", told)  # some adapters write "2x2"
        binning = int(digits[1]) if digits else 1
    return binning / (core.getMagnificationFactor() or 1.0)
