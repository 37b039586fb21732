"""Qt widgets for acquisition programs (extra ``qt``).

An `EngineBridge` carries what an engine tells to the window's thread; every widget is made from
one. `AcquisitionWindow` is a whole window made of them. Works with PySide6 and PyQt6, through
``qtpy``; all of it belongs to the window's thread.
"""

from freewheel.core import MissingExtraError

try:
    # Before pyqtgraph, which otherwise picks a binding of its own.
    import qtpy.QtWidgets  # noqa: F401 # isort: skip
    import magicgui as _magicgui  # noqa: F401
    import pyqtgraph as _pyqtgraph  # noqa: F401
except ImportError as error:
    feature = "freewheel.qt"
    raise MissingExtraError(feature, "qt") from error

from freewheel.forms import connect_devices
from freewheel.qt._devices._motor_row import MotorRow
from freewheel.qt._devices._panel import DevicePanel
from freewheel.qt._devices._presets import PresetPanel
from freewheel.qt._devices._reading_row import ReadingRow
from freewheel.qt._devices._setting_row import SettingRow
from freewheel.qt._image._area import ImageArea
from freewheel.qt._image._live_image import LiveImage
from freewheel.qt._link._bridge import EngineBridge
from freewheel.qt._link._claims import ClaimGuard, ClaimsView
from freewheel.qt._link._ending import end_on_signals
from freewheel.qt._link._responsive import responsive
from freewheel.qt._look._theme import Theme, use_theme
from freewheel.qt._mda._editor import MDAEditor
from freewheel.qt._plans._action_bar import ActionBar, ActionButton
from freewheel.qt._plans._form import PlanForm
from freewheel.qt._plans._list import PlanChooser
from freewheel.qt._plans._preview import PreviewPane
from freewheel.qt._plot._live_plot import LivePlot
from freewheel.qt._runs._panel import RunsPanel
from freewheel.qt._stage._pad import StagePad
from freewheel.qt._tasks._controls import EngineControls
from freewheel.qt._tasks._progress import ProgressPanel
from freewheel.qt._tasks._queue_table import QueueTable
from freewheel.qt._tasks._state_label import StateLabel
from freewheel.qt._window._acquisition_bar import AcquisitionBar
from freewheel.qt._window._acquisition_window import AcquisitionWindow
from freewheel.qt._window._errors import ErrorList
from freewheel.qt._window._log import PlanLog

__all__ = [
    "AcquisitionBar",
    "AcquisitionWindow",
    "ActionBar",
    "ActionButton",
    "ClaimGuard",
    "ClaimsView",
    "DevicePanel",
    "EngineBridge",
    "EngineControls",
    "ErrorList",
    "ImageArea",
    "LiveImage",
    "LivePlot",
    "MDAEditor",
    "MotorRow",
    "PlanChooser",
    "PlanForm",
    "PlanLog",
    "PresetPanel",
    "PreviewPane",
    "ProgressPanel",
    "QueueTable",
    "ReadingRow",
    "RunsPanel",
    "SettingRow",
    "StagePad",
    "StateLabel",
    "Theme",
    "connect_devices",
    "end_on_signals",
    "responsive",
    "use_theme",
]
