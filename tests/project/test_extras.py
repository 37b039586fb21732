"""That an extra brings all that is used with it: nobody notices where all are installed."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.servers

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]

# As if the packages were not there whose modules follow on the command line.
WITHOUT = """
import sys
class But:
    def __init__(self, finder, absent):
        self.finder, self.absent = finder, absent
    def find_spec(self, name, *rest):
        known = name.partition(".")[0] not in self.absent
        return self.finder.find_spec(name, *rest) if known else None
sys.meta_path[:] = [But(finder, frozenset(sys.argv[1:])) for finder in sys.meta_path]
from freewheel import RunEngine
"""
PROGRAMS = {
    "qt": """
from freewheel.forms import find_plans
from freewheel.qt import AcquisitionWindow, demo_plans
from freewheel.sim import microscope
from qtpy.QtWidgets import QApplication
app, scope = QApplication([]), microscope()
with RunEngine() as RE:
    AcquisitionWindow(RE, scope, find_plans([demo_plans], scope)).close()
""",
    "recording": """
from freewheel.recording import Recorder, read_runs
with RunEngine() as RE:
    RE.subscribe(Recorder("runs"), delivery="queued")
    RE([]).result()
list(read_runs("runs"))
""",
    "micromanager": """
from freewheel.micromanager import devices, load
devices(load()).close()
""",
    "remote": """
from freewheel.remote import EngineServer, TokenFile
with RunEngine() as RE, EngineServer(RE, devices={}, tokens=TokenFile("tokens"), port=0):
    pass
""",
    "ipython": """
from freewheel.cli import main
import freewheel.ipython
""",
}


def _own(extra: str) -> list[Requirement]:
    return [Requirement(each) for each in PROJECT["optional-dependencies"][extra]]


def brought_by(extra: str) -> set[str]:
    """Return the packages that come with an extra of ours, and with what it needs."""
    wanted = [*_own(extra), *map(Requirement, PROJECT["dependencies"])]
    found: set[tuple[str, str]] = set()
    while wanted:
        asked = wanted.pop()
        name = canonicalize_name(asked.name)
        if name == "freewheel":
            wanted += [each for further in asked.extras for each in _own(further)]
            continue
        for part in {"", *asked.extras} - {part for known, part in found if known == name}:
            found.add((name, part))
            wanted += [
                each
                for each in _required(name)
                if each.marker is None or each.marker.evaluate({"extra": part})
            ]
    return {name for name, _ in found}


def _required(name: str) -> list[Requirement]:
    try:
        return [Requirement(each) for each in requires(name) or []]
    except PackageNotFoundError:  # of another system, or another Python
        return []


@pytest.mark.parametrize("extra", PROGRAMS)
def test_an_extra_is_enough_for_what_it_is_for(extra: str, tmp_path: Path) -> None:
    there = brought_by(extra) | {"freewheel"}
    absent = [
        module
        for module, packages in packages_distributions().items()
        if there.isdisjoint(map(canonicalize_name, packages))
    ]
    assert "pytest" in absent
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT + PROGRAMS[extra], *absent],
        cwd=tmp_path,
        env={**os.environ, "QT_API": "pyside6"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
