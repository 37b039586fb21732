"""Document dispatch in which one subscriber's failure takes no document from the others."""

from __future__ import annotations

import sys
from typing import Any

from bluesky.run_engine import Dispatcher
from bluesky.utils import CallbackRegistry
from event_model import DocumentNames

__all__ = ["FairDispatcher"]


_Registry: Any = CallbackRegistry  # untyped
_Dispatcher: Any = Dispatcher


class _FairRegistry(_Registry):  # type: ignore[misc]
    """Calls every subscriber before it raises the first failure, with the others as notes."""

    def process(self, sig: Any, *args: Any, **kwargs: Any) -> list[tuple[BaseException, Any]]:
        # To ask the enum whether it has its own member takes as long as the whole rest.
        if type(sig) is not DocumentNames and sig not in self.allowed_sigs:
            raise ValueError(f"Allowed signals are {self.allowed_sigs}")
        failures: list[tuple[BaseException, Any]] = []
        for proxy in list(self.callbacks.get(sig, {}).values()):
            try:
                proxy(*args, **kwargs)
            except ReferenceError:
                self._remove_proxy(proxy)
            except BaseException as error:
                failures.append((error, sys.exc_info()[2]))
        if failures and not self.ignore_exceptions:
            first = failures[0][0]
            for other, _ in failures[1:]:
                first.add_note(f"Another subscriber raised as well: {other!r}")
            raise first
        return failures


class FairDispatcher(_Dispatcher):  # type: ignore[misc]
    """bluesky's dispatcher of documents, on a fair registry."""

    def __init__(self) -> None:
        super().__init__()
        self.cb_registry = _FairRegistry(allowed_sigs=DocumentNames)

    def process(self, name: Any, doc: Any) -> None:
        if self.cb_registry.ignore_exceptions:
            super().process(name, doc)  # which warns of what was ignored
        else:
            self.cb_registry.process(name, name._name_, doc)
