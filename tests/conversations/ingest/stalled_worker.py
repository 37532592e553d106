"""A worker that stops for ever in the middle of its first batch, before it commits, for tests that kill it there.

`python -m tests.conversations.ingest.stalled_worker` prints a line once it is there.
"""

import os
import signal
from typing import Any

import django

django.setup()

from conversations.ingest.worker import batch  # noqa: E402 - there are apps from here on
from conversations.ingest.worker.worker import Worker  # noqa: E402 - as above

settle = batch._settle  # noqa: SLF001 - where a batch is all but done


def stall(*arguments: Any) -> None:
    settle(*arguments)
    os.write(1, b"in the middle\n")
    signal.pause()


batch._settle = stall  # type: ignore[assignment]  # noqa: SLF001 - as above
Worker().run()
