"""The parts of the reference that are made from the code, and the check that it is whole.

A line ``<!-- generated: commands -->`` of a page becomes the command line's options,
``<!-- generated: magics -->`` the magics, and so on. What is exported and has no entry is a
warning, so that ``sphinx-build -W`` fails.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from typing import TYPE_CHECKING, Any

from sphinx.util import logging

import freewheel
from freewheel.core import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

GENERATED = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)
LOG = logging.getLogger(__name__)
ENGINE = "freewheel.hosts.queueserver.RE"  # looking at it makes an engine


def public_modules() -> Iterator[Any]:
    """Yield freewheel's modules that have names for users: none with an underscore is one."""
    yield freewheel
    for found in pkgutil.walk_packages(freewheel.__path__, "freewheel."):
        if "._" in found.name or found.name == "freewheel.__main__":
            continue
        try:
            module = importlib.import_module(found.name)
        except MissingExtraError:  # blueapi's has an environment of its own
            continue
        if getattr(module, "__all__", ()):
            yield module


def public_members(cls: type) -> Iterator[str]:
    """Yield a class's public methods and properties, those of private base classes too."""
    for name in dir(cls):
        if name.startswith("_"):
            continue
        owner = next(base for base in cls.__mro__ if name in vars(base))
        value = inspect.getattr_static(cls, name)
        if owner.__module__.startswith("freewheel") and (
            inspect.isfunction(value) or isinstance(value, (property, classmethod, staticmethod))
        ):
            yield name


def commands() -> str:
    """Return the command line in Markdown: each sub-command with arguments and options."""
    import click
    from typer.main import get_command

    from freewheel.cli._app import _app
    from freewheel.cli._registry import COMMANDS

    parts = []
    for name, entry in COMMANDS.items():
        command: Any = get_command(_app([name])).commands[name]
        with click.Context(command, info_name=f"freewheel {name}") as context:
            usage = " ".join(command.collect_usage_pieces(context))
            rows = [
                record
                for parameter in command.get_params(context)
                if (record := parameter.get_help_record(context)) is not None
            ]
        needs = f"\n\nNeeds the extra `{entry.extra}`." if entry.extra else ""
        help_text = inspect.cleandoc(command.help or entry.summary).replace("\b\n", "")
        parts.append(
            f"## freewheel {name}\n\n{help_text}{needs}\n\n"
            f"```text\nfreewheel {name} {usage}\n```\n\n" + _table("option", rows)
        )
    return "\n\n".join(parts)


def magics() -> str:
    """Return the magics in Markdown, in the order of their names."""
    from IPython.core.magic import Magics

    found = {}
    for part in pkgutil.iter_modules(importlib.import_module("freewheel.ipython").__path__):
        module = importlib.import_module(f"freewheel.ipython.{part.name}")
        for cls in vars(module).values():
            if isinstance(cls, type) and issubclass(cls, Magics) and cls is not Magics:
                for kind, sign in (("line", "%"), ("cell", "%%")):
                    for name, method in cls.magics.get(kind, {}).items():
                        function = getattr(cls, method) if isinstance(method, str) else method
                        found[f"{sign}{name}"] = inspect.getdoc(function) or ""
    return "\n\n".join(
        f"## {name}\n\n{text.replace('``', '`')}" for name, text in sorted(found.items())
    )


def rows_of_widgets() -> str:
    """Return entries for what widgets have from private base classes, in reStructuredText.

    ``:inherited-members:`` would look at each of the hundreds of members that Qt's classes have.
    """
    module = importlib.import_module("freewheel.qt")
    entries = []
    for name in module.__all__:
        cls = getattr(module, name)
        for member in public_members(cls) if inspect.isclass(cls) else ():
            owner = next(base for base in cls.__mro__ if member in vars(base))
            if owner is not cls and owner.__name__ not in module.__all__:
                is_property = isinstance(inspect.getattr_static(cls, member), property)
                kind = "autoproperty" if is_property else "automethod"
                entries.append(f".. {kind}:: freewheel.qt.{name}.{member}")
    return "```{eval-rst}\n" + "\n\n".join(entries) + "\n```"


def _table(title: str, rows: list[tuple[str, str]]) -> str:
    def cell(text: str) -> str:
        return re.sub(r"\s+", " ", text).replace("|", r"\|").replace("<", r"\<")

    lines = [f"| {title} | |", "|---|---|"]
    lines += [f"| `{left.replace('|', ' or ')}` | {cell(right)} |" for left, right in rows]
    return "\n".join(lines)


MAKERS: dict[str, Callable[[], str]] = {
    "commands": commands,
    "magics": magics,
    "widgets": rows_of_widgets,
}


def fill_in(app: Sphinx, page: str, source: list[str]) -> None:
    """Put what is generated into a page that Sphinx has read."""
    source[0] = GENERATED.sub(lambda found: MAKERS[found[1]](), source[0])


def missing(objects: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is exported, and public members of exported classes, that have no entry."""
    by_place: dict[tuple[str, str], set[str]] = {}
    for name, entry in objects.items():
        by_place.setdefault((entry.docname, entry.node_id), set()).add(name)
    exported = [
        (full, getattr(module, name))
        for module in public_modules()
        for name in module.__all__
        if (full := f"{module.__name__}.{name}") != ENGINE
    ]
    names: dict[int, set[str]] = {}  # of the same thing, wherever it is exported
    for name, value in exported:
        if name in objects:
            same = by_place[objects[name].docname, objects[name].node_id]
            names.setdefault(id(value), set()).update(same)
    for name, value in exported:
        entries = names.get(id(value), set())
        if not entries:
            yield name
        elif inspect.isclass(value) and value.__module__.startswith("freewheel"):
            bases = {each for base in value.__mro__ for each in names.get(id(base), ())}
            for member in public_members(value):
                if not {f"{entry}.{member}" for entry in bases} & objects.keys():
                    yield f"{name}.{member}"


def check(app: Sphinx, environment: BuildEnvironment) -> None:
    """Warn of each public name without an entry in the reference."""
    if app.builder.name != "html":
        return
    for name in missing(environment.domaindata["py"]["objects"]):
        LOG.warning("%s is public and has no entry in docs/reference", name)


def skip(app: Sphinx, what: str, name: str, value: Any, skipped: bool, options: Any) -> bool | None:
    """Leave out what a class has from those of other projects; leave the rest to autodoc."""
    if what not in ("class", "exception") or name == "__call__":
        return None
    inside = getattr(value, "fget", None) or getattr(value, "__func__", value)
    owner = getattr(inside, "__objclass__", None) or inside
    if isinstance(getattr(inside, "__self__", None), type):  # a class method
        owner = inside.__self__
    module = getattr(owner, "__module__", None)
    foreign = callable(inside) and not str(module).startswith("freewheel")
    return True if foreign else None


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx of it."""
    app.connect("source-read", fill_in)
    app.connect("autodoc-skip-member", skip)
    app.connect("env-check-consistency", check)
    return {"version": "1", "parallel_read_safe": True}
