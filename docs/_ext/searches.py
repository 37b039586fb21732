"""The check that the search box finds what newcomers look for, before anything else.

Pages name such words with `{index} ! word`: a word that is typed as it stands there has the highest
score that the search box gives. With it come the terms of the glossary, and so more than three are
too many.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sphinx.errors import ExtensionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sphinx.application import Sphinx

SEARCHES = {
    "abort": "how-to/run-plans",
    "asyncio": "how-to/embed",
    "callback": "how-to/callbacks",
    "camera": "how-to/live-view",
    "claims": "explanation/claims",
    "conda": "installation",
    "ctrl-c": "how-to/ipython",
    "epics": "how-to/epics",
    "error": "troubleshooting",
    "hang": "how-to/debug",
    "hdf5": "how-to/record-and-replay",
    "image": "how-to/qt",
    "install": "installation",
    "jupyter": "how-to/embed",
    "live": "how-to/live-view",
    "metadata": "how-to/metadata",
    "micro-manager": "how-to/micro-manager",
    "motor": "tutorials/own-devices",
    "napari": "how-to/qt-programs",
    "own device": "tutorials/own-devices",
    "pause": "how-to/run-plans",
    "plot": "how-to/callbacks",
    "queueserver": "how-to/queueserver",
    "save data": "how-to/record-and-replay",
    "simulate": "how-to/simulate",
    "slow": "how-to/speed",
    "stop": "how-to/run-plans",
    "tango": "how-to/tango",
    "test": "how-to/test-your-plans",
    "thread": "explanation/threads",
    "tiled": "how-to/tiled",
    "token": "explanation/security",
    "widget": "how-to/qt",
    "window": "how-to/qt",
    "windows": "project/platforms",
}
FIRST = 3


def found(index: Mapping[str, Any], text: str) -> list[str]:
    """Return the pages that name a word, which are those that are listed first."""
    return [
        index["docnames"][number]
        for entry, places in index["indexentries"].items()
        if entry.lower() == text
        for number, _, is_main in places
        if is_main
    ]


def missed(index: Mapping[str, Any]) -> list[str]:
    """Return what is searched for in vain."""
    return [
        f"{text!r} finds {pages or 'nothing'} first, and not {page}"
        for text, page in SEARCHES.items()
        if page not in (pages := found(index, text)) or len(pages) > FIRST
    ]


def check(app: Sphinx, error: Exception | None) -> None:
    """Fail the build if one of the searches does not find its page."""
    if error is not None or app.builder.name != "html":
        return
    text = Path(app.outdir, "searchindex.js").read_text("utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").rstrip().rstrip(";").removesuffix(")"))
    if in_vain := missed(index):
        raise ExtensionError(f"The search box fails: {'; '.join(in_vain)}")


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx of it."""
    app.connect("build-finished", check)
    return {"version": "1", "parallel_read_safe": True}
