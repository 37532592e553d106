"""Looks up the addresses of host names, each name in a thread of its own, so that no name waits for another.

The system's resolver blocks its thread, for half a minute if nobody answers for a name, and cannot be interrupted.
asyncio has a few threads for it, which a few such names would hold, while all other receivers wait. A name that is
looked up already is not looked up a second time. The threads are daemons, so that they do not delay the process's end.
"""

import socket
import threading
from concurrent.futures import Future

MAX_LOOKUPS = 64  # at once; each one that hangs costs a thread

Addresses = list[str]
_Name = tuple[str, int]


class TooManyLookupsError(OSError):
    """Raised while `MAX_LOOKUPS` names are being looked up."""


class NameLookups:
    """The look-ups that are under way in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[_Name, Future[Addresses]] = {}

    def start(self, host: str, port: int) -> "Future[Addresses]":
        """Begin to look up a name, or join the look-up that is under way; the result is what `getaddrinfo` finds.

        Raises:
            TooManyLookupsError: too many other names are being looked up.
        """
        name = host, port
        with self._lock:
            found = self._running.get(name)
            if found is None:
                if len(self._running) >= MAX_LOOKUPS:
                    raise TooManyLookupsError
                found = self._running[name] = Future()
                found.set_running_or_notify_cancel()  # others may wait for it, so nobody can cancel it
                threading.Thread(target=self._look_up, args=(name, found), name="name-lookup", daemon=True).start()
        return found

    def _look_up(self, name: _Name, future: "Future[Addresses]") -> None:
        try:
            found = socket.getaddrinfo(*name, type=socket.SOCK_STREAM)
            result: Addresses | Exception = list(dict.fromkeys(str(address[0]) for *_, address in found))
        except (OSError, UnicodeError) as error:
            result = error
        with self._lock:
            del self._running[name]
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)


lookups = NameLookups()
