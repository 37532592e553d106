"""Posts bodies from several threads, at once or in turn, to the webhook view; prints the answers and the memory.

`python -m tests.conversations.webhooks.memory_probe BYTES THREADS at-once|in-turn KIND…` prints one line of JSON for
each kind: by how many bytes the memory has `grown` at most, and how many it has `kept` while the threads wait. Each
kind has a forked process of its own, so that no kind finds memory that another kind has used. Needs Linux.
"""

import json
import os
import sys
import tempfile
import threading
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
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
CHUNK = 1_000_000
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
    "long texts with an emoji in a message": (
        b'{"message":{"listMessage":{"sections":[',
        b'"' + b"x " * 499_000 + rb'\ud83d\ude00",',
        b"0]}}}",
    ),
    "long texts with an emoji in members": (
        b'{"message":{"listMessage":{',
        b'"#":"' + b"x " * 499_000 + rb'\ud83d\ude00",',
        b'"a":0}}}',
    ),
    "messages of letters and emojis": (b"[", b'{"message":{"conversation":"%b"}},' % ("xxx😀".encode() * 140), b"0]"),
    "short records": (b"[", b'{"a":"%b","b":{"c":[1]}},' % (b"x" * 70 + "ж".encode()), b"0]"),
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
    "escaped emojis": (b'"', rb"\ud83d\ude00", b'"'),
    "texts of escaped emojis": (b"[", b'"' + rb"\ud83d\ude00" * 80_000 + b'",', b"0]"),
    "escaped base64": (b'{"key":{"id":"3EB0"},"message":{"base64":"', rb"\u0051QUJD", b'"}}'),
    "messages with base64": (
        b"[",
        b'{"key":{"id":"3EB0","fromMe":false},"message":{"base64":"' + b"QUJD" * 100_000 + b'"}},',
        b"0]",
    ),
    "messages with large base64": (
        b"[",
        b'{"key":{"id":"3EB0","fromMe":false},"message":{"base64":"' + b"QUJD" * 5_000_000 + b'"}},',
        b"0]",
    ),
    "bytes as numbers": (b'{"key":{"id":"3EB0"},"message":{"base64":[', b"255 " + b" " * 36 + b",", b"0]}}"),
    "bytes by index": (b'{"key":{"id":"3EB0"},"message":{"base64":{', b'"#":255' + b" " * 70 + b",", b'"a":0}}}'),
    "long integers": (b"[", b"9" * 300 + b",", b"0]"),
    "nested messages": (b"[", b'{"a":' * 90 + b'"' + b"x" * 4000 + b'"' + b"}" * 90 + b",", b"0]"),
    "white space": (b"[", b" ", b"0]"),
    "deep lists": (b"[" * 2_000_000, b" ", b""),
    "deep objects": (b'{"a":' * 2_000_000, b" ", b""),
}

# Where short values may be. A value in a place is a kind, too, such as "1.5 in a member".
PLACES: dict[str, Callable[[bytes], Parts]] = {
    "in data": lambda value: (b"[", value + b",", b"0]"),
    "in a member": lambda value: (b'{"message":{"a":[', value + b",", b"0]}}"),
    "as members": lambda value: (b'{"message":{"a":{', b'"#":' + value + b",", b'"a":0}}}'),
    "in lists": lambda value: (b'{"message":{"a":[', repeat(value, 500), b"0]}}"),
    "in long lists": lambda value: (b'{"message":{"a":[', repeat(value, 500_000), b"0]}}"),
    "in large lists": lambda value: (b'{"message":{"a":[', repeat(value, 2_000_000), b"0]}}"),
    "in records": lambda value: (b"[", b'{"a":%b"b":0},' % repeat(value, 1), b"0]"),
    "in long records": lambda value: (b"[", b'{"a":%b"b":0},' % repeat(value, 500_000), b"0]"),
    "in large records": lambda value: (b"[", b'{"a":%b"b":0},' % repeat(value, 2_000_000), b"0]"),
}


def repeat(value: bytes, size: int) -> bytes:
    """Return an array of about `size` bytes with one value again and again, and a comma."""
    return b"[" + (value + b",") * (size // len(value) + 1) + b"0],"


def parts_of(kind: str) -> Parts:
    """Return the parts of a body of a kind."""
    if kind in KINDS:
        return KINDS[kind]
    value, _, place = kind.partition(" ")
    return PLACES[place](value.encode())


def write_body(file: Path, parts: Parts, size: int) -> None:
    """Write a body with about `size` bytes, without holding it in memory."""
    start, part, end = parts
    with file.open("wb") as output:
        output.write(HEAD + start)
        count = (size - len(start)) // len(part)
        if b"#" in part:
            output.writelines(part.replace(b"#", b"%d" % index) for index in range(count))
        else:
            step = max(CHUNK // len(part), 1)
            output.writelines(part * step for _ in range(count // step))
            output.write(part * (count % step))
        output.write(end + TAIL)


def main(size: int, threads: int, order: str, kinds: list[str]) -> int:
    """Measure each kind of body; return an exit status."""
    call_command("migrate", verbosity=0)
    instance = Instance.objects.create(name="shop", token_hash=hash_token("secret"))
    connections.close_all()  # a connection of SQLite cannot be used after a fork
    for kind in kinds:
        if status := in_child(measure, instance, kind, size, threads, order):
            return status
    return 0


def in_child(function: Callable[..., None], *arguments: object) -> int:
    """Call a function in a forked process; return the process's exit status, 1 after an error."""
    child = os.fork()
    if not child:
        status = 1
        try:
            function(*arguments)
            status = 0
        finally:
            if status:
                traceback.print_exc()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def measure(instance: Instance, kind: str, size: int, threads: int, order: str) -> None:
    answers: Counter[int] = Counter()
    turn: AbstractContextManager[object] = threading.Lock() if order == "in-turn" else nullcontext()
    posted, measured = threading.Barrier(threads + 1), threading.Event()

    def run() -> None:
        with turn:
            post(instance, body, answers)
        posted.wait()
        measured.wait()
        connections.close_all()

    with tempfile.TemporaryDirectory() as folder:
        body = Path(folder) / "body"
        write_body(body, parts_of(kind), size)
        before = reset_peak()
        running = [threading.Thread(target=run) for _ in range(threads)]
        for thread in running:
            thread.start()
        posted.wait()
        grown, kept = peak() - before, reset_peak() - before
        measured.set()
        for thread in running:
            thread.join()
        memory = {"size": body.stat().st_size, "grown": grown, "kept": kept}
    print(json.dumps({"kind": kind, "answers": dict(answers), **memory}), flush=True)  # noqa: T201 - the test reads the printed line


def post(instance: Instance, body: Path, answers: "Counter[int]") -> None:
    with body.open("rb") as stream:
        request = RequestFactory().post("/", headers={"X-Webhook-Token": "secret"})
        length = str(body.stat().st_size)
        request = WSGIRequest(request.environ | {"wsgi.input": stream, "CONTENT_LENGTH": length})
        answers[receive_webhook(request, instance.name).status_code] += 1


def reset_peak() -> int:
    """Make this process's peak of memory its memory now; return it in bytes."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return peak()


def peak() -> int:
    """Return the largest size of this process's memory since `reset_peak`, in bytes.

    `ru_maxrss` would contain the memory of the process that started this one.
    """
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:]))
