"""What a device is, what it is called, what contains it and what it contains."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ophyd.sim import motor
from ophyd_async.core import Device, StandardReadable, soft_signal_rw

from freewheel.core import Status
from freewheel.core._devices import (
    checked_devices,
    device_chain,
    device_children,
    device_name,
    is_device,
    is_device_class,
    is_device_instance,
    quoted_name,
)


class Stage(StandardReadable):
    def __init__(self, name: str = "") -> None:
        self.x = soft_signal_rw(float)
        super().__init__(name)


class Shutter:
    """A device of no library."""

    name: str
    parent = None

    def __init__(self, name: str = "shutter") -> None:
        self.name = name

    def set(self, value: Any) -> Status:
        status = Status()
        status.set_finished()
        return status


class QtLike:
    """Has a name, and a method that is called as devices call an attribute."""

    name = "widget"

    def parent(self) -> None:
        return None


@pytest.mark.parametrize("device", [Stage("stage"), Device("group"), Shutter(), motor])
def test_devices_of_any_library_and_of_none(device: Any) -> None:
    assert is_device(device)
    assert is_device_instance(device)
    assert is_device_class(type(device))


@pytest.mark.parametrize("thing", [Stage, Shutter, "stage", 3, None, print, Path])
def test_what_is_no_device_by_any_meaning(thing: Any) -> None:
    assert not is_device(thing)
    assert not is_device_instance(thing)


def test_the_two_meanings_differ_in_what_only_looks_like_a_device() -> None:
    path, bag = Path("a/b"), SimpleNamespace(name="bag", parent=None)

    # A claim on one does no harm; among the attributes of a module it is not offered.
    assert is_device(path)
    assert is_device(bag)
    assert not is_device_instance(path)
    assert not is_device_instance(bag)


def test_a_chain_leads_from_the_device_to_what_contains_it() -> None:
    stage = Stage("stage")
    top = SimpleNamespace(name="top", parent=None)
    stage.parent = top  # type: ignore[assignment]

    assert device_chain(stage.x) == (id(stage.x), id(stage), id(top))


def test_a_chain_ends_where_it_bites_its_tail_and_at_methods() -> None:
    one, other = SimpleNamespace(name="one"), SimpleNamespace(name="other")
    one.parent, other.parent = other, one
    widget = QtLike()

    assert device_chain(one) == (id(one), id(other))
    assert device_chain(widget) == (id(widget),)
    assert device_chain(object())[1:] == ()


def test_children_by_name() -> None:
    stage = Stage("stage")

    assert device_children(stage) == {"x": stage.x}
    assert device_children(Shutter()) == {}
    assert device_children(None) == {}


def test_names() -> None:
    nameless = Shutter("")

    assert device_name(Shutter()) == "shutter"
    assert device_name(nameless) == repr(nameless)
    assert device_name(nameless, "a shutter") == "a shutter"
    assert quoted_name("pump") == quoted_name(Shutter("pump")) == "'pump'"
    assert quoted_name(nameless) == repr(nameless)


def test_one_device_is_taken_for_itself_even_if_it_can_be_iterated_over() -> None:
    class Pair(Shutter):
        def __iter__(self) -> Any:
            return iter(())

    pair, shutter = Pair(), Shutter()
    assert checked_devices(pair) == (pair,)
    assert checked_devices(iter([pair, shutter])) == (pair, shutter)


@pytest.mark.parametrize(
    ("wrong", "says"), [("stage", "not its name"), ([Shutter], "an instance of Shutter"), (3, "3")]
)
def test_what_is_no_device_is_refused_with_the_remedy(wrong: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        checked_devices(wrong)
