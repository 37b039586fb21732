"""Configuration of Sphinx."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version as _version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

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
    "reference",
    "searches",
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "freewheel"
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3

autodoc_mock_imports = ["blueapi"]  # installed where its worker is tested, and nowhere else
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 88
autodoc_member_order = "bysource"
autosummary_generate = False
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
default_role = "code"

suppress_warnings = ["misc.highlighting_failure"]  # an ellipsis stands for what is left out

# What other projects document is linked to where their inventories can be had. The gate builds
# without a network, and there the names stand without a link.
if os.environ.get("FREEWHEEL_DOCS_LINKS"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "bluesky": ("https://blueskyproject.io/bluesky/main", None),
        "event-model": ("https://blueskyproject.io/event-model/main", None),
        "ophyd-async": ("https://blueskyproject.io/ophyd-async/main", None),
        "psygnal": ("https://psygnal.readthedocs.io/en/latest", None),
    }
