"""Configuration files that load, and those that do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pymmcore_plus import CMMCorePlus

from freewheel.micromanager import ConfigurationFileError, devices, load

if TYPE_CHECKING:
    from pathlib import Path

SMALL = """\
# a camera and nothing else
Property,Core,Initialize,0
Device,Cam,DemoCamera,DCam
Property,Core,Initialize,1
Property,Core,Camera,Cam
Property,Cam,PixelType,16bit
"""


def test_the_demo_configuration_is_the_default():
    core = load()
    assert "White Light Shutter" in core.getLoadedDevices()
    core.unloadAllDevices()


def test_a_file_of_ones_own(tmp_path: Path):
    file = tmp_path / "small.cfg"
    file.write_text(SMALL)
    core = load(file)
    found = devices(core)
    assert list(found) == ["cam", "core"]
    assert found.camera is found["cam"]
    assert found.xy is None
    assert found.mda_devices().xy is None
    core.unloadAllDevices()


def test_without_a_camera_there_is_no_mda(tmp_path: Path):
    file = tmp_path / "none.cfg"
    file.write_text("Property,Core,Initialize,1\n")
    found = devices(load(file))
    assert found.camera is None
    with pytest.raises(ValueError, match="has no camera"):
        found.mda_devices()


def test_a_file_that_is_not_there(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"no Micro-Manager configuration .*nope\.cfg"):
        load(tmp_path / "nope.cfg")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Property,Cam,Binning,7", 'Cannot set property "Binning" to "7"'),
        ("Property,Cam,Nope,7", "Invalid property name"),
        ("Property,Other,Binning,7", 'No device with label "Other"'),
        ("Device,Cam,DemoCamera,DCam", "already in use"),
    ],
)
def test_a_line_that_fails_is_named(tmp_path: Path, line: str, said: str):
    file = tmp_path / "bad.cfg"
    file.write_text(SMALL + line + "\n")
    core = CMMCorePlus()
    with pytest.raises(ConfigurationFileError) as caught:
        load(file, core=core)
    assert (caught.value.line, caught.value.text) == (7, line)
    assert str(caught.value).startswith(f"{file}:7: {line}\n")
    assert said in str(caught.value)
    assert list(core.getLoadedDevices()) == ["Core"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", ""),
        (b"# only a comment\n\x00\xff\xfe\n", ":2: \x00��"),
        (b'{"channels": ["DAPI"]}\n', ':1: {"channels": ["DAPI"]}'),
    ],
)
def test_a_file_that_is_no_configuration(tmp_path: Path, content: bytes, said: str):
    file = tmp_path / "other.cfg"
    file.write_bytes(content)
    core = load()
    with pytest.raises(ConfigurationFileError) as caught:
        load(file, core=core)
    assert str(caught.value).startswith(f"{file}{said}\n")
    assert "it has no line that loads a device or sets a property" in str(caught.value)
    assert core.getCameraDevice() == "Camera"  # what was loaded before is there still
    core.unloadAllDevices()


def test_an_adapter_that_is_missing_is_named_with_those_there(tmp_path: Path):
    file = tmp_path / "bad.cfg"
    file.write_text("Device,Cam,Hamamatsu,HCam\n" + SMALL)
    with pytest.raises(ConfigurationFileError) as caught:
        load(file)
    assert caught.value.line == 1
    assert '"Hamamatsu"' in str(caught.value)
    assert "The device adapters here are: " in str(caught.value)
    assert "DemoCamera" in str(caught.value)
