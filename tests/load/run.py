"""Runs the load test: posts all events, waits until the workers have applied them, verifies, and prints the report."""

import asyncio
import gc
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from django.db import Error as DatabaseError
from django.db import connection, connections
from tqdm import tqdm

from conversations.models import Instance, WebhookEvent
from tests.load import access, chaos
from tests.load.http_client import ConnectionPool, webhook_request
from tests.load.load_generator import MAX_CONNECTIONS, START_DELAY, LoadGenerator, Tally
from tests.load.options import Options
from tests.load.report import Report, load_lines, mismatch_lines, timing_lines
from tests.load.scenario import build_scenario
from tests.load.schedule import Post, schedule
from tests.load.verify_api import verify_api
from tests.load.verify_database import verify_database
from tests.load.visibility_probe import VisibilityProbe, message_requests

WATCHED_INSTANCES = 3  # number of instances whose chat messages the probe looks for in the API
API_CONNECTIONS = 20
DRAIN_POLL_SECONDS = 0.25


def run(options: Options) -> bool:
    """Run the load test and print its report; return whether the site stored all posted events correctly.

    Raises:
        ExceptionGroup: `options.chaos` is set, but `make stack` is not running; the group contains a `NoStackError`.
    """
    with access.api_token() as token:
        return _run(options, token).is_correct


def _run(options: Options, api_token: str) -> Report:
    plan = options.plan
    host = f"{options.host}:{options.port}"
    print(f"Writing {plan.posts:,} posts, with seed {plan.seed} …", file=sys.stderr)
    scenario = build_scenario(plan)
    posts = schedule(plan, scenario)
    created = access.recreate_instances(scenario.channels)
    instances = [instance for instance, _ in created.values()]
    requests = [webhook_request(post.event, created[post.event.instance.name][1], host) for post in posts]
    connections.close_all()
    freeze_gc()
    probe_requests = {
        instance.name: message_requests(instance.pk, api_token, host) for instance in instances[:WATCHED_INSTANCES]
    }
    with tqdm(total=len(posts), unit=" posts", disable=None) as bar:
        tally, lags = asyncio.run(post_all(options, posts, requests, probe_requests, bar.update))
    drained_after = wait_until_drained(instances, options.patience)
    # Ingestion stores only one of several byte-identical events, so the oracle also counts only one of them.
    delivered = {requests[index]: posts[index].event for index in tally.delivered}
    report, conversations = verify_database(scenario, instances, delivered.values())
    for index, answer in tally.lost.items():
        report.add("lost", f"{posts[index].event.name} of {posts[index].event.instance.name}: {answer}")
    connections.close_all()
    asyncio.run(verify_api(options.host, options.port, api_token, conversations, report))
    drained = f"{drained_after:.1f} s after the last answer" if drained_after is not None else "NOT"
    print(*load_lines(plan, tally, len(posts)), sep="\n")
    print(*timing_lines(tally, lags, options.expect_p99_answer, options.expect_p99_lag), sep="\n")
    print(f"  drained     {drained}")
    print(*mismatch_lines(report), sep="\n")
    return report


async def post_all(
    options: Options,
    posts: Sequence[Post],
    requests: Sequence[bytes],
    probe_requests: dict[str, tuple[bytes, bytes]],
    on_finished: Callable[[], object],
) -> tuple[Tally, list[float]]:
    """Send all posts; if the options ask for it, also kill and restart server processes meanwhile.

    Returns:
        The results of the requests, and the seconds from each webhook response until the API showed the chat message.
    """
    api_pool = ConnectionPool(options.host, options.port, API_CONNECTIONS)
    probe = VisibilityProbe(api_pool, probe_requests, options.patience)
    pool = ConnectionPool(options.host, options.port, MAX_CONNECTIONS)
    generator = LoadGenerator(pool, options.retry_scale, probe.accepted, on_finished)
    seconds = max((post.due for post in posts), default=0.0)
    async with asyncio.TaskGroup() as group:
        group.create_task(probe.run())
        if options.chaos:
            group.create_task(chaos.run_chaos(options.orders, seconds, START_DELAY))
        await generator.run(posts, requests)
        probe.stop()
    pool.close()
    api_pool.close()
    return generator.tally, probe.lags


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
