"""The simulated camera."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Any, Protocol, final

import numpy as np
from ophyd_async.core import (
    Array1D,
    AsyncStatus,
    SignalBackend,
    SignalDatatypeT,
    SignalR,
    SignalRW,
    SoftSignalBackend,
    StandardReadable,
    StandardReadableFormat,
)

from ._injection import inject
from ._making import MakingTime
from ._sample import Sample, View
from ._sensor import Frame, Rendering, Sensor, SensorSettings
from ._thread import run_in_thread
from ._waits import is_instant

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from bluesky.protocols import Reading
    from event_model import DataKey
    from ophyd_async.core import Callback

    from ._faults import Fault

_LINE_TIME = 5e-6  # s for each row of the sensor: a scientific CMOS reads 2048 rows in 10 ms
# Rendering a new scene of so many pixels (2 ms on a laptop) may hold up the loop; more may not.
_RENDER_INLINE = 256 * 1024
# A new view is begun so many times as long after the one before was as that took.
_RENDER_PAUSE = 4
_RENDER_AT_FIRST = 6e-8  # s for each pixel, of a computer that has not rendered yet


@final
class _Setting(SignalRW[SignalDatatypeT]):
    """A signal that tells previews what it will refuse.

    Parameters
    ----------
    backend : SignalBackend
        What keeps the value.
    check : callable
        Raises for a value that is refused; it gets what the plan has set the others to.
    """

    def __init__(
        self,
        backend: SignalBackend[SignalDatatypeT],
        check: Callable[[Any, Callable[[Any], Any]], object],
    ) -> None:
        super().__init__(backend)
        self._check = check

    def expected_refusal(self, value: Any, known: Callable[[Any], Any]) -> Exception | None:
        """Say what a value is refused with, for previews; see `freewheel.core.TellsRefusals`."""
        if value is None:  # what it began with
            return None
        try:
            self._check(value, known)
        except Exception as error:
            return error
        return None


class CameraSettings:
    """The knobs of a camera, each a signal that refuses what the sensor cannot do.

    Read and written on the event loop that runs the device.

    Parameters
    ----------
    shape : tuple[int, int]
        Height and width of the sensor [pixels].
    exposure : float
        Exposure time to begin with [s].
    gain : float
        Gain to begin with [counts/electron].
    """

    def __init__(self, shape: tuple[int, int], exposure: float, gain: float) -> None:
        self._shape = shape
        self._exposure = self._valid_exposure(exposure)
        self._gain = self._valid_gain(gain)
        self._binning = 1
        self._roi = (0, 0, shape[1], shape[0])
        self.exposure: SignalRW[float] = _Setting(
            SoftSignalBackend(float, exposure, units="s", setter=self._set_exposure),
            lambda value, _: self._valid_exposure(value),
        )
        self.gain: SignalRW[float] = _Setting(
            SoftSignalBackend(float, gain, units="counts/electron", setter=self._set_gain),
            lambda value, _: self._valid_gain(value),
        )
        self.binning: SignalRW[int] = _Setting(
            SoftSignalBackend(int, 1, setter=self._set_binning),
            lambda value, known: self._valid_binning(value, known(self.roi)),
        )
        whole = np.array(self._roi, np.int32)
        self.roi: SignalRW[Array1D[np.int32]] = _Setting(
            SoftSignalBackend(Array1D[np.int32], whole, units="pixels", setter=self._set_roi),
            lambda value, known: self._valid_roi(value, known(self.binning)),
        )

    def current(self, view: View) -> SensorSettings:
        """Return the settings as they are now, frozen."""
        return SensorSettings(self._roi, self._exposure, self._gain, self._binning, view)

    @staticmethod
    def _valid_exposure(value: float) -> float:
        if not 0 <= value < math.inf:  # false for NaN
            msg = f"exposure must be a time in seconds, zero or more, not {value!r}"
            raise ValueError(msg)
        return float(value)

    @staticmethod
    def _valid_gain(value: float) -> float:
        if not 0 < value <= 100:
            msg = f"gain must lie above 0 and at most at 100 counts per electron, not {value!r}"
            raise ValueError(msg)
        return float(value)

    @staticmethod
    def _valid_binning(value: int, roi: Sequence[int] | Array1D[np.int32]) -> int:
        limit = min(roi[2:])
        if value != int(value) or not 1 <= value <= limit:
            msg = f"binning must be a whole number from 1 to {limit} (the region), not {value!r}"
            raise ValueError(msg)
        return int(value)

    def _valid_roi(self, value: Iterable[int], binning: int) -> tuple[int, int, int, int]:
        height, width = self._shape
        roi = [int(edge) for edge in value]
        if (
            len(roi) != 4
            or min(roi[:2]) < 0
            or min(roi[2:]) < binning
            or roi[0] + roi[2] > width
            or roi[1] + roi[3] > height
        ):
            msg = (
                f"roi must be left, top, width and height within the {width} x {height} sensor, "
                f"and at least one binned pixel ({binning}) in size, not {roi}"
            )
            raise ValueError(msg)
        return roi[0], roi[1], roi[2], roi[3]

    def _set_exposure(self, value: float | None) -> float:
        self._exposure = self._valid_exposure(0.0 if value is None else value)
        return self._exposure

    def _set_gain(self, value: float | None) -> float:
        self._gain = self._valid_gain(1.0 if value is None else value)
        return self._gain

    def _set_binning(self, value: int | None) -> int:
        self._binning = self._valid_binning(1 if value is None else value, self._roi)
        return self._binning

    def _set_roi(self, value: Sequence[int] | Array1D[np.int32] | None) -> Array1D[np.int32]:
        height, width = self._shape
        self._roi = self._valid_roi(
            (0, 0, width, height) if value is None else value, self._binning
        )
        return np.array(self._roi, dtype=np.int32)


class Sight(Protocol):
    """What a camera looks at, which can tell what that will be in a plan, too."""

    def __call__(self) -> View:
        """Return what it looks at now."""
        ...

    def planned(self, known: Callable[[Any], Any]) -> View:
        """Return what it will look at, with devices where the plan will have sent them."""
        ...


def frame_shape(camera: Any, known: Callable[[Any], Any]) -> list[int]:
    """Return height and width of a camera's frames with the settings that are known."""
    binning = int(known(camera.binning))
    return [int(edge) // binning for edge in known(camera.roi)[3:1:-1]]


class FrameMaker:
    """Frames of a sensor, one after the other, without holding up the event loop for long.

    Used on the event loop that runs the device, or on the thread of one that takes them there.

    Parameters
    ----------
    sensor : Sensor
        The sensor.
    """

    def __init__(self, sensor: Sensor) -> None:
        self._sensor = sensor
        self._rendering: Rendering | None = None
        self._index = 0
        self._render_next = 0.0
        #: How long this computer takes for a new view, and for a frame of it.
        self.rendering, self.framing = MakingTime(_RENDER_AT_FIRST), MakingTime()

    async def make(self, settings: SensorSettings) -> Frame:
        """Return the next frame, a new array."""
        rendering = self._rendering
        began = time.monotonic()
        if rendering is None or rendering.settings != settings:
            if math.prod(settings.shape) <= _RENDER_INLINE:
                rendering = self._sensor.render(settings)
            else:
                rendering = await run_in_thread(
                    lambda: self._sensor.render(settings), "freewheel-sim-render"
                )
            self._rendering = rendering
            began = _took(self.rendering, began, math.prod(settings.shape))
        self._index += 1
        frame = self._sensor.frame(rendering, self._index - 1)
        _took(self.framing, began, frame.size)
        return frame

    def renders(self, camera: Any, sight: Callable[[], View], known: Callable[[Any], Any]) -> bool:
        """Tell whether a camera will have a new view to work out, as a plan has set it by then.

        Asked from any thread, for previews. Of a view that cannot tell what it will be it is taken
        that it stays.
        """
        rendering = self._rendering
        if rendering is None:
            return True
        planned = getattr(sight, "planned", None)
        settings = SensorSettings(
            roi=tuple(int(edge) for edge in known(camera.roi)),  # type: ignore[arg-type]
            exposure=float(known(camera.exposure)),
            gain=float(known(camera.gain)),
            binning=int(known(camera.binning)),
            view=rendering.settings.view if planned is None else planned(known),
        )
        return settings != rendering.settings

    def rendering_share(self, pixels: int, period: float) -> float:
        """Return what new views add to a period of frames that `make_now` makes [s].

        They are worked out for a quarter of the time at most.
        """
        return min(self.rendering.of(pixels), period / (_RENDER_PAUSE - 1))

    def make_now(self, settings: SensorSettings) -> Frame:
        """Return the next frame, a new array; on whatever thread makes them all.

        Working out a new view takes ten times as long as a frame. It takes a quarter of the time
        at most: frames in between show the view of the last time.
        """
        rendering, now = self._rendering, time.monotonic()
        if rendering is None or (
            rendering.settings != settings
            and (now >= self._render_next or rendering.settings.shape != settings.shape)
        ):
            rendering = self._rendering = self._sensor.render(settings)
            done = _took(self.rendering, now, math.prod(settings.shape))
            self._render_next = now + _RENDER_PAUSE * (done - now)
        self._index += 1
        return self._sensor.frame(rendering, self._index - 1)


def _took(making: MakingTime, began: float, pixels: int) -> float:
    now = time.monotonic()
    making.note(now - began, pixels)
    return now


def valid_shape(shape: tuple[int, int]) -> tuple[int, int]:
    """Return a frame's height and width [pixels], or raise ``ValueError``."""
    if len(shape) != 2 or any(edge != int(edge) or not 1 <= edge <= 16384 for edge in shape):
        msg = f"shape must be a height and a width from 1 to 16384 pixels, not {shape!r}"
        raise ValueError(msg)
    return int(shape[0]), int(shape[1])


def valid_seed(seed: int) -> int:
    """Return a seed, or raise ``ValueError``."""
    if seed != int(seed) or seed < 0:
        msg = f"seed must be a whole number, zero or more, not {seed!r}"
        raise ValueError(msg)
    return int(seed)


def valid_row_time(shape: tuple[int, int], readout: float | None) -> float:
    """Return the time to read one row of a sensor [s], or raise ``ValueError``."""
    if readout is None:
        return _LINE_TIME
    if not 0 <= readout < math.inf:  # false for NaN
        msg = f"readout must be a time in seconds, zero or more, not {readout!r}"
        raise ValueError(msg)
    return readout / shape[0]


class ImageBackend(SignalBackend[np.ndarray]):
    """A signal's backend that hands on arrays as they are.

    The soft backend of ophyd-async copies each array that it is given, which is half of the
    time that a fast camera takes.

    Parameters
    ----------
    shape : Callable
        Returns the shape of the next frame.
    """

    def __init__(self, shape: Callable[[], tuple[int, int]]) -> None:
        super().__init__(np.ndarray)
        self._shape = shape
        self._callback: Callback[Reading[np.ndarray]] | None = None
        self.reading: Reading[np.ndarray] | None = None

    def update(self, frame: Frame, timestamp: float) -> None:
        """Make a frame the signal's value."""
        self.reading = {"value": frame, "timestamp": timestamp, "alarm_severity": 0}
        if self._callback is not None:
            self._callback(self.reading)

    def _reading(self) -> Reading[np.ndarray]:
        if self.reading is None:
            # Before the first trigger, as with a real camera, the buffer is empty.
            self.update(np.zeros(self._shape(), dtype=np.uint16), time.time())
            assert self.reading is not None
        return self.reading

    def source(self, name: str, read: bool) -> str:
        return f"sim://{name}"

    async def connect(self, timeout: float) -> None:  # noqa: ASYNC109 (its base says so)
        pass

    async def put(self, value: np.ndarray | None) -> None:
        msg = "a camera's image is read only"
        raise TypeError(msg)

    async def get_datakey(self, source: str) -> DataKey:
        return {
            "source": source,
            "dtype": "array",
            "dtype_numpy": np.dtype(np.uint16).str,
            "shape": list(self._shape()),
            "units": "counts",
        }

    async def get_reading(self) -> Reading[np.ndarray]:
        return self._reading()

    async def get_value(self) -> np.ndarray:
        return self._reading()["value"]

    async def get_setpoint(self) -> np.ndarray:
        return self._reading()["value"]

    def set_callback(self, callback: Callback[Reading[np.ndarray]] | None) -> None:
        if callback is not None and self._callback is not None:
            msg = "Cannot set a callback when one is already set"
            raise RuntimeError(msg)
        self._callback = callback
        if callback is not None:
            callback(self._reading())


class SimCamera(StandardReadable):
    """A camera that looks at a simulated sample.

    Each `trigger` exposes one frame, and `read` returns it under the key ``<name>-image``: 2-D,
    ``uint16``, a new array every time. The frames show beads and features that move, with
    shot noise, read-out noise, a dark pattern and hot pixels. They depend on where the stage is,
    on focus and illumination (``view``), and on exposure, gain, binning and region of interest.
    The same seed and the same settings give the same frames.

    The device belongs to no event loop: any engine may run it, one at a time. Its methods are for
    the thread of that engine's loop.

    Parameters
    ----------
    name : str
        Name of the device.
    shape : tuple[int, int]
        Height and width of the sensor [pixels].
    exposure : float
        Exposure time to begin with [s].
    gain : float
        Gain to begin with [counts/electron].
    readout : float | None
        Time that reading the whole sensor takes [s]; a region of interest takes its share.
        By default 5 us for each row.
    seed : int
        Seed of sample and noise, zero or more.
    view : Callable[[], View] | None
        Returns what the camera looks at; called on the loop when an exposure begins.
        By default the centre of the sample, in focus, in full light.
    sleep : Callable
        Coroutine function that waits for a number of seconds.
    faults : Sequence[Fault]
        Faults from the start; see `inject`.

    Raises
    ------
    ValueError
        If shape, exposure, gain, read-out time or seed make no camera.
    """

    exposure: SignalRW[float]
    gain: SignalRW[float]
    binning: SignalRW[int]
    roi: SignalRW[Array1D[np.int32]]
    image: SignalR[np.ndarray]

    def __init__(
        self,
        name: str = "camera",
        *,
        shape: tuple[int, int] = (512, 512),
        exposure: float = 0.005,
        gain: float = 1.0,
        readout: float | None = None,
        seed: int = 0,
        view: Callable[[], View] | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        faults: Sequence[Fault] = (),
    ) -> None:
        height, width = valid_shape(shape)
        valid_seed(seed)
        self._row_time = valid_row_time((height, width), readout)
        self._settings = CameraSettings((height, width), exposure, gain)
        self._view = view or View
        self._sleep = sleep
        self._frames = FrameMaker(Sensor((height, width), Sample(seed), seed=seed))
        self.exposure = self._settings.exposure
        self.gain = self._settings.gain
        self.binning = self._settings.binning
        self.roi = self._settings.roi
        self.add_readables(
            [self.exposure, self.gain, self.binning, self.roi], StandardReadableFormat.CONFIG_SIGNAL
        )
        self._backend = ImageBackend(lambda: self._settings.current(View()).shape)
        self.image = SignalR(self._backend)
        # Not cached: a subscription would make ophyd-async format every frame for its log.
        self.add_readables([self.image], StandardReadableFormat.HINTED_UNCACHED_SIGNAL)
        super().__init__(name=name)
        if faults:
            inject(self, *faults)

    @AsyncStatus.wrap
    async def trigger(self) -> None:
        """Expose one frame and read it out.

        Returns
        -------
        AsyncStatus
            Done when the frame can be read.
        """
        started = time.monotonic()
        settings = self._settings.current(self._view())
        # Made while the exposure goes on, so that it takes no time of its own.
        frame = await self._frames.make(settings)
        due = settings.exposure + settings.roi[3] * self._row_time
        left = due - (time.monotonic() - started)
        if due and left > 0:
            await self._sleep(left)
        self._backend.update(frame, time.time())

    def expected_time(self, verb: str, value: Any, known: Callable[[Any], Any]) -> float | None:
        """Say how long a frame takes, for previews; see `freewheel.core.TellsTimes`."""
        if verb not in ("trigger", "again"):
            return None
        if is_instant(self._sleep):
            return 0.0
        due = float(known(self.exposure)) + int(known(self.roi)[3]) * self._row_time
        pixels = math.prod(frame_shape(self, known))
        making = self._frames.framing.of(pixels)
        longest = making + self._frames.rendering.of(pixels)
        if verb == "trigger" and longest > due and self._frames.renders(self, self._view, known):
            making = longest
        return max(due, making)

    def expected_data(self, known: Callable[[Any], Any]) -> dict[str, Any]:
        """Say what an event has of it, for previews; see `freewheel.core.TellsData`."""
        shape = frame_shape(self, known)
        return {self.image.name: {"dtype": "array", "shape": shape, "dtype_numpy": "<u2"}}
