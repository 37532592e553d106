"""Posts bodies from several threads at once to the webhook view; prints the answers and the growth of memory.

`python -m tests.conversations.webhooks.memory_probe BYTES THREADS KIND…` prints one line of JSON for each kind. Each
kind has a forked process of its own, because the peak of a process's memory cannot be reset.
"""

import json
import os
import resource
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path

from tests import isolation

isolation.set_up(database="sqlite:///{scratch}/db.sqlite3")

from django.core.handlers.wsgi import WSGIRequest  # noqa: E402
from django.core.management import call_command  # noqa: E402 - the import needs configured Django settings
from django.db import connections  # noqa: E402
from django.test import RequestFactory  # noqa: E402

from conversations.models import Instance  # noqa: E402
from conversations.models.instance import hash_token  # noqa: E402
from conversations.webhooks.views import receive_webhook  # noqa: E402

MESSAGE = b'{"key":{"id":"3EB0","fromMe":false},"message":{"conversation":"%b"}},'
HEAD, TAIL = b'{"event": "messages.upsert", "data": ', b"}"
Parts = tuple[bytes, bytes, bytes]

# kind of body → its beginning, a part that is repeated, and its end; "#" becomes the number of the repetition
KINDS: dict[str, Parts] = {
    "objects": (b"[", b"{},", b"0]"),
    "lists": (b"[", b"[],", b"0]"),
    "small numbers": (b"[", b"0,", b"0]"),
    "numbers": (b"[", b"12345,", b"0]"),
    "floats": (b"[", b"0.5,", b"0]"),
    "texts": (b"[", b'"ab",', b"0]"),
    "pairs": (b"[", b'{"a":{"b":[]}},', b"0]"),
    # As many values as are accepted in 99 MB:
    "some objects": (b"[", b'{},{},{},{},"' + b"x" * 350 + b'",', b"0]"),
    "some floats": (b"[", b'0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,"' + b"x" * 350 + b'",', b"0]"),
    "some pairs": (b"[", b'{"a":{"b":[]}},"' + b"x" * 270 + b'",', b"0]"),
    "some texts": (b"[", b'"a1","b2","c3","d4","e5","f6","g7","h8","' + b"x" * 350 + b'",', b"0]"),
    "one text": (b'"', b"x", b'"'),
    "one text with an emoji": ('"😀'.encode(), b"x", b'"'),
    "one text with an escaped emoji": (rb'"\ud83d\ude00', b"x", b'"'),
    "texts that end with an emoji": (b"[", b'"' + b"x " * 499_000 + rb'\ud83d\ude00",', b"0]"),
    "texts with half an emoji": (b"[", b'"' + b"x " * 499_000 + rb'\ud83d\ude00\ud83d",', b"0]"),
    "one text that ends with an emoji": (b'"', b"x", rb'\ud83d\ude00"'),
    "names with an emoji": (b"{", b'"#' + b"x" * 998_000 + rb'\ud83d\ude00":1,', b'"a":0}'),
    "emojis": (b'"', "😀".encode(), b'"'),
    "long texts of emojis": (b"[", b'"' + "😀".encode() * 1_000_000 + b'",', b"0]"),
    "short texts with an emoji": (b"[", b'"\xf0\x9f\x98\x80' + b"x" * 30 + b'",', b"0]"),
    "short texts with an emoji in a message": (
        b'{"message":{"listMessage":{"sections":[',
        b'"\xf0\x9f\x98\x80' + b"x" * 30 + b'",',
        b"0]}}}",
    ),
    "letters": (b'"', "aя".encode(), b'"'),
    "escapes": (b'"', rb"\u00e9", b'"'),
    "quotes": (b'"', rb"\"", b'"'),
    "messages": (b"[", b'{"key":{"id":"3EB0","fromMe":false},"message":{"conversation":"%b"}},' % (b"x" * 400), b"0]"),
    "messages with emojis": (
        b"[",
        b'{"key":{"id":"3EB0","fromMe":false},"message":{"conversation":"%b"}},' % ("é😀".encode() + b"x" * 400),
        b"0]",
    ),
    "base64": (b'{"key":{"id":"3EB0"},"message":{"base64":"', b"QUJD", b'"}}'),
    "base64 and an emoji": ('{"key":{"id":"3EB0"},"message":{"conversation":"😀","base64":"'.encode(), b"QUJD", b'"}}'),
    "deep lists": (b"[" * 2_000_000, b" ", b""),
    "deep objects": (b'{"a":' * 2_000_000, b" ", b""),
}


def write_body(file: Path, parts: Parts, size: int) -> None:
    """Write a body with about `size` bytes, without holding it in memory."""
    start, part, end = parts
    with file.open("wb") as output:
        output.write(HEAD + start)
        count = (size - len(start)) // len(part)
        if b"#" in part:
            output.writelines(part.replace(b"#", b"%d" % index) for index in range(count))
        else:
            output.writelines(part * 1000 for _ in range(count // 1000))
            output.write(part * (count % 1000))
        output.write(end + TAIL)


def main(size: int, threads: int, kinds: list[str]) -> int:
    """Measure each kind of body; return an exit status."""
    call_command("migrate", verbosity=0)
    instance = Instance.objects.create(name="shop", token_hash=hash_token("secret"))
    connections.close_all()  # a connection of SQLite cannot be used after a fork
    for kind in kinds:
        child = os.fork()
        if not child:
            measure(instance, kind, size, threads)
            os._exit(0)
        if status := os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
            return status
    return 0


def measure(instance: Instance, kind: str, size: int, threads: int) -> None:
    answers: Counter[int] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        body = Path(folder) / "body"
        write_body(body, KINDS[kind], size)
        before = peak()
        running = [threading.Thread(target=post, args=(instance, body, answers)) for _ in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        result = {"kind": kind, "answers": dict(answers), "size": body.stat().st_size, "grown": peak() - before}
    print(json.dumps(result), flush=True)  # noqa: T201 - the test reads the printed line


def post(instance: Instance, body: Path, answers: "Counter[int]") -> None:
    with body.open("rb") as stream:
        request = RequestFactory().post("/", headers={"X-Webhook-Token": "secret"})
        length = str(body.stat().st_size)
        request = WSGIRequest(request.environ | {"wsgi.input": stream, "CONTENT_LENGTH": length})
        answers[receive_webhook(request, instance.name).status_code] += 1
    connections.close_all()


def peak() -> int:
    """Return the largest size of this process's memory so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
