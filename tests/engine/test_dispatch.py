"""Who is called with a document: what was found out about it once holds until that changes."""

from __future__ import annotations

import gc
import weakref
from typing import Any

from event_model import DocumentNames

from freewheel.engine._bluesky import FairDispatcher

EVENT = DocumentNames.event


class Follower:
    """Takes documents, and counts."""

    def __init__(self, seen: list[Any]) -> None:
        self._seen = seen

    def take(self, name: str, doc: Any) -> None:
        self._seen.append(doc)


def test_who_comes_later_and_who_leaves_counts_from_the_next_document_on() -> None:
    dispatcher = FairDispatcher()
    first: list[Any] = []
    second: list[Any] = []
    dispatcher.process(EVENT, 1)
    token = dispatcher.subscribe(lambda name, doc: first.append(doc))
    dispatcher.process(EVENT, 2)
    dispatcher.subscribe(lambda name, doc: second.append(doc), "event")
    dispatcher.process(EVENT, 3)
    dispatcher.unsubscribe(token)
    dispatcher.process(EVENT, 4)
    assert (first, second) == ([2, 3], [3, 4])


def test_who_leaves_in_the_middle_of_a_document_takes_it_from_nobody() -> None:
    dispatcher = FairDispatcher()
    seen: list[Any] = []
    tokens: list[int] = []

    def leaves(name: str, doc: Any) -> None:
        seen.append("leaves")
        for token in tokens:
            dispatcher.unsubscribe(token)

    tokens.append(dispatcher.subscribe(leaves))
    dispatcher.subscribe(lambda name, doc: seen.append("stays"))
    dispatcher.process(EVENT, 1)
    dispatcher.process(EVENT, 2)
    assert seen == ["leaves", "stays", "stays"]


def test_a_method_whose_object_is_gone_is_called_no_more() -> None:
    dispatcher = FairDispatcher()
    seen: list[Any] = []
    others: list[Any] = []
    follower = Follower(seen)
    dispatcher.subscribe(follower.take)
    dispatcher.subscribe(lambda name, doc: others.append(doc))
    dispatcher.process(EVENT, 1)
    proxies = [weakref.ref(each) for each in dispatcher.cb_registry.callbacks[EVENT].values()]
    del follower
    gc.collect()
    dispatcher.process(EVENT, 2)
    assert (seen, others) == ([1], [1, 2])
    gc.collect()
    assert [ref() is None for ref in proxies] == [True, False]  # nor tried again each time


def test_who_was_set_aside_is_called_again_once_it_is_back() -> None:
    dispatcher = FairDispatcher()
    seen: list[Any] = []
    token = dispatcher.subscribe(lambda name, doc: seen.append(doc))
    dispatcher.process(EVENT, 1)
    taken = dispatcher.set_aside([token])
    dispatcher.process(EVENT, 2)
    dispatcher.put_back(taken)
    dispatcher.process(EVENT, 3)
    assert seen == [1, 3]
