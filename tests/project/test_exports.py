"""What the packages export, what they load, and who touches bluesky's private names."""

from __future__ import annotations

import ast
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
from freewheel import *
print(RunEngineResult.__name__)
"""
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert answer.stdout.split() == (
        ["False", "False", "SRLatch", "False", "True", "RunEngineResult"]
    )


def test_what_a_package_does_not_have_is_said() -> None:
    assert set(freewheel.__all__) < set(dir(freewheel))
    with pytest.raises(AttributeError, match="module 'freewheel' has no attribute 'RunEngin'"):
        freewheel.RunEngin  # noqa: B018
    with pytest.raises(ImportError, match="RunEngin"):
        from freewheel import RunEngin  # noqa: F401


def bluesky_private_names() -> set[str]:
    """The attributes and methods of bluesky's engine that begin with one underscore."""
    tree = ast.parse(inspect.getsource(bluesky.run_engine))
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
    }


def imports_of_private_names(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if (
            isinstance(node, ast.ImportFrom)
            and node.level == 0
            and (node.module or "").split(".")[0] == "bluesky"
        ):
            names = [alias.name for alias in node.names]
            found += [f"{node.module}.{name}" for name in names if name.startswith("_")]
            if any(part.startswith("_") for part in (node.module or "").split(".")):
                found.append(node.module or "")
    return found


def test_only_one_package_imports_private_names_of_bluesky() -> None:
    ours = SOURCE / "engine" / "_bluesky"
    culprits = {
        str(path.relative_to(SOURCE)): found
        for path in SOURCE.rglob("*.py")
        if ours not in path.parents and (found := imports_of_private_names(path))
    }
    assert culprits == {}


FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

# Names of bluesky's engine that the modules outside engine/_bluesky may use: the state's
# lock and word, which are documented there, and the switch that bluesky's users know.
ALLOWED = {"_state", "_state_lock", "_loop", "_th", "_call_returns_result"}


def test_only_one_package_touches_private_attributes_of_bluesky() -> None:
    private = bluesky_private_names() - ALLOWED
    ours = SOURCE / "engine" / "_bluesky"
    own: dict[str, set[str]] = {}
    culprits: dict[str, list[str]] = {}
    for path in (SOURCE / "engine").glob("*.py"):
        tree = ast.parse(path.read_text())
        own[path.name] = {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        } | {node.name for node in ast.walk(tree) if isinstance(node, FUNCTIONS)}
        touched = sorted(
            {
                node.attr
                for node in ast.walk(tree)
                if isinstance(node, ast.Attribute)
                and isinstance(node.ctx, ast.Load)
                and node.attr in private
            }
            - own[path.name]
        )
        if touched:
            culprits[path.name] = touched
    assert ours.is_dir()
    assert culprits == {}


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
