"""What Tab completes behind our magics: names of actions and tasks, and nothing else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from IPython.core.completer import SimpleCompletion, context_matcher

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._jobs import Jobs

__all__ = ["magic_matcher"]

_LINE: Final = re.compile(r"\s*%?(\w+)\s")


def magic_matcher(jobs: Jobs) -> Callable[[Any], Any]:
    """Return a matcher for IPython's completer.

    Unlike a ``complete_command`` hook it can say that nobody else is to add anything: names and
    keywords of Python make no sense there.
    """

    def match(context: Any) -> Mapping[str, Any]:
        line = context.line_with_cursor[: context.cursor_position]
        found = _LINE.match(line)
        names = None if found is None else _names(jobs, found[1], line)
        if names is None:
            return {"completions": []}
        token = context.token
        chosen = [SimpleCompletion(text=name, type="name") for name in names]
        chosen = [each for each in chosen if each.text.startswith(token)]
        return {"completions": chosen, "suppress": True, "matched_fragment": token}

    matcher: Callable[[Any], Any] = context_matcher()(match)
    return matcher


def _names(jobs: Jobs, magic: str, line: str) -> list[str] | None:
    """Return what may stand behind a magic; ``None`` for one that is not ours."""
    engine = jobs.peek()
    if magic == "freewheel":
        words = line.split()
        if "use" in words[1:]:
            return list(jobs.engines())
        return list(jobs.failures) if "traceback" in words[1:] else ["use", "traceback"]
    if engine is None:
        return None
    if magic == "action":
        return sorted(engine.pending_actions)
    if magic in ("fg", "stop", "pause", "resume"):
        return sorted({task.name for task in engine.background.running})
    return None
