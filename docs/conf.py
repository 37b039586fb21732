"""Configuration of Sphinx."""

from __future__ import annotations

from importlib.metadata import version as _version

project = "freewheel"
author = "The freewheel developers"
copyright = "The freewheel developers"
release = version = _version("freewheel")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "freewheel"
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3

autodoc_mock_imports = ["blueapi"]  # installed where its worker is tested, and nowhere else
autodoc_typehints = "none"  # numpydoc's sections say it
autodoc_member_order = "bysource"
autosummary_generate = False
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
default_role = "code"

suppress_warnings = ["misc.highlighting_failure"]  # an ellipsis stands for what is left out
