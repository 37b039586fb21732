"""What is exported is what the reference documents, by the directives of its pages.

The build of the pages looks at the members of classes too, and warns of what has no entry.
"""

from __future__ import annotations

import importlib
import inspect
import re
import runpy
from pathlib import Path
from typing import Any

import freewheel
from exported import ENGINE, exported, public_modules
from freewheel.cli._registry import COMMANDS

PAGES = Path(__file__).parents[2] / "docs" / "reference"
TEXT = "\n".join(page.read_text() for page in PAGES.glob("*.md"))
DIRECTIVE = re.compile(
    r"^\.\. auto(?P<kind>\w+):: (?P<name>[\w.]+)\n(?P<options>(?: +:.*\n)*)", re.MULTILINE
)
DIRECTIVES = [
    (found["kind"], found["name"], found["options"]) for found in DIRECTIVE.finditer(TEXT)
]


def is_listed(value: Any) -> bool:
    """Tell whether autodoc lists a thing with its module: a constant needs a line of its own."""
    return inspect.isroutine(value) or inspect.isclass(value)


def documented() -> set[int]:
    """Return the identities of what has an entry."""
    found: set[int] = set()
    for kind, name, options in DIRECTIVES:
        if kind != "module":
            home, _, last = name.rpartition(".")
            if home.startswith("freewheel") and home.rpartition(".")[2].islower():
                found.add(id(getattr(importlib.import_module(home), last, None)))
            continue
        if ":members:" not in options or name == "freewheel.hosts.blueapi":
            continue
        module = importlib.import_module(name)
        left_out = re.search(r":exclude-members: (.*)", options)
        names = set(exported(module)) - set(left_out[1].split(", ") if left_out else ())
        assert names <= set(dir(module)), f"{name}: autodoc does not see {names - set(dir(module))}"
        found |= {id(value) for each in names if is_listed(value := getattr(module, each))}
    return found


def test_every_public_name_has_an_entry() -> None:
    entries = documented()
    missing = [
        f"{module.__name__}.{name}"
        for module in public_modules()
        for name in exported(module)
        if id(getattr(module, name)) not in entries
    ]
    assert missing == []
    assert f"py:data:: {ENGINE}\n" in TEXT
    assert "automodule:: freewheel.hosts.blueapi\n" in TEXT  # which has an environment of its own


def test_what_a_page_leaves_out_is_exported() -> None:
    """A name that was renamed or removed is not left standing in a page."""
    for _, name, options in DIRECTIVES:
        if left_out := re.search(r":exclude-members: (.*)", options):
            names = set(left_out[1].split(", "))
            assert names <= set(importlib.import_module(name).__all__), name


def members(cls: type) -> list[tuple[str, Any]]:
    found = []
    for name, value in vars(cls).items():
        inside = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        if not name.startswith("_") and (
            inspect.isfunction(inside) or isinstance(inside, property)
        ):
            found.append((name, inside))
    return found


def test_public_members_have_docstrings() -> None:
    without = [
        f"{module.__name__}.{cls.__name__}.{name}"
        for module in public_modules()
        for cls in (getattr(module, name) for name in exported(module))
        if inspect.isclass(cls) and cls.__module__.startswith("freewheel")
        for name, _ in members(cls)
        if not inspect.getdoc(getattr(cls, name))
    ]
    assert without == []


def test_the_names_that_an_engine_has_from_bluesky_are_listed() -> None:
    """All that stands on an engine is described as ours, or listed as bluesky's."""
    own = {
        name
        for cls in freewheel.RunEngine.__mro__
        if cls.__module__.startswith("freewheel")
        for name, _ in members(cls)
    }
    listed = set(re.findall(r"`RE\.(\w+)`", (PAGES / "engine.md").read_text()))
    public = {name for name in dir(freewheel.RunEngine) if not name.startswith("_")}
    text = inspect.getdoc(freewheel.RunEngine) or ""  # without the indent, which 3.13 keeps out
    described = set(re.findall(r"^(\w+) :", text, re.MULTILINE))
    assert public - own - listed - described == set()


def test_command_line_and_magics_are_made_from_the_code() -> None:
    made = runpy.run_path(str(PAGES.parent / "_ext" / "reference.py"))
    commands, magics = made["commands"](), made["magics"]()
    assert re.findall(r"^## freewheel (\w+)$", commands, re.MULTILINE) == list(COMMANDS)
    assert "| `--devices FILE.py or MODULE` |" in commands
    assert "Needs the extra `ipython`." in commands
    assert {"%fg", "%pause", "%queue", "%preview", "%stop_all"} <= set(
        re.findall(r"^## (%+\w+)$", magics, re.MULTILINE)
    )


def undescribed(name: str, function: Any) -> list[str]:
    """Return the parameters that a docstring says nothing of."""
    text = inspect.getdoc(function) or ""
    section = re.search(r"^Parameters\n-+\n((?:(?!^\S.*\n-{3,}).*\n?)*)", text, re.MULTILINE)
    lines = re.findall(r"^(\S.*)$", section[1] if section else "", re.MULTILINE)
    said = {
        each.strip().lstrip("*") for line in lines for each in line.partition(" : ")[0].split(",")
    }
    asked = [
        each.name
        for each in inspect.signature(function).parameters.values()
        # What is taken by any name is described name by name.
        if each.name not in ("self", "cls") and not (each.kind is each.VAR_KEYWORD and said)
    ]
    return [f"{name}({each})" for each in asked if each not in said]


def test_parameters_are_described_of_all_that_programs_begin_with() -> None:
    views = [getattr(freewheel.core, name) for name in freewheel.core.__all__ if "View" in name]
    missing = []
    for thing in (*(getattr(freewheel, name) for name in freewheel.__all__), *views):
        if inspect.isclass(thing) and thing.__module__.startswith("freewheel"):
            for name, member in members(thing):
                if inspect.isfunction(member):
                    missing += undescribed(f"{thing.__name__}.{name}", member)
        elif inspect.isfunction(thing):
            missing += undescribed(thing.__name__, thing)
    assert missing == []
