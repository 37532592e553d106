"""Measures how long the API takes with a large database: `python -m tests.benchmarks.scale`.

The benchmark starts PostgreSQL and Valkey, fills the tables (`scale_rows`), and requests each list, filter, search,
thread and counter: the first page and page 1,000, for a token of one instance and of all, cold and warm. Before a cold
request, the caches are cleared; a warm request repeats the one before. The requests go through Django's handler in this
process, so the times contain everything but the web server and the network.
"""

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from tests.benchmarks.production import production_servers
from tests.benchmarks.report import markdown
from tests.devstack import servers as stores

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
CONVERSATIONS = 1_000_000
REQUESTS = 40  # requests of each measure; the warm ones repeat the cold ones
PAGE, DEEP_PAGE = 50, 1000
NOT_MET = "not met"
MAX_COLD, MAX_WARM = 0.1, 0.005  # required p95, seconds
SETTINGS = (*stores.EPHEMERAL, "shared_buffers=2GB", "max_wal_size=8GB", "jit=off")
FREQUENT = ("bom dia", "pedido", "obrigada", "acao", "joao", "entrega amanha")
RARE = ("palavra4711", "palavra1234 palavra77", "quirino", "zuleica xavier")
MIXED = ("bom palavra4711", "obrigada quirino", "pedido palavra77")
NAMES = ("maria", "joao silva", "conceicao", "zuleica xavier", "ana", "silva")


class Measure(NamedTuple):
    """One kind of request.

    Attributes:
        name: the name in the report.
        path: the path and query below `/api/v1/`, with names in braces to fill in, such as `{frequent}` and `{chat}`.
        order: the names of the model and of its order, for the cursor of a page far from the first; "" without pages.
    """

    name: str
    path: str
    order: str = ""


MEASURES = (
    Measure("instances", "instances/?"),
    Measure("conversations", "conversations/?", "conversation"),
    Measure("conversations, unread", "conversations/?unread=true", "conversation"),
    Measure("conversations, archived", "conversations/?archived=true", "conversation"),
    Measure("conversations, pinned", "conversations/?pinned=true", "conversation"),
    Measure("conversations, muted", "conversations/?muted=true", "conversation"),
    Measure("conversations, groups", "conversations/?kind=group", "conversation"),
    Measure("conversations with a label", "conversations/?label=7"),
    Measure("conversations, unread and not archived", "conversations/?unread=true&archived=false", "conversation"),
    Measure("conversations, deleted", "conversations/?deleted=true", "conversation"),
    Measure("conversations, active after a time", "conversations/?active_after=2026-06-01T00:00Z", "conversation"),
    Measure("conversations, active before a time", "conversations/?active_before=2026-06-01T00:00Z", "conversation"),
    Measure("conversations of some contacts", "conversations/?contact={chat}"),
    Measure("conversations by their ids", "conversations/?ids={chat}"),
    Measure("inbox with contacts and instances", "conversations/?expand=contact,instance", "conversation"),
    Measure("counters", "conversations/counters/?"),
    Measure("contacts", "contacts/?", "contact"),
    Measure("messages", "messages/?", "message"),
    Measure("messages, images", "messages/?kind=image", "message"),
    Measure("messages, sent", "messages/?from_me=true", "message"),
    Measure("messages, failed", "messages/?status=failed"),
    Measure("messages after a time", "messages/?after=2026-06-01T00:00Z", "message"),
    Measure("messages before a time", "messages/?before=2026-06-01T00:00Z", "message"),
    Measure("messages of a sender", "messages/?sender={chat}"),
    Measure("messages of a conversation", "messages/?conversation={chat}"),
    Measure("messages by their ids", "messages/?ids={chat}"),
    Measure("messages by a WhatsApp id", "messages/?key_id=3EB0{chat}"),
    Measure("one conversation", "conversations/{chat}/?"),
    Measure("thread of a conversation", "conversations/{chat}/messages/?"),
    Measure("thread from the first unread message", "conversations/{chat}/messages/?anchor=first_unread"),
    Measure("search for messages, frequent word", "search/messages/?q={frequent}", "message"),
    Measure("search for messages, rare word", "search/messages/?q={rare}", "message"),
    Measure("search for messages, frequent and rare word", "search/messages/?q={mixed}", "message"),
    Measure("search for messages by number", "search/messages/?q={number}", "message"),
    Measure("search for conversations by name", "search/conversations/?q={name}", "conversation"),
    Measure("search for conversations by number", "search/conversations/?q={number}"),
    Measure("search for contacts by name", "search/contacts/?q={name}", "found contact"),
    Measure("search for contacts by number", "search/contacts/?q={number}"),
)


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark, print its report, and write the report to `docs/`."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.scale", description=__doc__)
    parser.add_argument(
        "--conversations",
        type=int,
        default=CONVERSATIONS,
        help="number of conversations; only the default (%(default)s) writes to docs/",
    )
    options = parser.parse_args(arguments)
    with production_servers(SETTINGS):
        start = time.perf_counter()
        from tests.benchmarks import scale_rows  # noqa: PLC0415 - the import needs configured Django settings

        scale_rows.fill(options.conversations)
        print(f"filled in {time.perf_counter() - start:.0f} s", flush=True)
        text = report(options.conversations, list(_measure_all(options.conversations)))
    print(text)
    if options.conversations == CONVERSATIONS:
        (DOCS / "benchmarks-scale.md").write_text(text, encoding="utf-8")


def _measure_all(conversations: int) -> Iterator[tuple[str, ...]]:
    """Run each measure; yield the rows of the report."""
    from django.contrib.auth.models import User  # noqa: PLC0415 - the import needs configured Django settings
    from rest_framework.test import APIClient  # noqa: PLC0415 - the import needs configured Django settings

    from conversations.models import ApiToken, Membership  # noqa: PLC0415 - the import needs configured settings

    one, every = User.objects.create_user("one"), User.objects.create_user("all", is_superuser=True)
    Membership.objects.create(user=one, instance_id=1, role="agent")
    for scope, user in (("one instance", one), ("all", every)):
        _, token = ApiToken.objects.issue(user)
        client = APIClient(headers={"Authorization": f"Token {token}"}, SERVER_NAME="127.0.0.1")
        for measure in MEASURES:
            for page in (1, DEEP_PAGE) if measure.order else (1,):
                cold, warm = _times(client, measure, page, conversations, scope)
                row = (measure.name, scope, f"{page:,}", _shown(cold, MAX_COLD), _shown(warm, MAX_WARM))
                print(*row, sep=" | ", flush=True)
                yield row


def _times(client: Any, measure: Measure, page: int, conversations: int, scope: str) -> tuple[list[float], list[float]]:
    """Return the seconds of the cold and of the warm requests."""
    from cachelayer import cache  # noqa: PLC0415 - the import needs configured Django settings

    chosen, cold, warm = random.Random(2026), [], []
    cursor = _deep_cursor(measure.order, scope) if page != 1 else ""
    for number in range(REQUESTS):
        chat = chosen.randrange(conversations // 100) * 100 + 100  # a conversation of the first instance
        values = {
            "chat": chat,
            "frequent": FREQUENT[number % len(FREQUENT)],
            "mixed": MIXED[number % len(MIXED)],
            "rare": RARE[number % len(RARE)],
            "name": NAMES[number % len(NAMES)],
            "number": f"{11 + chat % 80} {900_000_000 + chat}",
        }
        url = f"/api/v1/{measure.path.format(**values)}&cursor={cursor}".replace(" ", "+")
        url = url.removesuffix("&cursor=").removesuffix("?") if not cursor else url
        cache.clear_all()
        client.get("/api/v1/instances/")  # reads the token and the access
        cold.append(_timed(partial(client.get, url)))
        client.get(url)
        warm.append(_timed(partial(client.get, url)))
    return cold, warm


def _deep_cursor(model: str, scope: str) -> str:
    """Return the cursor of the page that begins after as many rows as 999 pages have, or in the middle of the list."""
    from conversations.db.keyset import cursor_at  # noqa: PLC0415 - the import needs configured Django settings
    from conversations.models import Contact, Conversation, Message  # noqa: PLC0415 - as above
    from conversations.models.contact import BY_NAME  # noqa: PLC0415 - as above
    from conversations.models.conversation import LATEST_FIRST as LATEST_CONVERSATION_FIRST  # noqa: PLC0415 - as above
    from conversations.models.message import LATEST_FIRST  # noqa: PLC0415 - as above
    from conversations.search.find import NEWEST_FIRST  # noqa: PLC0415 - as above

    table: dict[str, tuple[Any, tuple[str, ...]]] = {
        "contact": (Contact, BY_NAME),
        "found contact": (Contact, NEWEST_FIRST),
        "conversation": (Conversation, LATEST_CONVERSATION_FIRST),
        "message": (Message, LATEST_FIRST),
    }
    rows, order = table[model]
    rows = rows.objects.order_by(*order)
    rows = rows.filter(instance=1) if scope != "all" else rows
    before = min((DEEP_PAGE - 1) * PAGE, rows.count() // 2)
    return cursor_at(rows[before], order, "next")


def _timed(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    response = call()
    seconds = time.perf_counter() - start
    if response.status_code != 200:
        raise RuntimeError(f"{response.status_code}: {response.content!r}")
    return seconds


def _shown(seconds: list[float], required: float) -> str:
    p95 = statistics.quantiles(seconds, n=20)[-1]
    return f"{p95 * 1e3:.1f} ms" + ("" if p95 <= required else f", **{NOT_MET}**")


def report(conversations: int, rows: Sequence[Sequence[str]]) -> str:
    """Return the report as Markdown."""
    heads = ["", "token of", "page", f"cold (≤ {MAX_COLD * 1e3:.0f} ms)", f"warm (≤ {MAX_WARM * 1e3:.0f} ms)"]
    return f"""# The API with a large database

`make bench-scale` writes this page. PostgreSQL contains {conversations:,} conversations and {conversations * 10:,}
messages in 100 instances. The times are the 95th percentiles of {REQUESTS} requests. Before a cold request, all
caches were cleared; a warm request repeats the one before. The requests go through Django's handler in one process,
without web server and network. PostgreSQL, Valkey and the process share the cores of one machine. If a list is too
short for 1,000 pages, the page is one from the middle of the list.

{_verdict(rows)}

{markdown(heads, rows)}
"""


def _verdict(rows: Sequence[Sequence[str]]) -> str:
    """Return a sentence on how many rows of the report meet the requirements."""
    missed = sum(any(NOT_MET in cell for cell in row) for row in rows)
    return f"{len(rows) - missed} of {len(rows)} rows meet both requirements; the others say **{NOT_MET}**."


if __name__ == "__main__":
    main(sys.argv[1:])
