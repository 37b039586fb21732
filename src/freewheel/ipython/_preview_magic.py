"""The magic that says what a plan will do."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_magic, magics_class

from freewheel.core import PlanCall

from ._magics import say

if TYPE_CHECKING:
    from freewheel.previews import Preview

    from ._jobs import Jobs

__all__ = ["PreviewMagic"]


@magics_class
class PreviewMagic(Magics):
    """``%preview``.

    Parameters
    ----------
    shell : InteractiveShell
        The shell.
    jobs : Jobs
        Knows the engine.
    notebook : bool
        Whether to show a card and a picture.
    """

    def __init__(self, shell: Any, jobs: Jobs, *, notebook: bool) -> None:
        super().__init__(shell)
        self._jobs = jobs
        self._notebook = notebook

    @line_magic
    def preview(self, line: str) -> None:
        """Say what a plan would do: ``%preview bp.scan([camera], stage.x, 0, 9, 10)``.

        The plan is written as it would be within ``RE(...)``; ``%preview call`` takes a `PlanCall`,
        or a generator, which is used up.
        """
        if not line.strip():
            raise UsageError("Give a plan, as in %preview bp.scan([camera], stage.x, 0, 9, 10).")
        engine = self._jobs.engine()
        try:
            foreseen = engine.preview(self._plan(line, engine))
        except TypeError as error:  # what is no plan
            raise UsageError(str(error)) from None
        if self._notebook:
            _show(foreseen)
        else:
            say(str(foreseen))

    def _plan(self, line: str, engine: Any) -> Any:
        """Return the plan that is written in a line; a call is not made yet."""
        try:
            tree = ast.parse(line.strip(), mode="eval")
        except SyntaxError as error:
            raise UsageError(f"{line.strip()!r} is no plan: {error.msg}.") from None
        node = tree.body
        if any(self._names(each, engine) for each in ast.walk(node)):
            raise UsageError("Give the plan alone: the engine would run it.")
        if not isinstance(node, ast.Call):
            return self._value(node)
        function = self._value(node.func)
        if isinstance(function, type):  # PlanCall(...)
            return self._value(node)
        # A function that takes what it is called with apart, however that is written.
        gather = ast.Call(ast.Name("__gather", ast.Load()), node.args, node.keywords)
        args, kwargs = self._value(gather, __gather=lambda *args, **kwargs: (args, kwargs))
        return PlanCall(function, args, kwargs)

    def _names(self, node: ast.AST, engine: Any) -> bool:
        """Tell whether an engine is called there."""
        called = node.func if isinstance(node, ast.Call) else None
        shell: Any = self.shell
        return isinstance(called, ast.Name) and shell.user_ns.get(called.id) is engine

    def _value(self, node: ast.expr, **more: Any) -> Any:
        code = compile(ast.fix_missing_locations(ast.Expression(node)), "<%preview>", "eval")
        shell: Any = self.shell
        try:
            return eval(code, shell.user_global_ns, {**shell.user_ns, **more})
        except Exception as error:  # of the person's own line, and not of ours
            raise UsageError(f"{type(error).__name__}: {error}") from None


def _show(foreseen: Preview) -> None:
    """Show a card, and where the events are taken if axes are moved."""
    from IPython.core.pylabtools import print_figure
    from IPython.display import Image, display

    display(foreseen)  # type: ignore[no-untyped-call]
    if not any(move.lowest is not None for move in foreseen.moves.values()):
        return
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    # Of no window and no backend: it is shown here and nowhere else.
    ax = Figure(figsize=(4, 3)).subplots()
    picture = print_figure(foreseen.plot(ax).figure)  # type: ignore[no-untyped-call]
    display(Image(picture))  # type: ignore[no-untyped-call]
