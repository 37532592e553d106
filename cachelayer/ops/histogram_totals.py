"""The histograms of all processes, summed in the database, so that every process can read the sums.

A process calls `flush` every two seconds and when it ends. A process that is killed loses what it counted after its
last call.
"""

import threading

from django.db import router

from cachelayer.models import HistogramTotal
from cachelayer.ops.counter_table import add_counts
from cachelayer.runtime.histograms import Snapshot, snapshot
from logs.fork import after_fork

_KEY = ("name", "series", "bucket")
_lock = threading.Lock()
_flushed: Snapshot = {}


def flush() -> None:
    """Add to the sums in the database what this process has counted since the last call.

    Raises:
        DatabaseError, InterfaceError: the sums cannot be written; the next call includes these counts.
    """
    global _flushed  # noqa: PLW0603 - what this process has added is one value
    with _lock:
        counted = snapshot()
        add_counts(HistogramTotal, _KEY, _since(_flushed, counted), using=router.db_for_write(HistogramTotal))
        _flushed = counted


def unflushed() -> Snapshot:
    """Return what this process has counted since the last call of `flush`."""
    return _since(_flushed, snapshot())


def _since(before: Snapshot, now: Snapshot) -> Snapshot:
    differences = {key: value - before.get(key, 0) for key, value in now.items()}
    return {key: value for key, value in differences.items() if value}


def totals() -> Snapshot:
    """Return the histograms summed over all processes."""
    rows = HistogramTotal.objects.using(router.db_for_write(HistogramTotal)).values_list(*_KEY, "value")
    return {(name, series, bucket): value for name, series, bucket, value in rows}


@after_fork
def reset_after_fork() -> None:
    """Leave what was counted before the fork to the parent process."""
    global _lock, _flushed
    _lock, _flushed = threading.Lock(), snapshot()
