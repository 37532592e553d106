"""One peer's process: `python -m tests.benchmarks.worker PEER`. Requests and responses are lines of JSON.

The first request is the dataset, the measure and its duration; the response is a digest of what this peer reads, which
must be the same for all peers. Each further request is `{"measure": name}`; the response is the figures.
`cache_manager.mjs` implements the same protocol in Node.
"""

import json
import sys
from collections.abc import Iterable
from typing import TextIO

import django
from django.utils.module_loading import import_string

from tests.benchmarks.peers import BY_NAME, Peer


def main(name: str, lines: Iterable[str], responses: TextIO) -> None:
    """Configure Django for the peer, and respond to requests until the input ends."""
    peer = BY_NAME[name]
    _set_up(peer)
    from tests.benchmarks.dataset import Dataset  # noqa: PLC0415 - needs configured settings
    from tests.benchmarks.measures import Measures  # noqa: PLC0415 - needs configured settings

    lines = iter(lines)
    opening = json.loads(next(lines))
    dataset = Dataset(**opening["dataset"])
    adapter = import_string(f"tests.benchmarks.adapters.{peer.adapter}")(dataset)
    measures = Measures(adapter, dataset, opening["seconds"])
    read = "" if peer.is_baseline else measures.digest(opening["measure"])
    print(json.dumps({"read": read}), file=responses, flush=True)
    for line in lines:
        print(json.dumps(measures.measure(json.loads(line)["measure"])), file=responses, flush=True)


def _set_up(peer: Peer) -> None:
    """Configure Django with the project's settings and the peer's, before anything reads the settings."""
    from whatsai import settings  # noqa: PLC0415 - reads the environment

    vars(settings).update(peer.settings())
    django.setup()


if __name__ == "__main__":
    main(sys.argv[1], sys.stdin, sys.stdout)
