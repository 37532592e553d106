"""Runs the load test: posts all events, waits until the workers have applied them, verifies, and prints the report."""

import asyncio
import gc
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TypeVar

from django.db import Error as DatabaseError
from django.db import connection, connections
from tqdm import tqdm

from conversations.models import Instance, WebhookEvent
from tests.load import access, chaos
from tests.load.api_client import ApiClient
from tests.load.following import Followers
from tests.load.http_client import ConnectionPool, webhook_request
from tests.load.load_generator import MAX_CONNECTIONS, START_DELAY, LoadGenerator, Tally
from tests.load.options import Options
from tests.load.report import Lags, Report, copy_lines, load_lines, mismatch_lines, timing_lines
from tests.load.scenario import build_scenario
from tests.load.schedule import Post, schedule
from tests.load.stream_probe import StreamProbe
from tests.load.verify_api import verify_api
from tests.load.verify_copies import verify_copies, write_last_rows
from tests.load.verify_database import verify_database
from tests.load.visibility_probe import VisibilityProbe, message_requests

WATCHED_INSTANCES = 3  # number of instances whose chat messages the probe looks for in the API
API_CONNECTIONS = 20
DRAIN_POLL_SECONDS = 0.25

T = TypeVar("T")


def run(options: Options) -> bool:
    """Run the load test and print its report; return whether the site stored all posted events correctly.

    Raises:
        ExceptionGroup: `options.chaos` is set, but `make stack` is not running; the group contains a `NoStackError`.
    """
    with access.api_token() as token:
        return run_with(options, token).is_correct


def run_with(options: Options, api_token: str) -> Report:
    """Run the load test with a token of the API, and print and return its report; see `run`."""
    plan = options.plan
    print(f"Writing {plan.posts:,} posts, with seed {plan.seed} …", file=sys.stderr)
    scenario = build_scenario(plan)
    posts = schedule(plan, scenario)
    created = access.recreate_instances(scenario.channels)
    instances = [instance for instance, _ in created.values()]
    host = f"{options.host}:{options.port}"
    requests = [webhook_request(post.event, created[post.event.instance.name][1], host) for post in posts]
    connections.close_all()
    freeze_gc()
    load = Load(options, api_token, instances, posts, requests)
    asyncio.run(load.run())
    # Ingestion stores only one of several byte-identical events, so the oracle also counts only one of them.
    delivered = {requests[index]: posts[index].event for index in load.tally.delivered}
    report, conversations = verify_database(scenario, instances, delivered.values())
    for index, answer in load.tally.lost.items():
        report.add("lost", f"{posts[index].event.name} of {posts[index].event.instance.name}: {answer}")
    report.lags = load.lags
    verify_copies(load.followers.all, report)
    connections.close_all()
    asyncio.run(verify_api(options.host, options.port, api_token, conversations, report))
    drained = f"{load.drained_after:.1f} s after the last answer" if load.drained_after is not None else "NOT"
    print(*load_lines(plan, load.tally, len(posts)), sep="\n")
    print(*timing_lines(load.tally, load.lags, options), sep="\n")
    print(f"  drained     {drained}")
    print(*copy_lines(report), *mismatch_lines(report), sep="\n")
    return report


class Load:
    """The load, and the clients that read meanwhile.

    Args:
        options: the options of the command line.
        token: a token of the API.
        instances: the instances that post.
        posts, requests: what is posted, and the HTTP request of each post.

    Attributes:
        followers: the clients that keep copies.
        tally: the results of the requests.
        lags: how long the chat messages took.
        drained_after: the seconds until all events were applied; None if some were not.
    """

    def __init__(
        self, options: Options, token: str, instances: list[Instance], posts: Sequence[Post], requests: Sequence[bytes]
    ) -> None:
        self._options = options
        self._instances = instances
        self._posts = posts
        self._requests = requests
        host = f"{options.host}:{options.port}"
        self._api_pool = ConnectionPool(options.host, options.port, API_CONNECTIONS + 2 * options.followers)
        api = ApiClient(self._api_pool, token, host)
        watched = {one.name: message_requests(one.pk, token, host) for one in instances[:WATCHED_INSTANCES]}
        self._probe = VisibilityProbe(self._api_pool, watched, options.patience)
        self._stream_probe = StreamProbe(api, options.patience)
        self.followers = Followers(api, [one.pk for one in instances], options.followers, options.plan.seconds / 2)
        self.tally = Tally()
        self.lags = Lags([], [])
        self.drained_after: float | None = None

    async def run(self) -> None:
        """Send all posts, and wait until all of their changes have arrived everywhere."""
        options = self._options
        await self.followers.start(options.patience)
        streaming = asyncio.create_task(self._stream_probe.run())
        await self._stream_probe.opened()
        with tqdm(total=len(self._posts), unit=" posts", disable=None) as bar:
            await self._post_all(bar.update)
        self.drained_after = await in_thread(wait_until_drained, self._instances, options.patience)
        self.lags = Lags(self._probe.lags, await self._stream_probe.finish())
        streaming.cancel()
        last = await in_thread(write_last_rows, self._instances)
        await self.followers.finish(last, options.patience)
        self._api_pool.close()

    async def _post_all(self, on_finished: Callable[[], object]) -> None:
        """Send all posts; if the options ask for it, also kill and restart server processes meanwhile."""
        options = self._options
        pool = ConnectionPool(options.host, options.port, MAX_CONNECTIONS)
        generator = LoadGenerator(pool, options.retry_scale, self._stream_probe.sent, self._probe.accepted, on_finished)
        seconds = max((post.due for post in self._posts), default=0.0)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._probe.run())
            if options.chaos:
                group.create_task(chaos.run_chaos(options.orders, seconds, START_DELAY))
            await generator.run(self._posts, self._requests)
            self._probe.stop()
        pool.close()
        self.tally = generator.tally


async def in_thread(function: Callable[..., T], *args: object) -> T:
    """Call a function that uses the database, in a thread that closes its connection."""

    def call() -> T:
        try:
            return function(*args)
        finally:
            connections.close_all()

    return await asyncio.to_thread(call)


def freeze_gc() -> None:
    """Exclude all existing objects from garbage collection, because a collection would pause the load."""
    gc.collect()
    gc.freeze()


def wait_until_drained(instances: Iterable[Instance], patience: float) -> float | None:
    """Wait until the workers have applied all stored events of the instances.

    Returns:
        The seconds until all events were applied; None if some are not applied after `patience` seconds.
    """
    connections.close_all()
    pks = [instance.pk for instance in instances]
    start = time.monotonic()
    while (elapsed := time.monotonic() - start) <= patience:
        with suppress(DatabaseError):  # `--chaos` may be restarting PostgreSQL at the moment
            if not WebhookEvent.objects.filter(instance__in=pks, outcome=WebhookEvent.Outcome.STORED).exists():
                return elapsed
            time.sleep(DRAIN_POLL_SECONDS)
            continue
        connection.close()
        time.sleep(DRAIN_POLL_SECONDS)
    return None
