"""Measures event streams and the web server: `python -m tests.benchmarks.streams`.

The benchmark starts PostgreSQL, Valkey and the real application. It opens idle event streams in one server process, and
measures their memory, the connections to the database, how long an event takes to all of them, and how long a stop
takes. Then it compares plain requests with other workers of gunicorn, and runs the load test for the time from a
webhook to a stream. The benchmark prints a report and writes it to `docs/`.
"""

import argparse
import asyncio
import os
import re
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from tests.benchmarks.production import production_servers
from tests.benchmarks.report import markdown
from tests.devstack import servers as stores

DOCS = Path(__file__).resolve().parents[2] / "docs"
STREAMS, STOPPED_STREAMS = 5000, 1000
EVENTS = 6  # each reaches all streams; the first is a warm-up
STREAMS_OF_USER = 900  # one user may have 1,000 in one process
OPENED_AT_ONCE = WARM_UP = 50
SECONDS = 5.0  # of each measure of plain requests
ROUNDS = 3
CONNECTIONS = 8
LOAD_SECONDS = 60.0
LOAD = ("--rate=300", "--followers=0")  # options of the load test
PATIENCE = 120.0  # seconds
QUIET_SECONDS = 3.0  # after which memory and connections are read
CONFIG = "python:whatsai.gunicorn"
HEALTH, LIST = "/health/", "/api/v1/instances/"
# name → gunicorn's options
WORKERS = {
    "this project's worker": [],
    "gunicorn's `gthread`": ["--worker-class=gthread"],
    "gunicorn's `asgi`, Django's ASGI application": ["--worker-class=asgi"],
}


class Bound(NamedTuple):
    """A required maximum, and what was measured."""

    name: str
    unit: str
    measured: float
    maximum: float

    @property
    def cells(self) -> list[str]:
        """The cells of this line of the report."""
        verdict = "" if self.measured <= self.maximum else ", **not met**"
        return [self.name, f"≤ {self.maximum:g} {self.unit}", f"{self.measured:,.1f} {self.unit}{verdict}"]


class Streams(NamedTuple):
    """What idle streams cost: KiB each, connections to the database, and seconds until each stream had an event."""

    kib: float
    connections: tuple[int, int]
    arrivals: list[list[float]]


class Server:
    """One process of the real application, under gunicorn's master."""

    def __init__(self, options: Sequence[str] = (), application: str = "whatsai.wsgi") -> None:
        listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.port: int = listener.getsockname()[1]
        command = [sys.executable, "-m", "gunicorn", "-c", CONFIG, "--log-level=warning", *options]
        with tempfile.TemporaryFile() as output:
            self.process = subprocess.Popen(
                [*command, f"--bind=fd://{listener.fileno()}", application],
                pass_fds=[listener.fileno()],
                stdout=output,
                stderr=output,
                env=os.environ | {"API_RATE_LIMIT": "0", "API_ADDRESS_RATE_LIMIT": "0"},
            )
        listener.close()

    @property
    def memory(self) -> int:
        """The bytes of memory of the worker process."""
        (worker,) = psutil.Process(self.process.pid).children()
        return int(worker.memory_info().rss)


@contextmanager
def serving(*arguments: Any) -> Iterator[Server]:
    """Run a server until the block ends."""
    server = Server(*arguments)
    try:
        yield server
    finally:
        server.process.terminate()
        server.process.wait(PATIENCE)


class Stream(asyncio.Protocol):
    """One open stream, which notes when an event with a mark arrives."""

    def __init__(self, request: bytes, mark: bytes, arrivals: list[float]) -> None:
        self.request, self.mark, self.arrivals = request, mark, arrivals
        self.is_open = self.is_ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        """Note the response, and the mark."""
        if not self.is_open and not data.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"a stream was refused: {data[:200]!r}")
        self.is_open = True
        if self.mark in data:
            self.arrivals.append(time.monotonic())

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio defines the signature
        """Note the end of the stream."""
        self.is_ended = True


def _same(stream: Stream) -> Stream:
    return stream


class Site:
    """Rows and tokens for the requests."""

    def __init__(self, streams: int) -> None:
        from django.contrib.auth.models import User  # noqa: PLC0415 - the import needs configured Django settings

        from conversations.models import ApiToken  # noqa: PLC0415 - the import needs configured Django settings
        from tests.conversations.rows import a_chat, an_instance  # noqa: PLC0415 - the import needs configured Django settings

        self.chat = a_chat(an_instance()).pk
        users = [
            User.objects.create_superuser(f"user-{number}") for number in range(-(-streams // STREAMS_OF_USER) + 1)
        ]
        self.tokens = [ApiToken.objects.issue(user)[1] for user in users]

    def request(self, path: str, method: str = "GET", user: int = 0) -> bytes:
        """Return the bytes of a request of a user."""
        return (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self.tokens[user]}\r\n\r\n".encode()
        )

    def change(self, number: int) -> bytes:
        """Return the bytes of a request that changes the conversation."""
        return self.request(f"/api/v1/conversations/{self.chat}/{'pin' if number % 2 else 'unpin'}/", "POST")


async def wait_until(is_true: Any, seconds: float = PATIENCE) -> None:
    """Wait until a function returns true."""
    async with asyncio.timeout(seconds):
        while not is_true():  # noqa: ASYNC110 - thousands of connections change what is awaited
            await asyncio.sleep(0.005)


async def ask(port: int, request: bytes) -> None:
    """Send a request, and wait for its response."""
    from tests.load.http_client import ConnectionPool  # noqa: PLC0415 - the import needs configured Django settings

    pool = ConnectionPool("127.0.0.1", port, 1)
    response = await pool.send(request, PATIENCE)
    pool.close()
    if response.status != 200:
        raise RuntimeError(f"{request[:100]!r} was answered {response.status}: {response.body[:200]!r}")


async def open_streams(server: Server, site: Site, count: int, arrivals: list[float]) -> list[Stream]:
    """Open streams, some at a time."""
    mark = b'"id":%d,' % site.chat
    streams: list[Stream] = []
    for number in range(count):
        request = site.request("/api/v1/events/", user=number // STREAMS_OF_USER)
        stream = Stream(request, mark, arrivals)
        await asyncio.get_running_loop().create_connection(partial(_same, stream), "127.0.0.1", server.port)
        streams.append(stream)
        if number % OPENED_AT_ONCE == OPENED_AT_ONCE - 1:
            await wait_until(lambda: all(one.is_open for one in streams[-OPENED_AT_ONCE:]))
    await wait_until(lambda: all(one.is_open for one in streams))
    return streams


async def measure_streams(server: Server, site: Site, count: int) -> Streams:
    """Open streams, and let events reach all of them."""
    for number in range(EVENTS):
        await ask(server.port, site.change(number))
    arrivals: list[float] = []
    warm_up = await open_streams(server, site, WARM_UP, arrivals)  # all threads have been used then
    await asyncio.sleep(QUIET_SECONDS)
    memory, connections = server.memory, await asyncio.to_thread(count_connections)
    streams = await open_streams(server, site, count, arrivals)
    await asyncio.sleep(QUIET_SECONDS)
    kib = (server.memory - memory) / count / 1024
    connections_after = await asyncio.to_thread(count_connections)
    seconds = []
    for number in range(EVENTS):
        arrivals.clear()
        await ask(server.port, site.change(number))
        written_at = time.monotonic()
        await wait_until(lambda: len(arrivals) == WARM_UP + count)
        seconds.append([at - written_at for at in arrivals])
    for stream in (*warm_up, *streams):
        stream.transport.abort()
    return Streams(kib, (connections, connections_after), seconds[1:])


def count_connections() -> int:
    """Return how many connections other processes have to the database."""
    from django.db import connection  # noqa: PLC0415 - the import needs configured Django settings

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        count: int = cursor.fetchone()[0]
    connection.close()
    return count


async def measure_stop(server: Server, site: Site, count: int) -> float:
    """Open streams, stop the server, and return the seconds until its processes have ended."""
    await ask(server.port, site.request(LIST))
    streams = await open_streams(server, site, count, [])
    start = time.monotonic()
    server.process.terminate()
    await asyncio.to_thread(server.process.wait, PATIENCE)
    seconds = time.monotonic() - start
    await wait_until(lambda: all(stream.is_ended for stream in streams))
    return seconds


class Repeater(asyncio.Protocol):
    """Sends a request again and again over one connection, and counts the responses, also those sent in chunks."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.received = b""
        self.answered = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        """Send the next request when a response is complete."""
        self.received += data
        head, _, body = self.received.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        if len(body) >= int(length[1]) if length else body.endswith(b"0\r\n\r\n"):
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"{self.request[:100]!r} was answered {head[:100]!r}")
            self.answered += 1
            self.received = b""
            self.transport.write(self.request)


async def measure_requests(port: int, request: bytes, seconds: float) -> float:
    """Return how many requests a second are answered over some connections."""
    loop = asyncio.get_running_loop()
    opened = [await loop.create_connection(partial(Repeater, request), "127.0.0.1", port) for _ in range(CONNECTIONS)]
    repeaters = [repeater for _, repeater in opened]
    await wait_until(
        lambda: all(repeater.answered for repeater in repeaters)
    )  # the first response of a process is slow
    before, start = sum(repeater.answered for repeater in repeaters), time.monotonic()
    await asyncio.sleep(seconds)
    answered, elapsed = sum(repeater.answered for repeater in repeaters) - before, time.monotonic() - start
    for repeater in repeaters:
        repeater.transport.abort()
    return answered / elapsed


def compare_workers(site: Site, seconds: float) -> dict[str, dict[str, float]]:
    """Return worker → path → requests a second: the median of rounds that measure one worker after the other."""
    found: dict[str, dict[str, list[float]]] = {name: {HEALTH: [], LIST: []} for name in WORKERS}
    for _ in range(ROUNDS):
        for name, options in WORKERS.items():
            application = "whatsai.asgi" if "asgi" in name else "whatsai.wsgi"
            with serving(options, application) as server:
                for path in (HEALTH, LIST):
                    found[name][path].append(asyncio.run(measure_requests(server.port, site.request(path), seconds)))
    return {name: {path: statistics.median(rates) for path, rates in paths.items()} for name, paths in found.items()}


def measure_load(port: int, seconds: float) -> list[float]:
    """Run the load test, and return the seconds from each webhook until its message arrived in a stream."""
    from tests.load import access  # noqa: PLC0415 - the import needs configured Django settings
    from tests.load.options import Options  # noqa: PLC0415 - the import needs configured Django settings
    from tests.load.run import run_with  # noqa: PLC0415 - the import needs configured Django settings

    options = Options.parse(["--url", f"http://127.0.0.1:{port}", f"--seconds={seconds}", *LOAD])
    with access.api_token() as token:
        return run_with(options, token).lags.streamed


@contextmanager
def ingesting() -> Iterator[None]:
    """Run as many ingest workers as `make stack` does until the block ends."""
    command = [sys.executable, "manage.py", "ingest"]
    workers = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(2)]
    try:
        yield
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait(PATIENCE)


def report(count: int, streams: Streams, stop: float, lags: Sequence[float], rates: dict[str, dict[str, float]]) -> str:
    """Return the report as Markdown."""
    from tests.benchmarks.machine import describe  # noqa: PLC0415 - the import needs configured Django settings
    from tests.load.report import percentile  # noqa: PLC0415 - the import needs configured Django settings

    before, after = streams.connections
    medians = [statistics.median(seconds) for seconds in streams.arrivals]
    lines = [
        Bound("memory of one idle stream", "KiB", streams.kib, 20),
        Bound(f"connections to the database that {count:,} streams add", "", after - before, 0),
        Bound("an event reaches half of the streams, median", "ms", statistics.median(medians) * 1000, 150),
        Bound("an event reaches all streams, the slowest event", "ms", max(map(max, streams.arrivals)) * 1000, 500),
        Bound(f"a server with {min(count, STOPPED_STREAMS):,} streams stops", "s", stop, 3),
        Bound("from webhook to stream, median", "ms", percentile(lags, 50) * 1000, 1000),
        Bound("from webhook to stream, 99th percentile", "ms", percentile(lags, 99) * 1000, 1000),
    ]
    names = [[name, *(f"{paths[path]:,.0f}" for path in (HEALTH, LIST))] for name, paths in rates.items()]
    return f"""# Event streams

`make bench-streams` writes this page. {describe()} One server process with eight threads has {count:,} open streams.
The client, PostgreSQL and Valkey share the cores with it. Times of events begin with the answer to the request that
causes them. The time from webhook to stream is measured by the [load test](operations.md#load-test) with
{len(lags):,} messages, at 300 webhooks a second, without disasters, with two server processes and two ingest workers.

{markdown(["", "required", "measured"], [line.cells for line in lines])}

Plain requests a second over {CONNECTIONS} connections, with one process and eight threads; medians of {ROUNDS} rounds:

{markdown(["", HEALTH, f"{LIST}, cached"], names)}
"""


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark, print its report, and write the report to `docs/`."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.streams", description=__doc__)
    parser.add_argument("--streams", type=int, default=STREAMS, help="only the default (%(default)s) writes to docs/")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each measure of requests (%(default)s)")
    parser.add_argument("--load", type=float, default=LOAD_SECONDS, help="seconds of the load test (%(default)s)")
    options = parser.parse_args(arguments)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with production_servers(stores.DURABLE):
        site = Site(options.streams)
        with serving() as server:
            streams = asyncio.run(measure_streams(server, site, options.streams))
        with serving() as server:
            stop = asyncio.run(measure_stop(server, site, min(options.streams, STOPPED_STREAMS)))
        rates = compare_workers(site, options.seconds)
        with serving(["--workers=2", "--threads=6"]) as server, ingesting():
            lags = measure_load(server.port, options.load)
        text = report(options.streams, streams, stop, lags, rates)
    print(text)
    if options.streams == STREAMS:
        (DOCS / "benchmarks-streams.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
