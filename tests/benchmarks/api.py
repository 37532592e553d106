"""Measures answers of the API from the cache: `python -m tests.benchmarks.api` writes `docs/benchmarks-api.md`.

One server of each kind runs on the same PostgreSQL and Valkey, as in production but with one process. Each round asks
all of them in turn, so that a slow moment of the machine affects all. Then four clients write and read through a server
of four processes, and every read is compared with the write before it.
"""

import argparse
import os
import socket
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tests import isolation
from tests.benchmarks.api_client import Connection, Response, rate, request
from tests.benchmarks.api_coherence import Result, write_and_read
from tests.benchmarks.peers import BY_NAME, CACHALOT, CACHEOPS, NO_CACHE, OURS
from tests.benchmarks.report import markdown
from tests.devstack import folders
from tests.devstack.process import Program
from tests.servers import running, servers

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
CLIENTS = 4
READY_TIMEOUT = 30.0  # seconds
HEAD = """# Benchmarks of the API

`make bench-api` writes this page: requests a second to one server process with eight threads, over eight connections,
in one run on one machine. The constant is a DRF view on the same server that authenticates from memory and returns the
same bytes. cacheops and cachalot serve the same data by the same views, without the project's cache."""


@dataclass(frozen=True)
class Measure:
    """One kind of request.

    Attributes:
        name: the name in the report.
        server: the server that is asked: `OURS`, `NO_CACHE`, or a library of `peers`.
        prefix: what the path of the answer follows.
        is_conditional: whether the request has the ETag of the answer.
    """

    name: str
    server: str
    prefix: str = "/api/v1/"
    is_conditional: bool = False


CONSTANT, HIT, NOT_MODIFIED = "DRF, a constant", "WhatsAI, a hit", "WhatsAI, 304"
MEASURES = (
    Measure(CONSTANT, OURS, "/api/constant/"),
    Measure(HIT, OURS),
    Measure(NOT_MODIFIED, OURS, is_conditional=True),
    Measure("WhatsAI, cache off", NO_CACHE),
    Measure("DRF, cacheops", CACHEOPS),
    Measure("DRF, cachalot", CACHALOT),
)
# (figure, the figure that it is compared with, the least ratio)
TARGETS = ((HIT, CONSTANT, 0.8), (NOT_MODIFIED, CONSTANT, 1.0), (HIT, "WhatsAI, cache off", 5.0))

Rates = dict[str, dict[str, list[float]]]  # name of the answer → name of the measure → requests/s of each round


def main(arguments: list[str]) -> None:
    """Run the benchmark, print its report, and write the report to `docs/`."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.api", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds; the report shows medians (default 5)")
    parser.add_argument("--seconds", type=float, default=1.5, help="seconds of each measure and round (default 1.5)")
    parser.add_argument("--pairs", type=int, default=100_000, help="pairs of a write and a read (default 100,000)")
    parser.add_argument("--quick", action="store_true", help="do not write to docs/")
    options = parser.parse_args(arguments)
    with servers({}) as variables, folders.short_tempdir() as folder:
        os.environ.update(variables)
        isolation.set_up(database=variables["DATABASE_URL"])
        from tests.benchmarks import machine, rows  # noqa: PLC0415 - the import needs configured Django settings

        dataset = rows.create()
        token = _issue_token()
        answers = {
            "a conversation": f"conversations/{dataset.hot_rows[0]}/",
            "a list of 50": f"conversations/?instance={dataset.instance}",
        }
        measured = [one for one in MEASURES if _is_installed(one.server)]
        rates = _rates(folder, measured, answers, token, options.rounds, options.seconds)
        chats = [(pk, dataset.instance) for pk in _latest_of(dataset.instance, CLIENTS)]
        result = _coherence(folder, token, chats, options.pairs)
        text = report(rates, result, machine.describe())
    print(text)
    if not options.quick:
        (DOCS / "benchmarks-api.md").write_text(text, encoding="utf-8")


def _is_installed(server: str) -> bool:
    return server not in BY_NAME or not BY_NAME[server].package or find_spec(server) is not None


def _issue_token() -> str:
    from django.contrib.auth.models import User  # noqa: PLC0415 - the import needs configured Django settings

    from conversations.models import ApiToken  # noqa: PLC0415 - the import needs configured Django settings

    return ApiToken.objects.issue(User.objects.create_superuser("bench"))[1]


def _latest_of(instance: int, count: int) -> list[int]:
    from conversations.models import Conversation  # noqa: PLC0415 - the import needs configured Django settings

    rows = Conversation.objects.filter(instance=instance).order_by("-last_message_at", "-id")
    return list(rows.values_list("pk", flat=True)[:count])


# --- servers ----------------------------------------------------------------------------------------------------------
@contextmanager
def _serving(folder: Path, number: int, name: str, *, processes: int = 1) -> Iterator[int]:
    """Run a server; yield its port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    port: int = listener.getsockname()[1]
    options = ["--log-level", "warning", "--bind", f"fd://{listener.fileno()}", "--workers", str(processes)]
    command = [sys.executable, "-m", "gunicorn", "-c", "python:whatsai.gunicorn", *options]
    # Each server has its own prefix, so that no server reads entries of another one.
    environ = {**os.environ, "BENCH_PEER": name, "CACHE_PREFIX": f"bench-{number}", "LOG_DIR": str(folder / "log")}
    server = Program(
        name=f"server-{number}",
        command=[*command, "tests.benchmarks.api_server:application"],
        folder=folder,
        environ={**environ, "PYTHONPATH": str(DOCS.parent)},
        descriptors=(listener.fileno(),),
        stop_timeout=30.0,
    )
    with running(server):
        listener.close()
        yield port


def _rates(  # noqa: PLR0913, PLR0917 - the parts of one run
    folder: Path, measures: Sequence[Measure], answers: Mapping[str, str], token: str, rounds: int, seconds: float
) -> Rates:
    """Measure all kinds of requests; return the requests per second of each round."""
    rates: Rates = {answer: {one.name: [] for one in measures} for answer in answers}
    with ExitStack() as stack:
        names = dict.fromkeys(one.server for one in measures)
        ports = {name: stack.enter_context(_serving(folder, number, name)) for number, name in enumerate(names)}
        requests = {
            (answer, one.name): _prepare(ports[one.server], one, path, token)
            for answer, path in answers.items()
            for one in measures
        }
        for _ in range(rounds):
            for answer in answers:
                for one in measures:
                    sent, status = requests[answer, one.name]
                    rates[answer][one.name].append(rate(ports[one.server], sent, status, seconds))
    return rates


def _prepare(port: int, measure: Measure, path: str, token: str) -> tuple[bytes, int]:
    """Warm the server up; return the bytes of the request, and the status of its response."""
    url = measure.prefix + path
    is_hit = measure.name in {HIT, NOT_MODIFIED}
    first = (_wait_for_hit if is_hit else _ask)(port, request("GET", url, token))
    headers = {"If_None_Match": first.header("ETag")} if measure.is_conditional else {}
    sent = request("GET", url, token, **headers)
    rate(port, sent, status := 304 if measure.is_conditional else 200, 0.3)
    return sent, status


def _wait_for_hit(port: int, sent: bytes) -> Response:
    """Send a request until its answer comes from the cache: a process does not trust a new store for two seconds."""
    deadline = time.monotonic() + READY_TIMEOUT
    while "detail=answer" not in (response := _ask(port, sent)).header("Cache-Status"):
        if time.monotonic() > deadline:
            raise SystemExit(f"{sent.splitlines()[0]!r} is no hit: {response.header('Cache-Status')}")
        time.sleep(0.1)
    return response


def _ask(port: int, sent: bytes) -> Response:
    connection = Connection(port)
    response = connection.ask(sent)
    connection.socket.close()
    return response


def _coherence(folder: Path, token: str, chats: Sequence[tuple[int, int]], pairs: int) -> Result:
    with _serving(folder, len(MEASURES), OURS, processes=CLIENTS) as port:
        _wait_for_hit(port, request("GET", f"/api/v1/conversations/{chats[0][0]}/", token))
        return write_and_read(port, token, chats, pairs)


# --- the report -------------------------------------------------------------------------------------------------------
def report(rates: Rates, result: Result, machine: str) -> str:
    """Return the report as Markdown."""
    medians = {
        answer: {name: statistics.median(values) for name, values in by_name.items()}
        for answer, by_name in rates.items()
    }
    rows = [
        (name, *(cell for answer in medians for cell in _cells(medians[answer], rates[answer][name], name)))
        for name in next(iter(medians.values()))
    ]
    heads = [head for answer in medians for head in (f"{answer}: requests/s", "× constant", "spread")]  # noqa: RUF001 - the text contains a multiplication sign
    targets = [
        (f"{name} ÷ {base}, {answer}", f"≥ {least}", f"{found[name] / found[base]:.2f}")
        for name, base, least in TARGETS
        for answer, found in medians.items()
    ]
    stale = ", ".join(result.stale[:5]) or "none"
    answered = ", ".join(f"{count:,} {status}" for status, count in sorted(result.statuses.items()))
    coherence = (
        f"{result.pairs:,} pairs of a write and a read of the same row, or of a list with it, by {CLIENTS} clients "
        f"over connections to {CLIENTS} processes; half of the reads with `Cache-Control: no-cache`. Stale reads: "
        f"**{len(result.stale)}** ({stale}). `Cache-Status` of the reads: {answered}."
    )
    return (
        "\n\n".join(
            [
                HEAD,
                machine,
                "## Targets\n\n" + markdown(("measure", "target", "result"), targets),
                "## Requests a second\n\n" + markdown(["", *heads], rows),
                "## Coherence\n\n" + coherence,
            ]
        )
        + "\n"
    )


def _cells(medians: Mapping[str, float], values: Sequence[float], name: str) -> tuple[str, str, str]:
    spread = (max(values) - min(values)) / 2 / statistics.median(values)
    return f"{medians[name]:,.0f}", f"{medians[name] / medians[CONSTANT]:.2f}", f"±{spread:.0%}"


if __name__ == "__main__":
    main(sys.argv[1:])
