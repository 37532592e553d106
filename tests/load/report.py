"""The report of a load test: mismatches between the site and the oracle, request counts, and percentiles."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.load.load_generator import Tally
from tests.load.options import Options
from tests.load.plan import Plan
from tests.load.visibility_probe import POLL_SECONDS

PERCENTILES = (50, 90, 99)
MAX_EXAMPLES = 3
# The report warns if more than 1 % of the requests are sent later than scheduled by more than this limit.
MAX_LATENESS_MS = 100.0

# The names of all checks, in the order in which the report lists their mismatches.
CHECKS = (
    "lost",
    "duplicated",
    "out of order",
    "wrong unread",
    "wrong last message",
    "wrong status",
    "wrong text",
    "wrong timestamp",
    "wrong deletion",
    "wrong reactions",
    "wrong media",
    "wrong state",
    "stale in the API",
    "not applied",
    "wrong in a copy",
)


@dataclass(frozen=True)
class Lags:
    """How long chat messages took, in seconds.

    Attributes:
        visible: from the response to the webhook until the API showed the message.
        streamed: from the webhook's request until the message arrived in an event stream.
    """

    visible: list[float]
    streamed: list[float]


@dataclass
class Report:
    """The mismatches that were found between the site and the oracle.

    Attributes:
        mismatches: descriptions of the mismatches, by the name of the check.
        messages: how many chat messages were compared.
        conversations: how many conversations were compared.
        copies: how many clients of each kind kept a copy.
        copied_rows: how many rows of copies were compared.
        resets: how often clients had to load rows again.
        reconnects: how often clients connected again.
        lags: how long the chat messages took.
    """

    mismatches: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    messages: int = 0
    conversations: int = 0
    copies: Counter[str] = field(default_factory=Counter)
    copied_rows: int = 0
    resets: int = 0
    reconnects: int = 0
    lags: Lags = field(default_factory=lambda: Lags([], []))

    def add(self, check: str, description: str) -> None:
        """Add the description of a mismatch to a check."""
        self.mismatches[check].append(description)

    def expect_equal(self, check: str, subject: str, actual: object, expected: object) -> None:
        """Add a mismatch to a check if the actual value is not the expected value."""
        if actual != expected:
            self.add(check, f"{subject}: {actual!r}, must be {expected!r}")

    @property
    def is_correct(self) -> bool:
        """Whether no check has found a mismatch."""
        return not any(self.mismatches.values())


def percentile(values: Sequence[float], percent: float) -> float:
    """Return a percentile of the values by the nearest-rank method; NaN if there are no values.

    >>> percentile([4, 1, 3, 2], 50)
    2
    """
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(percent / 100 * len(values)) - 1)]


def distribution(seconds: Sequence[float]) -> str:
    """Return text with the percentiles and the maximum of some durations, in ms."""
    columns = [f"p{percent} {percentile(seconds, percent) * 1000:,.0f}" for percent in PERCENTILES]
    return "  ".join([*columns, f"max {max(seconds, default=math.nan) * 1000:,.0f} ms"])


def expectation(seconds: Sequence[float], limit: float | None) -> str:
    """Return text that states whether the 99th percentile is within a limit in ms; "" if `limit` is None."""
    if limit is None:
        return ""
    is_met = percentile(seconds, 99) * 1000 <= limit
    return f"  (p99 ≤ {limit:,.0f} ms: {'met' if is_met else 'NOT met'})"


def load_lines(plan: Plan, tally: Tally, posts: int) -> Iterator[str]:
    """Yield lines of text: how many posts were sent, and how often each response status occurred."""
    yield f"{posts:,} posts of {plan.instances} instances in {tally.seconds:.1f} s: {posts / tally.seconds:,.1f}/s"
    lateness = percentile(tally.lateness, 99) * 1000
    if lateness > MAX_LATENESS_MS:
        yield f"  THE GENERATOR WAS LATE: p99 {lateness:,.0f} ms; the rate and the latencies are not reliable"
    answers = ", ".join(f"{answer}: {times:,}" for answer, times in tally.answers.most_common())
    yield f"  answers     {answers}; {tally.retries:,} sent again, {len(tally.lost):,} given up"


def timing_lines(tally: Tally, lags: Lags, options: Options) -> Iterator[str]:
    """Yield lines of text with percentiles of the response times, of the lateness of requests, and of the lags."""
    yield f"  answered    {distribution(tally.latencies)}{expectation(tally.latencies, options.expect_p99_answer)}"
    yield f"  sent late   {distribution(tally.lateness)}"
    sample = f"{len(lags.visible)} messages watched, ±{POLL_SECONDS * 1000:.0f} ms"
    yield f"  visible     {distribution(lags.visible)}{expectation(lags.visible, options.expect_p99_lag)}  {sample}"
    limit = expectation(lags.streamed, options.expect_p99_stream)
    yield f"  streamed    {distribution(lags.streamed)}{limit}  {len(lags.streamed):,} messages, from their webhooks"


def copy_lines(report: Report) -> Iterator[str]:
    """Yield a line of text: how many copies were compared, and what their clients went through."""
    kinds = ", ".join(f"{count} by {kind}" for kind, count in report.copies.items())
    wrong = len(report.mismatches.get("wrong in a copy", []))
    if kinds:
        yield (
            f"  copies      {kinds}: {report.copied_rows:,} rows compared, {wrong:,} wrong; "
            f"{report.resets:,} times loaded again, {report.reconnects:,} times connected again"
        )


def mismatch_lines(report: Report) -> Iterator[str]:
    """Yield lines of text: the number of mismatches of each check, and examples of the mismatches."""
    counts = ", ".join(f"{len(report.mismatches.get(check, []))} {check}" for check in CHECKS)
    yield f"  {report.messages:,} messages in {report.conversations:,} conversations: {counts}"
    for check in CHECKS:
        yield from (f"    {check}: {example}" for example in report.mismatches.get(check, [])[:MAX_EXAMPLES])
