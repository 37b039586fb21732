"""Texts for tooltips, out of a plan's docstring."""

from __future__ import annotations

import docstring_parser

__all__ = ["parameter_docs"]


def parameter_docs(docstring: str) -> dict[str, str]:
    """Return what a docstring says of each parameter.

    Parameters
    ----------
    docstring
        A dedented docstring: numpydoc, or any other style that ``docstring_parser`` knows.

    Returns
    -------
    dict of str to str
        By parameter name, without asterisks; empty if the docstring can't be parsed. Entries
        for several parameters, such as ``start, stop : float``, count for each of them.
    """
    if not docstring:
        return {}
    style = docstring_parser.DocstringStyle.NUMPYDOC
    try:
        parsed = docstring_parser.parse(docstring, style)
        if not parsed.params:
            parsed = docstring_parser.parse(docstring)
    except docstring_parser.ParseError:
        return {}
    return {
        name.strip().lstrip("*\\"): " ".join((param.description or "").split())
        for param in parsed.params
        for name in param.arg_name.split(",")
    }
