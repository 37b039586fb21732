"""What the reference says of errors and units, compared with the code.

As far as it can be read: an exception that a public function raises by name in its own body is in
its *Raises*, and a parameter that is a ``float`` says in which unit it is.
"""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import linecache
import re
import textwrap
from types import CodeType
from typing import TYPE_CHECKING, Any

from exported import functions

if TYPE_CHECKING:
    from collections.abc import Iterator

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@functools.cache
def found() -> list[tuple[str, Any, str]]:
    """Return what is public: looking for it imports all."""
    return list(functions())


def last_line(code: CodeType) -> int:
    """Return the last line of a function's code; those in it count."""
    inner = [last_line(each) for each in code.co_consts if isinstance(each, CodeType)]
    return max([end for _, end, _, _ in code.co_positions() if end] + inner)


def node_of(function: Any) -> ast.AST | None:
    """Return the syntax of a function that raises; to parse whole files would take longer."""
    code = function.__code__
    if not code.co_filename.endswith(".py"):
        return None  # made by another, as a dataclass's is
    lines = linecache.getlines(code.co_filename)[code.co_firstlineno - 1 : last_line(code)]
    text = textwrap.dedent("".join(lines))
    return ast.parse(text).body[0] if "raise " in text else None


def inside(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what a function does itself, and not what functions in it do."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (*FUNCTIONS, ast.Lambda, ast.ClassDef)):
            yield child
            yield from inside(child)


def raised(node: ast.AST) -> set[str]:
    """Return the exceptions that a function raises by their names."""
    names = set()
    for each in inside(node):
        if isinstance(each, ast.Raise) and each.exc is not None:
            what = each.exc.func if isinstance(each.exc, ast.Call) else each.exc
            name = ast.unparse(what).rpartition(".")[2]
            if re.fullmatch(r"[A-Z]\w+", name):
                names.add(name)
    return names - {"NotImplementedError", "StopIteration", "StopAsyncIteration"}


def section(text: str, title: str) -> str:
    """Return what stands in the sections of docstrings in numpydoc's manner."""
    parts = re.findall(rf"^{title}\n-+\n((?:(?!^\S.*\n-{{3,}}).*\n?)*)", text, re.MULTILINE)
    return "".join(parts)


@functools.cache
def texts() -> dict[str, str]:
    """Return the docstrings by the last part of their names."""
    several: dict[str, str] = {}
    for name, _, text in found():
        last = name.removesuffix(".__init__").rpartition(".")[2]
        several[last] = f"{several.get(last, '')}\n\n{text}"
    return several


def mentioned(text: str) -> str:
    """Return a docstring, with those of what it refers to."""
    names = set(re.findall(r"\b(?:[Ss]ee|[Aa]s|for|of)\s`(?:[\w.]+\.)?(\w+)`", text))
    return "\n\n".join([text, *(texts()[name] for name in names & texts().keys())])


def families(function: Any, names: set[str]) -> Iterator[tuple[str, set[str]]]:
    """Yield each of some exceptions with the names of what it is, too."""
    for name in names:
        kind = function.__globals__.get(name, getattr(builtins, name, None))
        bases = kind.__mro__[:-3] if inspect.isclass(kind) else ()  # not `Exception` itself
        yield name, {name, *(base.__name__ for base in bases)}


def test_what_is_raised_is_said() -> None:
    silent = {}
    for name, function, text in found():
        if node := node_of(function):
            said = re.findall(r"^([\w., ]+)$", section(mentioned(text), "Raises"), re.MULTILINE)
            told = {each.strip().rpartition(".")[2] for line in said for each in line.split(",")}
            if missing := {
                each for each, family in families(function, raised(node)) if not family & told
            }:
                silent[name] = missing
    assert silent == {}


UNIT = re.compile(
    r"\[[^\]]+\]|\b(?:[Ss]econds?|milliseconds|ms|Hz|pixels?|units?|bytes|turns|frames)\b"
    r"|[Ff]rom 0 |relative|How many times|[Ee]xponent"
)
NUMBER = re.compile(r"^(?:Annotated\[)?(?:int \| )?float\b")
WITHOUT = {"priority", "seconds"}  # has none; says it by its name


def test_what_is_a_float_says_its_unit() -> None:
    silent = [
        f"{name}({each.name})"
        for name, function, text in found()
        for each in inspect.signature(function).parameters.values()
        if NUMBER.search(str(each.annotation))
        and each.name not in WITHOUT
        and not UNIT.search(described(text, each.name))
    ]
    assert silent == []


def described(text: str, parameter: str) -> str:
    """Return what a docstring says of a parameter: its entry, else all of it."""
    entries = section(text, "Parameters")
    entry = re.search(
        rf"^(?:\S.*, )?\*?\*?{parameter}\b[^:\n]*(?::.*)?\n((?:(?: .*)?\n?)*)",
        entries,
        re.MULTILINE,
    )
    return entry[0] if entry else mentioned(text)
