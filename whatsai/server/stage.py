"""The stages of a connection, which decide what connection is closed if there are too many."""

import enum


class Stage(enum.IntEnum):
    """What a connection waits for. Connections in a lower stage are closed first."""

    IDLE = 0  # for the next request
    UNCHECKED = 1  # for a body that anybody may send
    CLIENT = 2  # for the body of an authenticated sender, or for the client to read the response
    THREAD = 3  # for the application; such a connection is never closed
