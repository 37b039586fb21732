"""Who may come in: names and roles by token, in a file that its owner alone may read."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import sys
import threading
from pathlib import Path
from typing import Any, Final, NamedTuple

from freewheel.core._whole_file import whole_file

from ._alone import alone
from ._roles import Role

__all__ = ["Client", "TokenFile", "default_token_path", "digest_of"]

_FORMAT: Final = "freewheel.tokens"
_NAME: Final = re.compile(r"[\w][\w .@+-]{0,63}")


class Client(NamedTuple):
    """Who somebody is by a token.

    Attributes
    ----------
    name : str
        As plans, windows and the log call them.
    role : Role
        What they may do.
    """

    name: str
    role: Role


def default_token_path() -> Path:
    """Return where tokens are kept if nothing else is said."""
    if sys.platform == "win32":
        base = Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    else:
        base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return base / "freewheel" / "tokens.json"


class TokenFile:
    """The tokens of a server, kept as digests: who reads the file cannot come in with it.

    The file is read again when it has changed, so that a token that was made or taken away
    meanwhile counts at once.

    Parameters
    ----------
    path : path
        The file, which need not exist yet.

    Raises
    ------
    ValueError
        If it is no file of tokens.
    PermissionError
        If others than its owner may read or write it.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = default_token_path() if path is None else Path(path).expanduser()
        self._lock = threading.Lock()  # guards all below, and the file against ourselves
        self._stamp: tuple[int, int] | None = None
        # Name to role and digest; replaced as a whole, which `version` is told by.
        self._known: dict[str, dict[str, str]] = {}
        with self._lock:
            self._refresh()

    def __bool__(self) -> bool:
        with self._lock:
            self._refresh()
            return bool(self._known)

    @property
    def clients(self) -> tuple[Client, ...]:
        """Everybody who has a token."""
        with self._lock:
            self._refresh()
            return tuple(Client(name, Role(each["role"])) for name, each in self._known.items())

    def add(self, name: str, role: Role | str = Role.OPERATOR) -> str:
        """Make a token, and return it; one that this name had before counts no more.

        Raises
        ------
        ValueError
            For a name or a role that cannot be.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"{name!r} cannot be the name of a client: letters, digits, spaces and .@+-_ can, "
                "64 at most."
            )
        if role not in list(Role):
            raise ValueError(f"there is no role {role!r}; there are: {', '.join(Role)}")
        token = secrets.token_urlsafe(32)
        with self._lock, alone(self.path):
            self._refresh(anew=True)
            mine = {"role": str(role), "sha256": digest_of(token)}
            self._write({**self._known, name: mine})
        return token

    def remove(self, name: str) -> None:
        """Take somebody's token away.

        Raises
        ------
        KeyError
            If there is nobody of that name.
        """
        with self._lock, alone(self.path):
            self._refresh(anew=True)
            if name not in self._known:
                names = ", ".join(self._known) or "nobody"
                raise KeyError(f"Nobody is called {name!r}. There are: {names}.")
            self._write({each: of for each, of in self._known.items() if each != name})

    @property
    def version(self) -> object:
        """Which state of the file this is: another one whenever it may say something else."""
        with self._lock:
            self._refresh()
            return self._known

    def client_of(self, token: str) -> Client | None:
        """Return who has a token, or ``None``."""
        return self.client_with(digest_of(token))

    def client_with(self, digest: str) -> Client | None:
        """Return who has the token with a digest, or ``None``."""
        found = None
        with self._lock:
            self._refresh()
            for name, each in self._known.items():  # all of them: the time tells nothing
                if hmac.compare_digest(each["sha256"], digest):
                    found = Client(name, Role(each["role"]))
        return found

    # -- the file, with the lock held ---------------------------------------------------------

    def _refresh(self, *, anew: bool = False) -> None:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            self._stamp, self._known = None, {}
            return
        stamp = status.st_mtime_ns, status.st_ino
        if stamp == self._stamp and not anew:
            return
        if sys.platform != "win32" and status.st_mode & 0o077:
            raise PermissionError(
                f"{self.path} may be read by others than its owner: chmod 600 {self.path}"
            )
        self._known = _read(self.path)
        self._stamp = stamp

    def _write(self, known: dict[str, dict[str, str]]) -> None:
        text = json.dumps({"format": _FORMAT, "version": 1, "clients": known}, indent=1)
        with whole_file(self.path) as part:
            # With its rights from the first moment: never open, and then closed.
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as file:
                file.write(text)
        self._known = known
        status = self.path.stat()
        self._stamp = status.st_mtime_ns, status.st_ino


def digest_of(token: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def _read(path: Path) -> dict[str, dict[str, str]]:
    try:
        found: Any = json.loads(path.read_text())
        if found["format"] != _FORMAT:
            raise KeyError("format")
        known = {
            str(name): {"role": str(Role(each["role"])), "sha256": str(each["sha256"])}
            for name, each in found["clients"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is no file of tokens: {type(error).__name__}: {error}. Move it away, and "
            "freewheel serve makes a new one."
        ) from error
    return known
