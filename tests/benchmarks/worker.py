"""One peer's process: `python -m tests.benchmarks.worker PEER`. It is asked for one measurement a line.

Lines are JSON: first the scene and what will be measured, answered by a digest of what this peer reads there, which is
to be everybody's; then `{"measure": name}`, each answered by the figures. `cache_manager.mjs` does the same in Node.
"""

import json
import sys
from collections.abc import Iterable
from typing import TextIO

import django
from django.utils.module_loading import import_string

from tests.benchmarks.peers import BY_NAME, Peer


def main(name: str, lines: Iterable[str], answers: TextIO) -> None:
    """Set Django up as the peer needs it, and answer until there are no more lines."""
    peer = BY_NAME[name]
    _set_up(peer)
    from tests.benchmarks.measures import Measures  # noqa: PLC0415 - there are settings from here on
    from tests.benchmarks.scene import Scene  # noqa: PLC0415 - as above

    lines = iter(lines)
    opening = json.loads(next(lines))
    scene = Scene(**opening["scene"])
    side = import_string(f"tests.benchmarks.sides.{peer.side}")(scene)
    measures = Measures(side, scene, opening["seconds"])
    read = "" if peer.is_floor else measures.digest(opening["measure"])
    print(json.dumps({"read": read}), file=answers, flush=True)
    for line in lines:
        print(json.dumps(measures.measure(json.loads(line)["measure"])), file=answers, flush=True)


def _set_up(peer: Peer) -> None:
    """Set Django up with the peer's settings beside the project's, before anybody has looked at those."""
    from whatsai import settings  # noqa: PLC0415 - reads the environment

    vars(settings).update(peer.settings())
    django.setup()


if __name__ == "__main__":
    main(sys.argv[1], sys.stdin, sys.stdout)
