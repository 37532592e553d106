"""One run, step by step: post everything, wait until all of it is applied, judge."""

import asyncio
import gc
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from django.db import Error as DatabaseError
from django.db import connection, connections

from conversations.demo.events import Event
from conversations.models import Instance, WebhookEvent
from tests.load import chaos, scenario, verify, visibility_probe
from tests.load.http_client import Pool
from tests.load.load_generator import CONNECTIONS, LEAD, LoadGenerator, Tally
from tests.load.oracle import Oracle, Thread
from tests.load.scenario import Scenario
from tests.load.schedule import Post
from tests.load.verify import Consumer, Report
from tests.load.visibility_probe import VisibilityProbe

WATCHED = 3  # instances whose messages are looked for in the API
QUESTIONS = 20  # connections for them
LOOK_EVERY = 0.25  # seconds
JUDGED_AT_ONCE = 4  # conversations

Threads = dict[int, Thread]


@dataclass(frozen=True)
class Target:
    """Where the site is, and how it is asked and disturbed."""

    host: str
    port: int
    api_token: str
    disasters: Path | None = None  # the pipe of the stack's supervisor
    retry_scale: float = 1.0
    patience: float = 60.0  # seconds to wait for the workers

    @property
    def name(self) -> str:
        """The host, as HTTP names it."""
        return f"{self.host}:{self.port}"


def address(url: str) -> tuple[str, int]:
    """Return a URL's host and port.

    Raises:
        ValueError: it is no http address.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError("must be an address such as http://127.0.0.1:8000")
    return parts.hostname, parts.port or 80


async def post_all(
    target: Target,
    posts: Sequence[Post],
    sent: Sequence[bytes],
    instances: Iterable[Instance],
    step: Callable[[], object],
) -> tuple[Tally, list[float]]:
    """Post everything, with disasters if they are wanted; return what happened and the lags that were seen."""
    questions = Pool(target.host, target.port, QUESTIONS)
    watched = list(instances)[:WATCHED]
    asked = {one.name: visibility_probe.latest(one.pk, target.api_token, target.name) for one in watched}
    looking = VisibilityProbe(questions, asked, target.patience)
    pool = Pool(target.host, target.port, CONNECTIONS)
    sender = LoadGenerator(pool, target.retry_scale, looking.accepted, step)
    seconds = max((post.due for post in posts), default=0.0)
    async with asyncio.TaskGroup() as group:
        group.create_task(looking.run())
        if target.disasters is not None:
            group.create_task(chaos.run_chaos(target.disasters, seconds, LEAD))
        await sender.run(posts, sent)
        looking.stop()
    pool.close()
    questions.close()
    return sender.tally, looking.lags


def freeze_gc() -> None:
    """Spare the collector what was made before the clock starts: it would stop everything to look through it."""
    gc.collect()
    gc.freeze()


# --- until all is applied ---------------------------------------------------------------------------------------------
def wait_until_drained(instances: Iterable[Instance], within: float) -> float | None:
    """Wait until nothing waits to be applied; return the seconds that took, None when it is not in time."""
    connections.close_all()
    pks = [instance.pk for instance in instances]
    begin = time.monotonic()
    while (waited := time.monotonic() - begin) <= within:
        with suppress(DatabaseError):  # it may be starting again
            if not WebhookEvent.objects.filter(instance__in=pks, outcome=WebhookEvent.Outcome.STORED).exists():
                return waited
            time.sleep(LOOK_EVERY)
            continue
        connection.close()
        time.sleep(LOOK_EVERY)
    return None


# --- the judgement ----------------------------------------------------------------------------------------------------
def verify_load(
    whole: Scenario, instances: Iterable[Instance], delivered: Mapping[bytes, Event]
) -> tuple[Report, Threads]:
    """Compare the database with what was taken.

    Args:
        whole: the world that was told of.
        instances: whose rows are looked at.
        delivered: the requests that were taken, and their events.

    Returns:
        The judgement, and the conversations that must be there by the id that they have.
    """
    judgement = Report()
    shown: Threads = {}
    heard: dict[str, list[Event]] = defaultdict(list)
    for event in delivered.values():
        heard[event.channel.name].append(event)
    addresses: dict[str, dict[str, str]] = defaultdict(dict)
    for (name, jid), who in scenario.addresses(whole.chats).items():
        addresses[name][jid] = who
    for instance in Instance.objects.filter(pk__in=[one.pk for one in instances]):
        oracle = Oracle(addresses[instance.name])
        oracle.hear(heard[instance.name])
        verify.verify_inbox(instance, heard[instance.name], judgement)
        homes = verify.verify_rows(instance, oracle, judgement)
        verify.verify_states(instance, oracle, addresses[instance.name], judgement)
        shown |= {pk: oracle.threads[chat] for chat, pk in homes.items()}
    return judgement, shown


async def judge_api(target: Target, threads: Threads, judgement: Report) -> None:
    """Compare what the API shows with what must be there."""
    pool = Pool(target.host, target.port, QUESTIONS)
    consumer = Consumer(pool, target.api_token, target.name)
    at_once = asyncio.Semaphore(JUDGED_AT_ONCE)

    async def look(pk: int, thread: Thread) -> None:
        async with at_once:
            await verify.verify_shown(consumer, pk, thread, judgement)

    await asyncio.gather(*(look(pk, thread) for pk, thread in threads.items()))
    pool.close()
