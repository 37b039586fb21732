"""bluesky's plots, drawn on the main thread whatever binding of Qt there is."""

from __future__ import annotations

from typing import Any

__all__ = ["draw_on_main_thread"]


def draw_on_main_thread() -> None:
    """Have bluesky's plotting callbacks draw on the main thread, with matplotlib's Qt backend.

    bluesky hands documents over by a signal that is connected to a function. PySide6 calls a
    function in the thread that emits; the method of an object is called in the object's thread.

    Raises
    ------
    RuntimeError
        On any thread but the main one, the first time.
    """
    from bluesky.callbacks import mpl_plotting
    from matplotlib.backends import qt_compat

    mpl_plotting.initialize_qt_teleporter()
    teleporter: Any = mpl_plotting._get_teleporter()
    if getattr(teleporter, "receiver", None) is not None:
        return
    core: Any = vars(qt_compat)["QtCore"]

    class Receiver(core.QObject):  # type: ignore[misc]
        @core.Slot(str, dict, object)  # type: ignore[untyped-decorator]
        def receive(self, name: str, doc: dict[str, Any], callback: Any) -> None:
            callback(name, doc, escape=True)

    teleporter.receiver = Receiver()
    teleporter.name_doc_escape.disconnect()
    teleporter.name_doc_escape.connect(teleporter.receiver.receive)
