"""From a sample and the settings of a camera to frames: optics, shot noise, read-out noise.

A frame is made in two steps. What does not change from frame to frame (beads, background,
vignetting, dark pattern) is *rendered* once for each setting into a mean and a noise strength for
each pixel. A frame is then that mean plus noise from a bank of normal deviates drawn beforehand,
plus the few features that move: three passes over 16-bit integers, about a tenth of a
millisecond for 512 x 512 pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ._sample import BEAD_DEPTH, FloatArray, Sample, View

Frame = npt.NDArray[np.uint16]

_FULL_SCALE = 65535
_PIXEL = 0.5  # um of the sample for each pixel of the sensor
_SPOT = 2.0  # pixels: standard deviation of a spot in focus
_BLUR = 1.0  # pixels of blur for each um out of focus
_BLUR_LIMIT = 40.0  # pixels: further out of focus a spot has melted into the background anyway
_BEAD_RATE = 300_000.0  # electrons/s in the brightest pixel of a bead of brightness 1, full light
_BACKGROUND_RATE = 5_000.0  # electrons/s and pixel at full light
_DARK_RATE = 20.0  # electrons/s and pixel without any light
_HOT_RATE = 20_000.0  # electrons/s of an average hot pixel
_HOT_SHARE = 2e-4  # of the pixels are hot
_PATTERN = 3.0  # counts: standard deviation of the fixed pattern

_DEVIATE_BITS = 5  # deviates are stored as integers, in units of 1/32
_DEVIATE_LIMIT = 127  # hence noise never exceeds 3.97 standard deviations
_STRENGTH_LIMIT = 32767 // _DEVIATE_LIMIT  # keeps strength * deviate within 16 bits
_BANK_SLACK = 1 << 18  # how many different places a frame's noise may start at

_MOVERS = 8
_MOVER_RATE = 400_000.0  # electrons/s in the brightest pixel of a moving feature, full light
_MOVER_SPOT = 4.0  # pixels


@dataclass(frozen=True, slots=True)
class SensorSettings:
    """All that a frame depends on, apart from its number.

    Parameters
    ----------
    roi : tuple[int, int, int, int]
        Left, top, width and height of the region of interest [pixels of the sensor].
    exposure : float
        Exposure time [s].
    gain : float
        Counts for each electron.
    binning : int
        Edge of the squares of pixels that are summed into one.
    view : View
        What the sensor looks at.
    """

    roi: tuple[int, int, int, int]
    exposure: float
    gain: float = 1.0
    binning: int = 1
    view: View = field(default_factory=View)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the frames [pixels after binning]."""
        return self.roi[3] // self.binning, self.roi[2] // self.binning


@dataclass(frozen=True, slots=True)
class Rendering:
    """What all frames with the same settings have in common."""

    settings: SensorSettings
    mean: Frame
    strength: npt.NDArray[np.int16]  # standard deviation of the noise, times 2 ** strength_bits
    strength_bits: int
    mover_spot: float  # standard deviation of a moving feature [binned pixels]
    mover_peak: float  # its brightest pixel [counts]
    may_fill: bool  # whether the features may bring a pixel to full scale


class Sensor:
    """A sensor that makes frames.

    No method touches an event loop, a clock or a global generator. `render` only reads, and may
    run in a thread of its own; `frame` is for one caller at a time.

    Parameters
    ----------
    shape : tuple[int, int]
        Height and width of the sensor [pixels].
    sample : Sample
        What lies under the microscope.
    seed : int
        Seed of the noise, of the dark pattern, and of the features that move.
    offset : float
        Counts of a pixel that got no electron.
    read_noise : float
        Standard deviation of the read-out noise [electrons].
    """

    def __init__(
        self,
        shape: tuple[int, int],
        sample: Sample,
        *,
        seed: int = 0,
        offset: float = 100.0,
        read_noise: float = 2.0,
    ) -> None:
        self.shape = shape
        self._sample = sample
        self._offset = offset
        self._read_noise = read_noise
        noise, pattern, movers = np.random.default_rng(seed).spawn(3)
        deviates = noise.standard_normal(shape[0] * shape[1] + _BANK_SLACK, dtype=np.float32)
        deviates *= 1 << _DEVIATE_BITS
        np.clip(np.rint(deviates, out=deviates), -_DEVIATE_LIMIT, _DEVIATE_LIMIT, out=deviates)
        self._bank = deviates.astype(np.int16)
        self._noise_starts = noise
        self._pattern: FloatArray = pattern.normal(0.0, _PATTERN, shape).astype(np.float32)
        hot = pattern.random(shape) < _HOT_SHARE
        self._dark_rate: FloatArray = np.full(shape, _DARK_RATE, dtype=np.float32)
        self._dark_rate[hot] += pattern.exponential(_HOT_RATE, int(hot.sum()))
        self._movers = _Movers(shape, movers)

    def render(self, settings: SensorSettings) -> Rendering:
        """Work out what all frames with these settings have in common.

        Takes some milliseconds for 512 x 512 pixels, and in proportion for more.
        """
        view, binning = settings.view, settings.binning
        glow = view.light * settings.exposure * self._light_rate(settings)
        dark = settings.exposure * _binned(_cut(self._dark_rate, settings.roi), binning)
        electrons = glow + dark
        counts = settings.gain * electrons
        counts += self._offset + _binned(_cut(self._pattern, settings.roi), binning) / binning
        deviation = settings.gain * np.sqrt(electrons + np.float32(self._read_noise**2))
        # A full pixel shows no noise, and noise must not wrap a dark pixel around zero.
        np.clip(deviation, None, _STRENGTH_LIMIT - 1, out=deviation)
        deviation[counts >= _FULL_SCALE - 4 * _STRENGTH_LIMIT] = 0.0
        np.clip(counts, 4 * deviation + 1, _FULL_SCALE - 1, out=counts)
        bits = _spare_bits(float(deviation.max()))
        blur = _blur(view.z)
        spot = math.hypot(_MOVER_SPOT, blur) / binning
        electrons_at_peak = view.light * settings.exposure * _MOVER_RATE * binning**2
        mover_peak = settings.gain * electrons_at_peak * (_MOVER_SPOT / spot / binning) ** 2
        # All of them on one place; noise: 4.5 sqrt(peak gain), no more than peak + 5.1 gain.
        movers = _MOVERS * (2 * mover_peak + 5.1 * settings.gain)
        return Rendering(
            settings=settings,
            # One half to round here, one half for the shift that rounds noise down.
            mean=(counts + np.float32(1.0)).astype(np.uint16),
            strength=np.rint(deviation * (1 << bits)).astype(np.int16),
            strength_bits=bits,
            mover_spot=spot,
            mover_peak=mover_peak,
            may_fill=float((counts + 4 * deviation).max()) + movers >= _FULL_SCALE,
        )

    def frame(self, rendering: Rendering, index: int) -> Frame:
        """Make one frame.

        Parameters
        ----------
        rendering : Rendering
            What `render` made of the settings.
        index : int
            Number of the frame: the moving features stand where they stand in that frame.

        Returns
        -------
        numpy.ndarray
            A new array, ``uint16``.
        """
        mean = rendering.mean
        start = int(self._noise_starts.integers(self._bank.size - mean.size + 1))
        deviates = self._bank[start : start + mean.size].reshape(mean.shape)
        noise = rendering.strength * deviates
        noise >>= _DEVIATE_BITS + rendering.strength_bits
        frame: Frame = noise.view(np.uint16)
        frame += mean  # modulo 2 ** 16, which makes a negative deviate come out right
        if rendering.mover_peak >= 1.0:
            self._movers.draw(frame, rendering, index)
        return frame

    def _light_rate(self, settings: SensorSettings) -> FloatArray:
        """Return the electrons per second in each pixel at full light."""
        left, top, _, _ = settings.roi
        binning = settings.binning
        height, width = settings.shape
        # Centres of the binned pixels, counted from the centre of the sensor.
        across = left + (np.arange(width, dtype=np.float32) + 0.5) * binning - self.shape[1] / 2
        down = top + (np.arange(height, dtype=np.float32) + 0.5) * binning - self.shape[0] / 2
        rate = np.full((height, width), _BACKGROUND_RATE * binning**2, dtype=np.float32)
        x = settings.view.x + across * np.float32(_PIXEL)
        y = settings.view.y + down * np.float32(_PIXEL)
        rate *= 1.0 + 0.3 * np.outer(np.sin(y / 37.0), np.cos(x / 53.0)).astype(np.float32)
        self._add_beads(rate, x, y, settings)
        # The corners get two thirds of the light of the centre.
        scale = np.float32(max(self.shape) / 2)
        rate *= 1.0 - ((down / scale)[:, None] ** 2 + (across / scale)[None, :] ** 2) / 6.0
        return rate

    def _add_beads(
        self, rate: FloatArray, x: FloatArray, y: FloatArray, settings: SensorSettings
    ) -> None:
        margin = 3.5 * _PIXEL * math.hypot(_SPOT, _blur(abs(settings.view.z) + BEAD_DEPTH))
        beads = self._sample.beads(
            (float(x[0]) - margin, float(x[-1]) + margin),
            (float(y[0]) - margin, float(y[-1]) + margin),
        )
        binning = settings.binning
        pitch = _PIXEL * binning
        for bead_x, bead_y, bead_z, brightness in beads.tolist():
            spot = math.hypot(_SPOT, _blur(settings.view.z - bead_z)) / binning
            peak = _BEAD_RATE * brightness * (_SPOT / spot) ** 2
            column, row = (bead_x - float(x[0])) / pitch, (bead_y - float(y[0])) / pitch
            where, stamp = _stamp(rate.shape, row, column, spot)
            if stamp.size:
                rate[where] += np.float32(peak) * stamp


class _Movers:
    """Bright features that wander about on closed curves around the middle of the sensor."""

    def __init__(self, shape: tuple[int, int], rng: np.random.Generator) -> None:
        extent = np.array(shape, dtype=float)
        self._homes = (rng.random((_MOVERS, 2)) - 0.5) * 0.7 * extent
        self._reach = rng.uniform(0.05, 0.2, (_MOVERS, 2)) * extent
        self._turn = 2 * np.pi / rng.uniform(60.0, 300.0, (_MOVERS, 2))  # for each frame
        self._phase = rng.uniform(0.0, 2 * np.pi, (_MOVERS, 2))
        self._grain = rng.standard_normal(1 << 16, dtype=np.float32)
        self._centre = extent / 2

    def draw(self, frame: Frame, rendering: Rendering, index: int) -> None:
        """Add the features to a frame, where they stand in the frame of this number."""
        settings = rendering.settings
        left, top, _, _ = settings.roi
        places = self._homes + self._reach * np.sin(self._phase + self._turn * index)
        shift = np.array([settings.view.y, settings.view.x]) / _PIXEL
        places = (places - shift + self._centre - (top, left)) / settings.binning - 0.5
        stamps, corners = self._stamps(places, rendering, index)
        edge = stamps.shape[1]
        for stamp, (row, column) in zip(stamps, corners.tolist(), strict=True):
            top, left = max(0, row), max(0, column)
            part = frame[top : max(0, row + edge), left : max(0, column + edge)]
            if part.size:
                height, width = part.shape
                light = stamp[top - row : top - row + height, left - column : left - column + width]
                if rendering.may_fill:
                    part[...] = np.minimum(part + light.astype(np.float32), _FULL_SCALE)
                else:
                    part += light

    def _stamps(
        self, places: npt.NDArray[np.float64], rendering: Rendering, index: int
    ) -> tuple[Frame, npt.NDArray[np.int64]]:
        """Return what each feature adds, and where: all in one go, for numpy's calls cost most."""
        reach = 3.5 * rendering.mover_spot
        corners = np.ceil(places - reach).astype(np.int64)
        away = np.arange(int(2 * reach) + 1) + (corners - places)[..., None]
        spots = np.exp(-0.5 * (away / rendering.mover_spot) ** 2).astype(np.float32)
        stamps: FloatArray = spots[:, 0, :, None] * spots[:, 1, None, :]
        stamps *= np.float32(rendering.mover_peak)
        start = index * 7919 % (self._grain.size // 2)
        grain = np.resize(self._grain[start : start + stamps.size], stamps.shape)
        stamps += grain * np.sqrt(stamps * np.float32(rendering.settings.gain))
        return stamps.clip(0, _FULL_SCALE).astype(np.uint16), corners


def _stamp(
    shape: tuple[int, ...], row: float, column: float, spot: float
) -> tuple[tuple[slice, slice], FloatArray]:
    """Return the part of an image that a round spot covers, and the spot, 1 at its top."""
    reach = 3.5 * spot
    rows = slice(max(0, math.ceil(row - reach)), max(0, min(shape[0], int(row + reach) + 1)))
    columns = slice(
        max(0, math.ceil(column - reach)), max(0, min(shape[1], int(column + reach) + 1))
    )
    scale = -0.5 / spot**2
    down = np.exp(scale * (np.arange(rows.start, rows.stop, dtype=np.float32) - row) ** 2)
    across = np.exp(
        scale * (np.arange(columns.start, columns.stop, dtype=np.float32) - column) ** 2
    )
    return (rows, columns), np.outer(down, across).astype(np.float32, copy=False)


def _blur(distance: float) -> float:
    return min(_BLUR * abs(distance), _BLUR_LIMIT)


def _spare_bits(largest: float) -> int:
    """Return how many bits a noise strength can be shifted up within its limit."""
    return max(0, min(8, int(math.log2(_STRENGTH_LIMIT / max(largest, 1e-3)))))


def _cut(image: FloatArray, roi: tuple[int, int, int, int]) -> FloatArray:
    left, top, width, height = roi
    return image[top : top + height, left : left + width]


def _binned(image: FloatArray, binning: int) -> FloatArray:
    """Sum squares of pixels; rows and columns that fill no square are left out."""
    if binning == 1:
        return image
    height, width = image.shape[0] // binning, image.shape[1] // binning
    squares = image[: height * binning, : width * binning]
    summed: FloatArray = squares.reshape(height, binning, width, binning).sum(axis=(1, 3))
    return summed
