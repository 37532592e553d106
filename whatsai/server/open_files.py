"""Keeps the connections of a process within the number of files that it may open.

Most systems permit 1,024 files, with a much higher hard limit. Without free files nothing works: the process can accept
no connection, not even that of a health check, and open no database.
"""

import resource

FILES_PER_CONNECTION = 2  # its socket, and the file that it receives into or that is sent over it
OTHER_FILES = 200  # of database, cache, logs and media, and connections that are being closed


def permit_connections(wanted: int) -> int:
    """Raise this process's limit of open files if necessary, and return how many connections it permits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit, connections = plan(wanted, soft, hard)
    if limit != soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return connections


def plan(wanted: int, soft: int, hard: int) -> tuple[int, int]:
    """Return the new soft limit of open files, and how many connections it permits, up to `wanted`."""
    needed = wanted * FILES_PER_CONNECTION + OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return soft, wanted
    limit = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    return limit, max((limit - OTHER_FILES) // FILES_PER_CONNECTION, 1)
