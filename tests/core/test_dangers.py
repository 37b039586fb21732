"""Devices that a person is asked about: marked by a call, or in an annotation."""

from typing import Annotated, Any

import pytest

from freewheel.core import Dangerous, danger_of, mark_dangerous


class Part:
    def __init__(self, parent: Any = None) -> None:
        self.name, self.parent = "part", parent


class Source(Part):
    laser: Annotated[Part, Dangerous("class 4")]
    lamp: Annotated[Part, "a lamp"]
    valve: Annotated[Part, Dangerous]

    def __init__(self) -> None:
        super().__init__()
        self.laser, self.lamp, self.valve = Part(self), Part(self), Part(self)


def test_a_device_that_is_marked_is_dangerous_with_its_parts() -> None:
    device = Part()
    assert danger_of(device) is None
    mark_dangerous(device, "it is hot")
    assert danger_of(device) == "it is hot"
    assert danger_of(Part(device)) == "it is hot"
    assert danger_of(Part()) is None


def test_an_annotation_in_the_class_of_the_parent_counts() -> None:
    source = Source()
    assert danger_of(source.laser) == "class 4"
    assert danger_of(Part(source.laser)) == "class 4"
    assert danger_of(source.valve) == "it is marked as dangerous"
    assert danger_of(source.lamp) is None
    assert danger_of(source) is None


def test_a_mark_goes_with_its_device() -> None:
    from freewheel.core import _dangers

    device = Part()
    mark_dangerous(device)
    before = len(_dangers._marked)
    del device
    assert len(_dangers._marked) == before - 1


def test_what_contains_itself_comes_to_an_end() -> None:
    device = Part()
    device.parent = device
    assert danger_of(device) is None


@pytest.mark.parametrize("odd", [None, 3, "laser"])
def test_what_is_no_device_is_not_dangerous(odd: Any) -> None:
    assert danger_of(odd) is None
