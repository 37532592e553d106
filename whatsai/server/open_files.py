"""Keeps the connections of a process within the number of files that it may open.

Most systems permit 1,024 files, with a much higher hard limit. Without free files nothing works: the process can accept
no connection, not even that of a health check, and open no database.
"""

import resource
from typing import NamedTuple

FILES_PER_CONNECTION = 3  # its socket, a file that it receives into or sends, and a socket that waits for its turn
OTHER_FILES = 200  # of database, cache, logs and media, and connections that are being closed
STREAMS_PART = 4  # one in so many files is for event streams, if there are too few files for all


class Plan(NamedTuple):
    """What a process may open.

    Attributes:
        limit: the limit of open files.
        connections: how many connections may have requests.
        streams: how many event streams may be open besides.
    """

    limit: int
    connections: int
    streams: int


def permit(connections: int, streams: int) -> Plan:
    """Raise this process's limit of open files if necessary, and return what it permits, up to these numbers."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    permitted = plan(connections, streams, soft, hard)
    if permitted.limit != soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (permitted.limit, hard))
    return permitted


def plan(connections: int, streams: int, soft: int, hard: int) -> Plan:
    """Return the new soft limit of open files and what it permits, up to these numbers of connections and streams."""
    needed = connections * FILES_PER_CONNECTION + streams + OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return Plan(soft, connections, streams)
    limit = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    free = max(limit - OTHER_FILES, 0)
    streams = min(streams, max(free - connections * FILES_PER_CONNECTION, free // STREAMS_PART))
    return Plan(limit, min(max((free - streams) // FILES_PER_CONNECTION, 1), connections), streams)
