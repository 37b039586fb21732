"""The private names of bluesky's that are used: listed, there, and nowhere else."""

from __future__ import annotations

import ast
import importlib
import inspect
import textwrap
from pathlib import Path
from typing import Any

import bluesky.bundlers
import bluesky.run_engine
import bluesky.utils
import pytest

import freewheel
from freewheel.engine._bluesky._names import PRIVATE_NAMES, PrivateName

SOURCE = Path(freewheel.__file__).parent
FENCE = SOURCE / "engine" / "_bluesky"
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# What stands for an object of bluesky's in the modules of the fence.
THEIRS = ("engine", "bluesky_run_engine", "probe")


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def private_names_of(*modules: Any) -> set[str]:
    """Everything of modules that begins with one underscore: attributes and functions."""
    names = set()
    for module in modules:
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self":
                names.add(node.attr)
            elif isinstance(node, FUNCTIONS):
                names.add(node.name)
            elif isinstance(node, ast.ClassDef):
                names |= {
                    target.id
                    for each in node.body
                    if isinstance(each, ast.Assign)
                    for target in each.targets
                    if isinstance(target, ast.Name)
                }
    return {name for name in names if private(name)}


BLUESKYS = private_names_of(bluesky.run_engine, bluesky.bundlers, bluesky.utils)


def heirs(tree: ast.Module) -> list[ast.ClassDef]:
    """The classes that inherit from one of bluesky's."""
    bases = ("_Base", "RunBundler", "_Registry", "_Dispatcher", "ComposeEvent", "BlueskyEngine")
    bases += ("EngineBase",)
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and any(ast.unparse(b) in bases for b in node.bases)
    ]


def inherited_names(tree: ast.Module) -> set[str]:
    """The private names of bluesky's that its heirs use of themselves, or replace."""
    used = set()
    for heir in heirs(tree):
        for node in ast.walk(heir):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in (
                "self",
                "super()",
                "_bluesky(super())",
            ):
                used.add(node.attr)
        used |= {node.name for node in heir.body if isinstance(node, FUNCTIONS)}
    return used & BLUESKYS


def names_of_others(tree: ast.Module) -> set[str]:
    """The private names of bluesky's that are used of its objects."""
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr in BLUESKYS
        and ast.unparse(node.value).rsplit(".", 1)[-1] in THEIRS
    }


def test_what_is_used_is_listed_and_what_is_listed_is_used() -> None:
    # Of a plan, in the constructor that takes the place of bluesky's: core/_call_sites.py.
    used = {"_iter", "_stack"}
    for path in FENCE.glob("*.py"):
        tree = ast.parse(path.read_text())
        used |= inherited_names(tree) | names_of_others(tree)
    assert used == {each.name for each in PRIVATE_NAMES}


def test_the_list_is_short() -> None:
    assert len(PRIVATE_NAMES) <= 45
    assert all(each.why for each in PRIVATE_NAMES)


def owner_of(entry: PrivateName) -> Any:
    module, _, name = entry.owner.partition(":")
    found = importlib.import_module(module)
    return getattr(found, name) if name else found


@pytest.fixture(scope="module")
def made() -> dict[Any, set[str]]:
    """The attributes that instances of bluesky's classes have, by class."""
    return {
        kind: {
            node.attr
            for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(kind))))
            if isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and ast.unparse(node.value) == "self"
        }
        for kind in {owner_of(entry) for entry in PRIVATE_NAMES if not entry.owner.endswith(":")}
    }


@pytest.mark.parametrize("entry", PRIVATE_NAMES, ids=lambda entry: entry.name)
def test_bluesky_has_it(entry: PrivateName, made: dict[Any, set[str]]) -> None:
    owner = owner_of(entry)
    assert hasattr(owner, entry.name) or entry.name in made[owner], entry.why
    if entry.parameters is not None:
        parameters = inspect.signature(getattr(owner, entry.name)).parameters
        assert tuple(parameters) == entry.parameters


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
    culprits = {
        str(path.relative_to(SOURCE)): found
        for path in SOURCE.rglob("*.py")
        if FENCE not in path.parents and (found := imports_of_private_names(path))
    }
    assert culprits == {}


def test_only_one_package_touches_private_names_of_bluesky() -> None:
    culprits = {}
    for path in SOURCE.rglob("*.py"):
        if FENCE in path.parents:
            continue
        tree = ast.parse(path.read_text())
        if touched := sorted(inherited_names(tree)):
            culprits[str(path.relative_to(SOURCE))] = touched
    assert culprits == {}
