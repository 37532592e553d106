"""How many worker processes a server was asked to start, which none of them is told."""

import re
from collections.abc import Mapping, Sequence

CANNOT_SERVE = 3  # the exit status with which a process tells uvicorn, or gunicorn, that no process can serve


def worker_count(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Return how many worker processes a command line or the environment asks for; 1 if they do not say.

    The processes that a server spawns have the command line of the server. `whatsai.gunicorn` sets WEB_CONCURRENCY.
    """
    found = re.search(r"\s(?:--workers[\s=]|-w\s?)(\d+)", " ".join(arguments))
    number = found[1] if found else environ.get("WEB_CONCURRENCY", "")
    return int(number) if number.isdecimal() else 1
