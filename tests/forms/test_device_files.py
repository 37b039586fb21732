"""Devices of modules and files."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from freewheel.forms import find_devices

DEVICE = """
from __future__ import annotations

class Motor:
    parent = None
    def __init__(self, name=""):
        self.name = name
    def set_name(self, name):
        self.name = name
    def read(self): ...
    def describe(self): ...
"""


def write(folder: Path, text: str, name: str = "lab.py") -> Path:
    file = folder / name
    file.write_text(DEVICE + text)
    return file


def test_attributes_are_devices_and_get_their_names(tmp_path: Path) -> None:
    text = "theta = Motor()\nphi = Motor('roll')\n_spare = Motor()\nnumber = 3\n"
    text += "from pathlib import Path\nwhere = Path('/tmp/a')\n"
    found = find_devices(write(tmp_path, text))
    assert {name: device.name for name, device in found.items()} == {
        "theta": "theta",
        "phi": "roll",
    }


@pytest.mark.parametrize("made", ["{'theta': Motor()}", "[Motor('theta')]", "Motor('theta')"])
def test_a_function_may_return_them(tmp_path: Path, made: str) -> None:
    found = find_devices(
        str(write(tmp_path, f"other = Motor()\ndef devices():\n    return {made}"))
    )
    if made.startswith("Motor"):
        assert [device.name for device in found.values()] == ["theta"]
    else:
        assert [(name, device.name) for name, device in found.items()] == [("theta", "theta")]


def test_a_module_is_found_by_its_name(tmp_path: Path, monkeypatch: Any) -> None:
    write(tmp_path, "theta = Motor()", "lab_of_mine.py")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert list(find_devices("lab_of_mine")) == ["theta"]
    assert list(find_devices(sys.modules.pop("lab_of_mine"))) == ["theta"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no devices"),
        ("def devices(): return {}", "has no devices"),
        ("def devices(): return {'a': 3}", "3, which is no device"),
        ("def devices(): return None", "None, which is no device"),
        ("def devices(): return [Motor(), Motor()]", "without names"),
        ("def devices(): return [Motor('a'), Motor('a')]", "of one name"),
    ],
)
def test_what_is_no_device_is_refused_with_the_remedy(
    tmp_path: Path, text: str, words: str
) -> None:
    file = write(tmp_path, text)
    with pytest.raises(ValueError, match=words) as raised:
        find_devices(file)
    assert str(file) in str(raised.value)


@pytest.mark.parametrize("source", ["nothing.py", "no_such_module", "no/such/folder"])
def test_what_is_not_there_is_named(source: str) -> None:
    with pytest.raises(FileNotFoundError, match=source):
        find_devices(source)


def test_errors_of_the_file_are_its_own(tmp_path: Path, monkeypatch: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        find_devices(write(tmp_path, "1 / 0"))
    with pytest.raises(SyntaxError):
        find_devices(write(tmp_path, "x = ("))
    write(tmp_path, "import no_such_driver", "needs_a_driver.py")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="no_such_driver"):
        find_devices("needs_a_driver")


def test_a_module_object_will_do() -> None:
    module = ModuleType("bench")
    exec(DEVICE + "theta = Motor()", vars(module))
    assert list(find_devices(module)) == ["theta"]
