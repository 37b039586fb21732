"""Document dispatch in which one subscriber's failure takes no document from the others."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakKeyDictionary

from bluesky.run_engine import Dispatcher
from bluesky.utils import CallbackRegistry
from event_model import DocumentNames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["FairDispatcher"]


#: What is called with a document, each with bluesky's proxy for it.
_Called: TypeAlias = "tuple[tuple[Callable[..., Any], Any], ...]"

_Registry: Any = CallbackRegistry  # untyped
_Dispatcher: Any = Dispatcher


class _FairRegistry(_Registry):  # type: ignore[misc]
    """Calls every subscriber before it raises the first failure, with the others as notes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # By signal, what is called with it, as `_look_up` finds it. Whoever changes `callbacks`
        # puts an empty one in its place afterwards: what somebody looked up meanwhile is put into
        # the one that nobody looks into any more.
        self._found: dict[Any, _Called] = {}

    def process(self, sig: Any, name: Any, doc: Any) -> list[tuple[BaseException, Any]]:
        # To ask the enum whether it has its own member takes as long as the whole rest.
        if type(sig) is not DocumentNames and sig not in self.allowed_sigs:
            raise ValueError(f"Allowed signals are {self.allowed_sigs}")
        failures: list[tuple[BaseException, Any]] = []
        found = self._found
        called = found.get(sig)
        if called is None:
            called = found[sig] = self._look_up(sig)
        for call, proxy in called:
            try:
                call(name, doc)
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

    def _look_up(self, sig: Any) -> _Called:
        """Return what is called, each with bluesky's proxy: a function, or the proxy of a method.

        A function is kept alive by its proxy, which takes longer than many a subscriber. A
        method's object is not: the proxy asks whether it is still there.
        """
        proxies = list(self.callbacks.get(sig, {}).values())
        return tuple((proxy if proxy.inst is not None else proxy.func, proxy) for proxy in proxies)

    def connect(self, sig: Any, func: Any) -> int:
        cid: int = super().connect(sig, func)
        self._found = {}
        return cid

    def disconnect(self, cid: int) -> None:
        super().disconnect(cid)
        self._found = {}

    def _remove_proxy(self, proxy: Any) -> None:
        super()._remove_proxy(proxy)
        self._found = {}

    def cids(self) -> frozenset[int]:
        """Return the numbers of all that are called."""
        return frozenset(cid for proxies in list(self.callbacks.values()) for cid in list(proxies))

    def set_aside(self, cids: Iterable[int]) -> list[tuple[Any, int, Any]]:
        """Call some subscribers no more; return what `put_back` takes."""
        taken = [
            (sig, cid, proxies[cid])
            for cid in cids
            for sig, proxies in self.callbacks.items()
            if cid in proxies
        ]
        for sig, cid, proxy in taken:
            del self.callbacks[sig][cid]
            # Or else who subscribes the same function meanwhile would be taken for this one.
            self._func_cid_map[sig].pop(proxy, None)
        self._found = {}
        return taken

    def put_back(self, taken: list[tuple[Any, int, Any]]) -> None:
        """Call them again, in the order in which all have subscribed."""
        for sig, cid, proxy in taken:
            callbacks = {**self.callbacks.get(sig, {}), cid: proxy}
            self.callbacks[sig] = dict(sorted(callbacks.items()))
            self._func_cid_map.setdefault(sig, WeakKeyDictionary())[proxy] = cid
        self._found = {}


class FairDispatcher(_Dispatcher):  # type: ignore[misc]
    """bluesky's dispatcher of documents, on a fair registry."""

    def __init__(self) -> None:
        super().__init__()
        self.cb_registry = _FairRegistry(allowed_sigs=DocumentNames)
        # By token, the numbers that a subscription has brought. Written in one step, by any thread.
        self._cids: dict[int, frozenset[int]] = {}

    def subscribe(self, func: Any, name: Any = "all") -> int:
        """Subscribe, as bluesky's dispatcher does, and note under which numbers."""
        before = self.cb_registry.cids()
        token: int = super().subscribe(func, name)
        # None if the function was subscribed before: then it is called for that one's sake.
        self._cids[token] = self.cb_registry.cids() - before
        return token

    def unsubscribe(self, token: int) -> None:
        """Unsubscribe, as bluesky's dispatcher does."""
        self._cids.pop(token, None)
        super().unsubscribe(token)

    def set_aside(self, tokens: Iterable[int]) -> Any:
        """Call the subscribers of a plan that is parked no more; return what `put_back` takes."""
        return self.cb_registry.set_aside(
            cid for token in tokens for cid in self._cids.get(token, ())
        )

    def put_back(self, taken: Any) -> None:
        """Call them again."""
        self.cb_registry.put_back(taken)

    def process(self, name: Any, doc: Any) -> None:
        if self.cb_registry.ignore_exceptions:
            super().process(name, doc)  # which warns of what was ignored
        else:
            self.cb_registry.process(name, name._name_, doc)
