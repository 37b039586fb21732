"""Where documents go: ``zmq://host:port`` and the like."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

__all__ = ["SCHEMES", "Address", "read_address"]

#: What an address looks like, by its scheme.
SCHEMES: Final = {
    "zmq": "zmq://HOST:PORT[?prefix=TEXT]",
    "nats": "nats://[USER:PASSWORD@]HOST:PORT[/SUBJECT]",
    "kafka": "kafka://HOST:PORT[,HOST:PORT][/TOPIC][?key=TEXT]",
    "tiled": "tiled://HOST:PORT[?api_key=KEY][&arrays=DIR][&batch_size=N]",
    "tiled+https": "tiled+https://HOST[:PORT][/PATH][?api_key=KEY]",
}
_OPTIONS: Final = {
    "zmq": ("prefix",),
    "nats": (),
    "kafka": ("key",),
    "tiled": ("api_key", "arrays", "batch_size"),
    "tiled+https": ("api_key", "arrays", "batch_size"),
}
_SECRET: Final = ("api_key",)
_NEEDS_NO_PORT: Final = ("tiled+https",)
_HAS_USER: Final = ("nats",)
_HAS_SEVERAL: Final = ("nats", "kafka")
#: What may follow the server, and what it is called; without an entry, a path.
_PATHS: Final = {
    "zmq": (r"", "have a path"),
    "nats": (r"([^\s.*>]+(\.[^\s.*>]+)*)?", "have the subject {!r}"),
    "kafka": (r"(?!\.{1,2}$)[\w.-]{0,249}", "have the topic {!r}"),
}
#: What the values of options look like.
_VALUES: Final = {
    "prefix": (r"\S*", "no prefix: it has a space"),
    "batch_size": (r"0*[1-9][0-9]*", "no number of events"),
}
#: Characters of a directory's name, which file systems limit.
_LONGEST: Final = 200


@dataclass(frozen=True)
class Address:
    """An address that was read.

    Parameters
    ----------
    scheme : str
        One of `SCHEMES`.
    servers : str
        ``host:port``, or several with commas between them.
    path : str
        What follows them, without a slash before it: a subject, a topic, a path.
    user : str
        ``user:password``, if they were given.
    options : dict
        What was given behind a question mark.
    """

    scheme: str
    servers: str
    path: str = ""
    user: str = field(default="", repr=False)
    options: dict[str, Any] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        """Give it as it may be shown: without keys and passwords."""
        return f"{self.scheme}://{self.servers}{f'/{self.path}' if self.path else ''}"

    @property
    def typed(self) -> str:
        """Give it as it is typed in a shell, with KEY and PASSWORD in the place of secrets."""
        options = {
            name: "KEY" if name in _SECRET else value for name, value in self.options.items()
        }
        query = f"?{urlencode(options, safe='/:')}" if options else ""
        user = "USER:PASSWORD@" if self.user else ""
        return shlex.quote(f"{self}{query}".replace("://", f"://{user}", 1))

    @property
    def label(self) -> str:
        """A name for a directory."""
        return re.sub(r"[^\w.]+", "-", str(self)).strip("-")[:_LONGEST]


def read_address(text: str) -> Address:
    """Read an address.

    Raises
    ------
    ValueError
        If it is none; with what an address looks like.
    """
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise _no_address(text, str(error)) from None
    if parts.scheme not in SCHEMES:
        if parts.scheme in ("http", "https"):
            why = "for a Tiled server write tiled:// or tiled+https://"
        else:
            why = f"there is no scheme {parts.scheme!r}" if "://" in text else "it has no scheme"
        raise _no_address(text, why)
    user, _, servers = parts.netloc.rpartition("@")
    if "@" in text and not user and parts.scheme in _HAS_USER:
        raise _no_address(text, "what is before an '@' cannot have '/', '?' or '#'", parts.scheme)
    if user and parts.scheme not in _HAS_USER:
        raise _no_address(text, "it cannot have a user", parts.scheme)
    for server in servers.split(","):
        _check_server(parts.scheme, text, server)
    if "," in servers and parts.scheme not in _HAS_SEVERAL:
        raise _no_address(text, "it cannot have several servers", parts.scheme)
    path = parts.path.strip("/")
    form, what = _PATHS.get(parts.scheme, (".*", ""))
    if re.fullmatch(form, path, re.ASCII) is None:
        raise _no_address(text, f"it cannot {what.format(path)}", parts.scheme)
    return Address(parts.scheme, servers, path, user, _options(text, parts))


def _check_server(scheme: str, text: str, server: str) -> None:
    match = re.fullmatch(r"([\w.-]+|\[[0-9a-fA-F:.]+\])(?::([0-9]+))?", server)
    if match is None:
        raise _no_address(text, f"{server!r} is no HOST:PORT", scheme)
    port = match[2]
    if port is None and scheme not in _NEEDS_NO_PORT:
        raise _no_address(text, "it has no port", scheme)
    if port is not None and not 0 < int(port) < 65536:
        raise _no_address(text, f"there is no port {port}", scheme)


def _options(text: str, parts: SplitResult) -> dict[str, Any]:
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if parts.fragment or (unknown := options.keys() - set(_OPTIONS[parts.scheme])):
        what = "a '#'" if parts.fragment else f"an option {sorted(unknown)[0]!r}"
        raise _no_address(text, f"it cannot have {what}", parts.scheme)
    for name, (form, what) in _VALUES.items():
        if name in options and re.fullmatch(form, options[name]) is None:
            raise _no_address(text, f"{options[name]!r} is {what}", parts.scheme)
    return options


def _no_address(text: str, why: str, scheme: str | None = None) -> ValueError:
    # A password may have any character in it, and so may a key behind the question mark.
    head, _, tail = text.partition("?")
    shown = re.sub(r"//.*", "//…", head) if "@" in tail else re.sub(r"//.*@", "//…@", head)
    forms = SCHEMES.values() if scheme is None else [SCHEMES[scheme]]
    return ValueError(
        f"Documents cannot be published to {shown!r}: {why}. Write {', or '.join(forms)}."
    )
