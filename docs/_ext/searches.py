"""The check that the search box finds what newcomers look for.

It asks the index that the search box asks, in the same way: a page is found that has all words,
by their stems, in its text or its titles.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sphinx.errors import ExtensionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sphinx.application import Sphinx

SEARCHES = {
    "pause": "how-to/run-plans",
    "own device": "tutorials/own-devices",
    "EPICS": "how-to/epics",
    "queueserver": "how-to/queueserver",
    "Micro-Manager": "how-to/micro-manager",
    "claims": "explanation/claims",
    "token": "explanation/security",
}


def found(index: Mapping[str, Any], words: list[str]) -> set[str]:
    """Return the pages that have all words."""
    pages = [
        {
            index["docnames"][number]
            for part in ("terms", "titleterms")
            for number in _numbers(index[part].get(word, []))
        }
        for word in words
    ]
    return set.intersection(*pages)


def _numbers(entry: int | list[int]) -> list[int]:
    return [entry] if isinstance(entry, int) else entry


def missed(index: Mapping[str, Any], words_of: Callable[[str], list[str]]) -> list[str]:
    """Return what is searched for in vain."""
    return [
        f"{text!r} does not find {page}"
        for text, page in SEARCHES.items()
        if page not in found(index, words_of(text))
    ]


def check(app: Sphinx, error: Exception | None) -> None:
    """Fail the build if one of the searches finds not its page."""
    indexer = getattr(app.builder, "indexer", None)
    if error is not None or app.builder.name != "html" or indexer is None:
        return
    text = Path(app.outdir, "searchindex.js").read_text("utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").rstrip().rstrip(";").removesuffix(")"))

    def words_of(query: str) -> list[str]:
        words = indexer.lang.split(query.lower())
        return [indexer.lang.stem(word) for word in words if indexer.lang.word_filter(word)]

    if in_vain := missed(index, words_of):
        raise ExtensionError(f"The search box fails: {'; '.join(in_vain)}")


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx of it."""
    app.connect("build-finished", check)
    return {"version": "1", "parallel_read_safe": True}
