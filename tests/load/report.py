"""What the run is told in: counts, percentiles, and what is wrong."""

import math
from collections.abc import Iterator, Sequence

from tests.load.load_generator import Tally
from tests.load.plan import Plan
from tests.load.verify import CHECKS, EXAMPLES, Report
from tests.load.visibility_probe import EVERY

PERCENTILES = (50, 90, 99)
LATE = 100.0  # ms; a generator that is later than this in a hundredth of its posts has not kept its schedule


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the least value that so many percent are not above (nearest rank); NaN of none.

    >>> percentile([4, 1, 3, 2], 50)
    2
    """
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(percent / 100 * len(values)) - 1)]


def distribution(seconds: Sequence[float]) -> str:
    """Return a line of percentiles, in ms."""
    shown = [f"p{percent} {percentile(seconds, percent) * 1000:,.0f}" for percent in PERCENTILES]
    return "  ".join([*shown, f"max {max(seconds, default=math.nan) * 1000:,.0f} ms"])


def expectation(seconds: Sequence[float], limit: float | None) -> str:
    """Return whether the 99th percentile is within a limit (ms), as the end of a line; "" without a limit."""
    if limit is None:
        return ""
    is_met = percentile(seconds, 99) * 1000 <= limit
    return f"  (p99 ≤ {limit:,.0f} ms: {'met' if is_met else 'NOT met'})"


def load(plan: Plan, tally: Tally, posts: int) -> Iterator[str]:
    """Yield what was sent and how it was answered."""
    yield f"{posts:,} posts of {plan.instances} instances in {tally.seconds:.1f} s: {posts / tally.seconds:,.1f}/s"
    late = percentile(tally.lateness, 99) * 1000
    if late > LATE:
        yield f"  THE GENERATOR WAS LATE: p99 {late:,.0f} ms; the rate and the latencies are not what they should be"
    answers = ", ".join(f"{said}: {times:,}" for said, times in tally.answers.most_common())
    yield f"  answers     {answers}; {tally.retries:,} sent again, {len(tally.lost):,} given up"


def timing(tally: Tally, lags: Sequence[float], answer: float | None, lag: float | None) -> Iterator[str]:
    """Yield the percentiles: of the answers, of the generator's own lateness, and of the lag."""
    yield f"  answered    {distribution(tally.latencies)}{expectation(tally.latencies, answer)}"
    yield f"  sent late   {distribution(tally.lateness)}"
    seen = f"{len(lags)} messages watched, ±{EVERY * 1000:.0f} ms"
    yield f"  visible     {distribution(lags)}{expectation(lags, lag)}  {seen}"


def verdict(judgement: Report) -> Iterator[str]:
    """Yield what is wrong, with examples, or that nothing is."""
    wrong = ", ".join(f"{len(judgement.mismatches.get(what, []))} {what}" for what in CHECKS)
    yield f"  {judgement.messages:,} messages in {judgement.conversations:,} conversations: {wrong}"
    for what in CHECKS:
        yield from (f"    {what}: {example}" for example in judgement.mismatches.get(what, [])[:EXAMPLES])
