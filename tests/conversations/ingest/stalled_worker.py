"""A worker that stops for ever inside its first batch, before the commit, so that a test can kill it there.

`python -m tests.conversations.ingest.stalled_worker` prints a line when it has stopped.
"""

import os
import signal
from typing import Any

import django

django.setup()

from conversations.ingest.worker import batch  # noqa: E402 - the apps are loaded now
from conversations.ingest.worker.worker import Worker  # noqa: E402 - as above

record_outcomes = batch.record_outcomes  # the last step of a batch


def stall(*arguments: Any) -> None:
    record_outcomes(*arguments)
    os.write(1, b"in the middle\n")
    signal.pause()


batch.record_outcomes = stall  # type: ignore[assignment]
Worker().run()
