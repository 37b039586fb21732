"""What the walks through the engine name exists, where they say that it is."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import freewheel

SOURCE = Path(freewheel.__file__).parent
PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "engine.md"
NAMED = re.compile(r"`([\w/]+\.py)` ·\s+`([\w.]+)`")
PATH = re.compile(r"`((?:core|engine|background)/[\w/]+\.py)`")


def walks() -> str:
    return PAGE.read_text().partition("## Six walks")[2]


def names_in(node: ast.AST) -> dict[str, ast.AST]:
    """Return what a module or class defines, by name."""
    found: dict[str, ast.AST] = {}
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found[child.name] = child
        elif isinstance(child, ast.Assign):
            found.update({each.id: child for each in child.targets if isinstance(each, ast.Name)})
        elif isinstance(child, ast.AnnAssign) and isinstance(child.target, ast.Name):
            found[child.target.id] = child
    return found


@pytest.mark.parametrize(("path", "name"), sorted(set(NAMED.findall(walks()))))
def test_a_name_of_the_walks_is_defined_there(path: str, name: str) -> None:
    node: ast.AST = ast.parse((SOURCE / path).read_text())
    for part in name.split("."):
        defined = names_in(node)
        assert part in defined, f"{path} has no {name}; it has {sorted(defined)}"
        node = defined[part]


def test_the_paths_exist_and_there_are_six_walks() -> None:
    assert len(re.findall("^### ", walks(), re.MULTILINE)) == 6
    for path in set(PATH.findall(walks())):
        assert (SOURCE / path).is_file(), path
