"""Measures one benchmarked library (peer) in its own process, started by `python -m tests.benchmarks.worker PEER`.

Requests and responses are lines of JSON on standard input and output. The first request contains the dataset, the
measure and the duration of a round. The first response contains a digest of the data that the library reads, which must
be equal for all libraries. Each further request is `{"measure": name}`, and each further response contains the measured
figures.
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
    """Configure Django for the library `name`, and respond to requests until the input ends."""
    peer = BY_NAME[name]
    _set_up(peer)
    from tests.benchmarks.dataset import Dataset  # noqa: PLC0415 - the import needs configured Django settings
    from tests.benchmarks.measures import Measures  # noqa: PLC0415 - the import needs configured Django settings

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
    """Configure Django with the settings of the project and of the library, before other code reads the settings."""
    from whatsai import settings  # noqa: PLC0415 - the import reads environment variables

    vars(settings).update(peer.settings())
    django.setup()


if __name__ == "__main__":
    main(sys.argv[1], sys.stdin, sys.stdout)
