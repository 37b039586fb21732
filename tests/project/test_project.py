"""What maintainers are told is true: where things are, and which version this is."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import freewheel

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "freewheel"
MAP = (ROOT / "docs" / "project" / "module-map.md").read_text()


def test_the_module_map_names_what_exists() -> None:
    paths = re.findall(r"`((?:\w+/)+(?:\w+\.py)?)`", MAP)
    assert len(paths) > 30
    assert [path for path in paths if not (SOURCE / path).exists()] == []


def test_the_module_map_names_every_package() -> None:
    packages = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    assert packages - set(re.findall(r"`(\w+)`", MAP)) == set()


@pytest.mark.parametrize(
    ("file", "where"),
    [
        ("CITATION.cff", r'^version: "?([\d.]+)"?$'),
        ("packaging/conda/recipe.yaml", r'^  version: "([\d.]+)"$'),
        ("CHANGELOG.md", r"^## ([\d.]+) - \d{4}-\d\d-\d\d$"),
    ],
)
def test_the_version_is_the_same_everywhere(file: str, where: str) -> None:
    found = re.search(where, (ROOT / file).read_text(), re.MULTILINE)
    assert found is not None
    assert found[1] == freewheel.__version__


def plain(requirement: str) -> str:
    return re.sub(r"[\s_]", "-", requirement.replace(" ", "")).lower()


def test_the_recipe_for_conda_asks_for_what_the_package_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    recipe = (ROOT / "packaging" / "conda" / "recipe.yaml").read_text()
    run = recipe.partition("  run:\n")[2].partition("\n\n")[0]
    asked = {plain(each.replace("bluesky-base", "bluesky")) for each in re.findall(r"- (.+)", run)}
    assert asked == {plain(each) for each in project["dependencies"]} | {"python>=${{python-min}}"}
    assert f'python_min: "{project["requires-python"].removeprefix(">=")}"' in recipe


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CODE_OF_CONDUCT.md"])
def test_links_of_pages_that_are_not_built_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / page).read_text())
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_installation_names_every_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed = set(re.findall(r"`([\w-]+)`", (ROOT / "docs" / "installation.md").read_text()))
    assert set(project["optional-dependencies"]) - listed == {"others"}  # of other projects
