"""Posts bodies, applies them with one worker, and prints how much memory the worker needed.

`python -m tests.conversations.ingest.worker.memory_probe BYTES COUNT KIND…` prints one line of JSON for each kind: by
how many bytes the memory has `grown` at most while the worker applied `COUNT` bodies of about `BYTES` bytes, and their
outcomes. Each kind has forked processes of its own: one receives the bodies, one applies them. Needs Linux.
"""

import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.conversations.webhooks import memory_probe as webhooks  # sets Django up

# isort: split
from django.core.management import call_command
from django.db import connections

from conversations.ingest.worker.worker import Worker
from conversations.models import Instance, WebhookEvent
from conversations.models.instance import hash_token

RECORD = b'{"key":{"id":"A#","fromMe":false,"remoteJid":"5511999990000@s.whatsapp.net"},"messageTimestamp":1,"message":'
TEXT = RECORD + b'{"conversation":"%b"}},'
LIST = RECORD + b'{"listMessage":{"sections":['
EMOJI = "😀".encode()

# Further kinds, of messages that a worker stores; see `webhooks.KINDS`.
KINDS: dict[str, webhooks.Parts] = {
    "records": (b"[", TEXT % (b"x" * 400), b"0]"),
    "short records": (b"[", TEXT % b"x", b"0]"),
    "records with an emoji": (b"[", TEXT % (EMOJI + b"x" * 400), b"0]"),
    "records of emojis": (b"[", TEXT % (EMOJI * 400), b"0]"),
    "records of escaped emojis": (b"[", TEXT % (rb"\ud83d\ude00" * 400), b"0]"),
    "long records of emojis": (b"[", TEXT % (EMOJI * 900_000), b"0]"),
    "one record of emojis": (LIST, b'"%b",' % (EMOJI * 60_000), b"0]}}}"),
}


def main(size: int, count: int, kinds: list[str]) -> int:
    """Measure each kind of body; return an exit status."""
    call_command("migrate", verbosity=0)
    instances = [Instance.objects.create(name=f"shop-{number}", token_hash=hash_token("secret")) for number in range(2)]
    for kind in kinds:
        WebhookEvent.objects.all().delete()
        connections.close_all()  # connections cannot be used after a fork
        for step in (receive, apply):
            if status := webhooks.in_child(step, kind, size, count, instances):
                return status
    return 0


def receive(kind: str, size: int, count: int, instances: list[Instance]) -> None:
    """Post bodies of one kind, each of another size, to the instances in turn."""
    answers: Counter[int] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        body = Path(folder) / "body"
        for number in range(count):
            parts = KINDS[kind] if kind in KINDS else webhooks.parts_of(kind)
            webhooks.write_body(body, parts, size - number * size // 100)
            webhooks.post(instances[number % len(instances)], body, answers)
    if set(answers) != {202}:
        raise SystemExit(f"{kind}: {answers}")


def apply(kind: str, size: int, _count: int, _instances: list[Instance]) -> None:
    """Apply what was received, and print the memory."""
    Instance.objects.count()  # connects
    before = webhooks.reset_peak()
    Worker().drain()
    grown = webhooks.peak() - before
    outcomes = dict(Counter(WebhookEvent.objects.values_list("outcome", flat=True)))
    result = {"kind": kind, "outcomes": outcomes, "size": size, "grown": grown, "times": round(grown / size, 2)}
    print(json.dumps(result), flush=True)  # noqa: T201 - the test reads the printed line


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
