"""The messages between a client and a server, as they are written on the line.

Each WebSocket message is one of these, as msgpack. ``type`` says which. A reader skips fields that
it does not know, so that fields may be added under the same `VERSION`; it is raised when a field
changes its meaning or goes.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import msgspec

__all__ = [
    "MAX_PAYLOAD",
    "VERSION",
    "Answer",
    "Bye",
    "Call",
    "Document",
    "Fault",
    "Frame",
    "FromClient",
    "FromServer",
    "Hello",
    "News",
    "Seen",
    "Value",
    "Welcome",
]

VERSION: Final = 1
#: The largest message that a server takes from a client [bytes].
MAX_PAYLOAD: Final = 1 << 20


class Fault(msgspec.Struct, omit_defaults=True):
    """An exception, told over the line.

    Attributes
    ----------
    kind : str
        The name of its class.
    text : str
        What it says.
    parts : list
        What it is made of, for the classes that are made anew from parts.
    """

    kind: str
    text: str = ""
    parts: list[Any] = []


# -- from the client -------------------------------------------------------------------------


class Hello(msgspec.Struct, tag="hello", omit_defaults=True):
    """The first message of a client.

    Attributes
    ----------
    version : int
        Of the protocol that it speaks.
    token : str
        Who it is. Sent here and nowhere else: not in the address, which servers log.
    program : str
        What it calls itself, for the server's log.
    session : str
        The session that it had before the line was lost; empty for a new one.
    server : str
        The server that it had this with.
    seen : int
        The number of the last message of that session that it has seen.
    """

    version: int
    token: str
    program: str = ""
    session: str = ""
    server: str = ""
    seen: int = 0


class Call(msgspec.Struct, tag="call", omit_defaults=True):
    """Something that the client asks for.

    Attributes
    ----------
    id : int
        Its number, by the client. None is carried out twice: the second is answered as the first.
    verb : str
        What it asks for.
    args : dict
        With what. Devices are written as an extension (code 1, the name), arrays likewise (code 2).
    again : bool
        Whether it was sent before, on a line that was lost. One that had not arrived then is not
        carried out now, late and unlooked for: it is answered with a fault that says so.
    """

    id: int
    verb: str
    args: dict[str, Any] = {}
    again: bool = False


class Seen(msgspec.Struct, tag="seen"):
    """Tells up to which numbered message the client has seen all: these need not be kept."""

    number: int


class Bye(msgspec.Struct, tag="bye", omit_defaults=True):
    """The last message, of either side; the session ends with it.

    Attributes
    ----------
    reason : str
        Why.
    fault : Fault or None
        The same as an exception, from a server.
    """

    reason: str = ""
    fault: Fault | None = None


# -- from the server -------------------------------------------------------------------------


class Welcome(msgspec.Struct, tag="welcome", omit_defaults=True):
    """The answer to `Hello`.

    Attributes
    ----------
    version : int
        Of the protocol.
    server : str
        Which server this is; another one after each start.
    session : str
        The session, to be named in the next `Hello`; a secret between the two.
    tag : str
        With what the keys must begin that the client gives its futures.
    name, role : str
        Who the client is by its token, and what it may do.
    resumed : bool
        Whether the session goes on: what was missed follows, and nothing is lost. Otherwise
        ``picture`` is where to begin.
    why : str
        Why a session that was asked for does not go on.
    number : int
        Up to where ``picture`` has everything.
    picture : dict
        The engine at this moment, if this is a new session.
    """

    version: int
    server: str
    session: str
    tag: str
    name: str
    role: str
    resumed: bool = False
    why: str = ""
    number: int = 0
    picture: dict[str, Any] = {}


class Answer(msgspec.Struct, tag="answer", omit_defaults=True):
    """The answer to a `Call`.

    Attributes
    ----------
    id : int
        The call's number.
    value : object
        What it has returned.
    fault : Fault or None
        What it has failed with.
    done : bool
        False if it was accepted, and another answer follows when it has ended.
    """

    id: int
    value: Any = None
    fault: Fault | None = None
    done: bool = True


class News(msgspec.Struct, tag="news", omit_defaults=True):
    """What has changed. Every client gets all of it, in order.

    Attributes
    ----------
    number : int
        Its place among the numbered messages of this server.
    picture : dict
        The parts of the picture that are different now, whole.
    events : list of list
        What has happened: kind, and what belongs to it.
    """

    number: int
    picture: dict[str, Any] = {}
    events: list[list[Any]] = []


class Document(msgspec.Struct, tag="document"):
    """A document of a run, for clients that have subscribed.

    Attributes
    ----------
    number : int
        Its place among the numbered messages; 0 for those that may be left out as a whole.
    name : str
        Its kind.
    doc : dict
        The document.
    latest : bool
        Whether it is one of those that may be left out. Of events with pictures for a display the
        pictures alone may: all else of them comes, with their number.
    """

    number: int
    name: str
    doc: dict[str, Any]
    latest: bool = False


class Frame(msgspec.Struct, tag="frame"):
    """The newest frame of a camera, at the size and rate that the client asked for.

    Attributes
    ----------
    key : str
        The data key.
    shape, full_shape : list of int
        Of these pixels, and of the frame: of a larger one every n-th pixel is sent.
    dtype : str
        As numpy writes it.
    data : bytes
        The pixels, row by row; written from what holds them, without a copy.
    seq_num : int
        Of its event.
    time : float
        Of its event, as the server's clock has it.
    number : int
        Counts the frames of this key on the server: a gap is what was not sent.
    """

    key: str
    shape: list[int]
    full_shape: list[int]
    dtype: str
    data: Any
    seq_num: int
    time: float
    number: int


class Value(msgspec.Struct, tag="value", omit_defaults=True):
    """The value of a device that the client watches: the newest, at most 50 times a second.

    Attributes
    ----------
    device : str
        As it was asked for.
    reading : dict
        As bluesky has it: by data key, value and timestamp; severities of alarms are those of
        EPICS, from 0 to 3. Empty if nothing is known yet.
    is_lost : bool
        Whether the device's own server is gone, and this is what it has said last.
    """

    device: str
    reading: dict[str, Any]
    is_lost: bool = False


FromClient: TypeAlias = Hello | Call | Seen | Bye
FromServer: TypeAlias = Welcome | Answer | News | Document | Frame | Value | Bye
