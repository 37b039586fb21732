"""What the packages export, what they load, and who touches bluesky's private names."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import bluesky.run_engine
import pytest

import freewheel

SOURCE = Path(freewheel.__file__).parent
OPTIONAL = {"qt", "ipython", "cli"}  # need an extra, or a terminal
PACKAGES = ["freewheel"] + [
    f"freewheel.{module.name}"
    for module in pkgutil.iter_modules(freewheel.__path__)
    if module.ispkg and not module.name.startswith("_")
]


# What guards the import of an extra, and the two names that IPython looks for.
HOOKS = {"MissingExtraError", "load_ipython_extension", "unload_ipython_extension"}


@pytest.mark.parametrize("name", PACKAGES)
def test_what_a_package_exports_is_what_it_says(name: str) -> None:
    if name.removeprefix("freewheel.") in OPTIONAL:
        pytest.importorskip("qtpy")
    package = importlib.import_module(name)
    exported = package.__all__
    assert len(exported) == len(set(exported))
    for attribute in exported:
        assert hasattr(package, attribute), f"{name}.__all__ names {attribute!r}"
    public = {
        attribute
        for attribute, value in vars(package).items()
        if not attribute.startswith("_")
        and not inspect.ismodule(value)
        and str(getattr(value, "__module__", "")).startswith("freewheel")
        and attribute not in HOOKS
    }
    assert public <= set(exported), public - set(exported)


@pytest.mark.parametrize("name", PACKAGES)
def test_what_is_public_has_a_docstring(name: str) -> None:
    package = importlib.import_module(name)
    without = [
        attribute
        for attribute in package.__all__
        if (inspect.isclass(value := getattr(package, attribute)) or inspect.isfunction(value))
        and not inspect.getdoc(value)
    ]
    assert not without


def test_import_freewheel_loads_nothing_optional() -> None:
    script = """
import sys, freewheel
optional = ["ophyd_async", "ophyd", "IPython", "h5py", "tiled", "trio", "qtpy", "PySide6", "PyQt6",
            "pyqtgraph", "matplotlib", "zarr", "magicgui", "superqt", "typer"]
print(",".join(name for name in optional if name in sys.modules))
"""
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert answer.stdout.strip() == ""


def test_import_freewheel_waits_with_bluesky_until_it_is_needed() -> None:
    script = """
import sys, freewheel
print("bluesky" in sys.modules, "numpy" in sys.modules)
print(freewheel.SRLatch.__name__, "freewheel.engine" in sys.modules)
print(freewheel.engine.RunEngine is freewheel.RunEngine)
rare = ["core._view", "core._pacer", "core._cache", "engine._blocking", "engine.commands._pace",
        "engine.commands._tasks", "engine.commands._wait_any", "engine.commands._caches",
        "engine.commands._uninterrupted"]
print(sum("freewheel." + name in sys.modules for name in rare))
from freewheel import *
print(RunEngineResult.__name__)
"""
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert answer.stdout.split() == (
        ["False", "False", "SRLatch", "False", "True", "0", "RunEngineResult"]
    )


def test_what_a_package_does_not_have_is_said() -> None:
    assert set(freewheel.__all__) < set(dir(freewheel))
    with pytest.raises(AttributeError, match="module 'freewheel' has no attribute 'RunEngin'"):
        freewheel.RunEngin  # noqa: B018
    with pytest.raises(ImportError, match="RunEngin"):
        from freewheel import RunEngin  # noqa: F401


def test_no_private_method_of_bluesky_is_replaced_by_accident() -> None:
    """A method of ours that has a bluesky name by chance breaks a command, as `_prepare` did."""
    from freewheel import RunEngine

    base = bluesky.run_engine.RunEngine
    own = [cls for cls in RunEngine.__mro__ if cls.__module__.startswith("freewheel")]
    replaced = {
        name
        for cls in own
        for name, value in vars(cls).items()
        if name.startswith("_")
        and not name.startswith("__")
        and hasattr(base, name)
        and inspect.isfunction(value)
    }
    commands = {name for name in replaced if _takes_a_message(getattr(base, name))}
    for name in commands:
        method = getattr(RunEngine, name)
        assert "msg" in inspect.signature(method).parameters, name


def _takes_a_message(method: object) -> bool:
    return callable(method) and list(inspect.signature(method).parameters)[:2] == ["self", "msg"]
