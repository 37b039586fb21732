"""What a window keeps from one time to the next: docks, theme, plan, and what was filled in."""

from __future__ import annotations

import datetime
import enum
import json
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import QByteArray, QObject

from freewheel.qt._look._inputs import choice_text
from freewheel.qt._look._theme import Theme, theme_in_use, use_theme
from freewheel.qt._window._dock_tabs import restore_docks

if TYPE_CHECKING:
    from qtpy.QtCore import QSettings
    from qtpy.QtWidgets import QMainWindow

    from freewheel.qt._image._live_image import LiveImage
    from freewheel.qt._plans._form import PlanForm
    from freewheel.qt._plans._list import PlanChooser
    from freewheel.qt._plot._live_plot import LivePlot

__all__ = ["WindowMemory"]

#: What is kept of a plot: how its axes are.
_AXES: Final = ("together", "logarithmic")


class WindowMemory(QObject):
    """Keeps a window's docks, theme, levels, axes of the plot, chosen plan, and forms' values.

    Values are filled in when the form of their plan is shown for the first time, and once more
    when there are devices that were not connected before, where nobody has edited them.

    Parameters
    ----------
    window
        The window, which owns this.
    chooser
        Its plans.
    settings
        Where things are kept.
    image
        The picture whose levels are kept.
    plot
        The plot of which is kept how its axes are.
    """

    def __init__(
        self,
        window: QMainWindow,
        chooser: PlanChooser,
        settings: QSettings,
        image: LiveImage | None = None,
        plot: LivePlot | None = None,
    ) -> None:
        super().__init__(window)
        self.setObjectName("memory")
        self._window, self._chooser, self._settings = window, chooser, settings
        self._image, self._plot = image, plot
        self._plan: str = str(settings.value("plan", "") or "")
        self._values: dict[str, dict[str, Any]] = _read(settings.value("forms", ""))
        # By plan, what was in the form when it was filled in: what is edited since stays.
        self._filled: dict[str, dict[str, Any]] = {}
        chooser.chosen.connect(self._plan_chosen)

    def restore(self) -> None:
        """Have the window look as it did."""
        # A damaged file has anything there, and the window has to open all the same.
        if isinstance(geometry := self._settings.value("geometry"), QByteArray):
            self._window.restoreGeometry(geometry)
        if isinstance(state := self._settings.value("docks"), QByteArray):
            restore_docks(self._window, state)
        with suppress(ValueError):
            if theme := self._settings.value("theme", ""):
                use_theme(Theme(str(theme)))

        if self._image is not None:
            with suppress(TypeError, ValueError):
                low, high = map(float, json.loads(str(self._settings.value("levels", ""))))
                if -math.inf < low < high < math.inf:
                    self._image.levels = low, high
        if self._plot is not None:
            with suppress(TypeError, ValueError, LookupError):
                kept = json.loads(str(self._settings.value("plot", "")))
                together, logarithmic = (kept[name] is True for name in _AXES)
                self._plot.set_axes(together=together, logarithmic=logarithmic)

    def save(self) -> None:
        """Keep how it looks, and what is filled in."""
        self._settings.setValue("geometry", self._window.saveGeometry())
        self._settings.setValue("docks", self._window.saveState())
        if (theme := theme_in_use()) is not None:
            self._settings.setValue("theme", str(theme))
        if self._image is not None:
            self._settings.setValue("levels", json.dumps(self._image.levels))
        if self._plot is not None:
            axes = {name: getattr(self._plot, name) for name in _AXES}
            self._settings.setValue("plot", json.dumps(axes))
        form = self._chooser.form
        if form is not None and not self._plan:
            self._settings.setValue("plan", form.spec.name)
        for name, shown in self._chooser.forms.items():
            self._values[name] = _as_text(shown.values())
        self._settings.setValue("forms", json.dumps(self._values))
        self._settings.sync()

    def _plan_chosen(self, form: PlanForm | None) -> None:
        if self._plan and self._plan in {e.name for e in self._chooser.entries if e.available}:
            plan, self._plan = self._plan, ""
            self._chooser.choose(plan)  # and comes here again
            return
        if form is not None:
            self._fill(form)

    def _fill(self, form: PlanForm) -> None:
        name = form.spec.name
        kept, before = self._values.get(name, {}), self._filled.get(name)
        now = form.values()
        for field, value in kept.items():
            if field in form.fields and (before is None or now.get(field) == before.get(field)):
                with suppress(TypeError, ValueError):  # of a plan that asks for other things now
                    form.set_values({field: value})
        self._filled[name] = form.values()


def _read(text: Any) -> dict[str, dict[str, Any]]:
    with suppress(TypeError, ValueError):
        found = json.loads(text)
        if isinstance(found, dict):
            return {name: dict(values) for name, values in found.items()}
    return {}


def _as_text(values: dict[str, Any]) -> dict[str, Any]:
    """Return what JSON can hold of the values of a form."""
    kept = {}
    for name, value in values.items():
        with suppress(TypeError, ValueError):
            kept[name] = json.loads(json.dumps(value, default=_plain))
    return kept


def _plain(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return choice_text(value)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    return str(value)
