"""A worker that blocks forever in its first batch, before the commit, so that a test can kill it in a transaction.

`python -m tests.conversations.ingest.stalled_worker` prints a line when the worker blocks.
"""

import os
import signal
from typing import Any

import django

django.setup()

from conversations.ingest.worker import batch  # noqa: E402 - the import needs loaded Django apps
from conversations.ingest.worker.worker import Worker  # noqa: E402 - the import needs loaded Django apps

record_outcomes = batch.record_outcomes  # the function that each batch calls last


def stall(*arguments: Any, **options: Any) -> None:
    record_outcomes(*arguments, **options)
    os.write(1, b"in the middle\n")
    signal.pause()


batch.record_outcomes = stall  # type: ignore[assignment]
Worker().run()
