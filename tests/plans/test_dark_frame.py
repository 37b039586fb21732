"""The dark frame: median, subtraction, shutter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from doubles import DarkCamera, Shutter
from freewheel import RunEngine
from freewheel.plans import dark_frame

if TYPE_CHECKING:
    pass

WAIT = 20.0


def test_the_median_is_subtracted(engine: RunEngine) -> None:
    shutter = Shutter()
    camera = DarkCamera(shutter)
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
    result = engine(dark_frame([DarkCamera(None, (4, 4))], dark_frames=3)).result(WAIT).plan_result

    assert not result.corrected["image"].any()


def test_nothing_to_correct_is_an_error(engine: RunEngine) -> None:
    camera = DarkCamera(None, (4,))

    with pytest.raises(ValueError, match="no array of two dimensions among the keys of camera"):
        engine(dark_frame([camera])).result(WAIT)


@pytest.mark.parametrize("counts", [{"dark_frames": 0}, {"frames": -1}])
def test_fewer_than_one_frame_is_an_error(engine: RunEngine, counts: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        engine(dark_frame([DarkCamera(None)], **counts)).result(WAIT)
