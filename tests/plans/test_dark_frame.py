"""The dark frame: median, subtraction, shutter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from freewheel import RunEngine, Status
from freewheel.plans import dark_frame

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT = 20.0


class Shutter:
    parent = None

    def __init__(self) -> None:
        self.name = "shutter"
        self.moves: list[str] = []

    def set(self, value: str) -> Status:
        self.moves.append(value)
        status = Status()
        status.set_finished()
        return status


class Camera:
    """Shows an offset in the dark, with one wild frame, and 100 more in the light."""

    parent = None

    def __init__(self, shutter: Shutter | None, shape: tuple[int, ...] = (3, 700, 400)) -> None:
        self.name = "camera"
        self._shutter = shutter
        self._shape = shape
        self.offset = (np.arange(np.prod(shape)) % 1000).astype(np.uint16).reshape(shape)
        self._count = 0

    def read(self) -> dict[str, Any]:
        self._count += 1
        frame = self.offset.copy()
        if self._count == 2:
            frame += 1000
        if self._shutter is None or self._shutter.moves[-1:] == ["Open"]:
            frame += 100
        return {
            "image": {"value": frame, "timestamp": 1.0},
            "level": {"value": 7, "timestamp": 1.0},
        }

    def describe(self) -> dict[str, Any]:
        return {
            "image": {
                "source": "test",
                "dtype": "array",
                "dtype_numpy": "<u2",
                "shape": list(self._shape),
            },
            "level": {"source": "test", "dtype": "integer", "shape": []},
        }


@pytest.fixture
def engine() -> Iterator[RunEngine]:
    with RunEngine({}) as made:
        yield made


def test_the_median_is_subtracted(engine: RunEngine) -> None:
    shutter = Shutter()
    camera = Camera(shutter)
    documents: list[tuple[str, Any]] = []
    engine.subscribe(lambda name, doc: documents.append((name, doc)))

    result = (
        engine(dark_frame([camera], dark_frames=5, frames=2, shutter=shutter))
        .result(WAIT)
        .plan_result
    )

    assert result.dark.keys() == result.corrected.keys() == {"image"}
    assert result.dark["image"].dtype == np.float32
    np.testing.assert_array_equal(result.dark["image"], camera.offset)
    np.testing.assert_array_equal(result.corrected["image"], np.full_like(camera.offset, 100))
    assert shutter.moves == ["Closed", "Open"]
    assert documents[-1][1]["num_events"] == {"dark": 5, "primary": 2, "corrected": 2}
    last = [doc for name, doc in documents if name == "event"][-1]
    np.testing.assert_array_equal(last["data"]["image-corrected"], result.corrected["image"])


def test_without_a_shutter(engine: RunEngine) -> None:
    result = engine(dark_frame([Camera(None, (4, 4))], dark_frames=3)).result(WAIT).plan_result

    assert not result.corrected["image"].any()


def test_nothing_to_correct_is_an_error(engine: RunEngine) -> None:
    camera = Camera(None, (4,))

    with pytest.raises(ValueError, match="no array of two dimensions among the keys of camera"):
        engine(dark_frame([camera])).result(WAIT)


@pytest.mark.parametrize("counts", [{"dark_frames": 0}, {"frames": -1}])
def test_fewer_than_one_frame_is_an_error(engine: RunEngine, counts: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        engine(dark_frame([Camera(None)], **counts)).result(WAIT)
