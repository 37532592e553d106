"""Returns freed memory to the operating system, with functions of glibc; other C libraries are left alone.

By default, glibc keeps freed memory for each thread that needed it. So after one large body in each of its threads, a
process would keep many times the memory that one body needs.
"""

import ctypes
import sys

MMAP_BYTES = 1024 * 1024  # larger blocks are returned as soon as they are freed
KEPT_BYTES = 4 * 1024 * 1024  # at the end of a thread's memory
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of <malloc.h>

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None
_has_glibc = hasattr(_libc, "malloc_trim")


def configure() -> None:
    """Limit the memory that a thread keeps. Otherwise glibc raises its limits to 32 and 64 MB."""
    if _libc is not None and _has_glibc:
        _libc.mallopt(_M_MMAP_THRESHOLD, MMAP_BYTES)
        _libc.mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)


def trim() -> None:
    """Return the free pages between the blocks in use, of all threads."""
    if _libc is not None and _has_glibc:
        _libc.malloc_trim(0)
