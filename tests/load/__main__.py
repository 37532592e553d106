"""`manage.py simulate`: a load as Evolution makes it, and a judgement of what has become of it."""

import asyncio
import sys
from argparse import ArgumentParser
from dataclasses import fields
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections
from tqdm import tqdm

from tests.load import access, report, requests, run, scenario, schedule
from tests.load.chaos import NoStackError
from tests.load.plan import Plan
from tests.load.run import Target
from tests.load.verify import Report


class Command(BaseCommand):
    """Exit status 0: everything is there, once, and right; 1: it is not. Speed is only told, not judged."""

    help = "Post to a running site as Evolution does, then compare its database with what was posted."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--url", default="http://127.0.0.1:8000", help="the site, on this database (%(default)s)")
        parser.add_argument("--rate", type=_positive, default=Plan.rate, help="posts a second (%(default)s)")
        parser.add_argument("--seconds", type=_positive, default=Plan.seconds, help="how long (%(default)s)")
        parser.add_argument("--instances", type=int, default=Plan.instances, help="numbers that post (%(default)s)")
        parser.add_argument("--duplicates", type=_part, default=Plan.duplicates, help="of all posts (%(default)s)")
        parser.add_argument("--disorder", type=_part, default=Plan.disorder, help="of all posts (%(default)s)")
        parser.add_argument("--seed", type=int, default=Plan.seed, help="the same one, the same posts (%(default)s)")
        parser.add_argument("--storm", action="store_true", help="and 65 connection states a second of each instance")
        parser.add_argument("--copies", type=int, default=0, help="of one message, each with another timestamp")
        parser.add_argument("--messages-only", action="store_true", help="nothing of what comes along with messages")
        parser.add_argument("--chaos", action="store_true", help="kill and restart parts of `make stack` meanwhile")
        parser.add_argument("--orders", type=Path, default=ORDERS, help="where the stack takes orders (%(default)s)")
        parser.add_argument(
            "--retry-scale", type=_positive, default=0.1, help="by which Evolution's waits are shortened (%(default)s)"
        )
        parser.add_argument(
            "--patience", type=_positive, default=60.0, help="seconds to wait for workers (%(default)s)"
        )
        parser.add_argument("--expect-p99-answer", type=_positive, help="ms; says whether it is met")
        parser.add_argument("--expect-p99-lag", type=_positive, help="ms, from the answer to the API; likewise")

    def handle(self, *_args: object, **options: Any) -> None:
        """Run."""
        plan = Plan(**{field.name: options[field.name] for field in fields(Plan)})
        if plan.instances < 1:
            raise CommandError("needs at least one instance")
        try:
            host, port = run.address(options["url"])
        except ValueError as error:
            raise CommandError(f"--url {error}") from None
        disasters = options["orders"] if options["chaos"] else None
        with access.api_token() as token:
            target = Target(host, port, token, disasters, options["retry_scale"], options["patience"])
            judgement = self._simulate(plan, target, options)
        if not judgement.is_right:
            sys.exit(1)

    def _simulate(self, plan: Plan, target: Target, options: dict[str, Any]) -> Report:
        self.stderr.write(f"Writing {plan.posts:,} posts, with seed {plan.seed} …")
        whole = scenario.build_scenario(plan)
        posts = schedule.schedule(plan, whole)
        admitted = access.recreate_instances(whole.channels)
        instances = [instance for instance, _ in admitted.values()]
        sent = [requests.post(post.event, admitted[post.event.channel.name][1], target.name) for post in posts]
        connections.close_all()
        run.freeze_gc()
        try:
            with tqdm(total=len(posts), unit=" posts", disable=None) as bar:
                tally, lags = asyncio.run(run.post_all(target, posts, sent, instances, bar.update))
        except* NoStackError as group:
            raise CommandError(str(group.exceptions[0])) from None
        waited = run.wait_until_drained(instances, target.patience)
        delivered = {sent[number]: posts[number].event for number in tally.delivered}
        judgement, threads = run.verify_load(whole, instances, delivered)
        for number, said in tally.lost.items():
            judgement.note("lost", f"{posts[number].event.name} of {posts[number].event.channel.name}: {said}")
        connections.close_all()
        asyncio.run(run.judge_api(target, threads, judgement))
        for line in report.load(plan, tally, len(posts)):
            self.stdout.write(line)
        for line in report.timing(tally, lags, options["expect_p99_answer"], options["expect_p99_lag"]):
            self.stdout.write(line)
        self.stdout.write(f"  drained     {f'{waited:.1f} s after the last answer' if waited is not None else 'NOT'}")
        for line in report.verdict(judgement):
            self.stdout.write(line)
        return judgement


ORDERS = settings.BASE_DIR / "var" / "stack" / "orders"


def _positive(text: str) -> float:
    number = float(text)
    if number <= 0:
        raise ValueError("must be greater than 0")
    return number


def _part(text: str) -> float:
    number = float(text)
    if not 0 <= number < 1:
        raise ValueError("must be from 0 to 1")
    return number
