"""The cache's performance targets. Most targets are ratios of times within one run, because machines differ."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.benchmarks import peers
from tests.benchmarks.peers import BY_NAME, Tier

Medians = Mapping[str, Mapping[str, Mapping[str, float]]]  # measure → name of the library → figure → median


@dataclass(frozen=True)
class Target:
    """A performance target of the cache.

    Attributes:
        text: the description of the target in the report.
        bound: the least or greatest allowed value.
        unit: the unit of `bound`.
        value: returns the measured value from the medians, or None if a required library was not measured.
        at_least: whether `bound` is a minimum rather than a maximum.
    """

    text: str
    bound: float
    unit: str
    value: Callable[[Medians], float | None]
    at_least: bool = True

    @property
    def requirement(self) -> str:
        """Return the required minimum or maximum as text, with its unit."""
        return f"{'≥' if self.at_least else '≤'} {self.bound:g} {self.unit}"

    def verdict(self, medians: Medians) -> str:
        """Return as text the measured value and whether it meets the target, or "" if nothing was measured."""
        value = self.value(medians)
        if value is None:
            return ""
        is_met = value >= self.bound if self.at_least else value <= self.bound
        return f"{value:.3g} {self.unit}: {'met' if is_met else '**not met**'}"


def _ratio(measure: str, ours: str, theirs: str) -> Callable[[Medians], float | None]:
    """Return a function that computes the time of `theirs` divided by the time of `ours`."""

    def value(medians: Medians) -> float | None:
        seconds = {name: figures["seconds"] for name, figures in medians.get(measure, {}).items()}
        return seconds[theirs] / seconds[ours] if ours in seconds and theirs in seconds else None

    return value


def _fastest(measure: str, ours: str, tier: Tier) -> Callable[[Medians], float | None]:
    """Return a function that computes the time of the tier's fastest library divided by the time of `ours`."""

    def value(medians: Medians) -> float | None:
        seconds = {name: figures["seconds"] for name, figures in medians.get(measure, {}).items()}
        peer_times = [value for name, value in seconds.items() if _is_peer_of(name, tier)]
        return min(peer_times) / seconds[ours] if peer_times and ours in seconds else None

    return value


def _is_peer_of(name: str, tier: Tier) -> bool:
    peer = BY_NAME[name]
    return peer.tier is tier and not peer.is_baseline and name not in peers.ALL_OURS


def _cost(measure: str, ours: str, theirs: str) -> Callable[[Medians], float | None]:
    """Return a function that computes the time of `ours` divided by the time of `theirs`."""
    return _ratio(measure, theirs, ours)


def _figure(measure: str, name: str, figure: str, scale: float) -> Callable[[Medians], float | None]:
    def value(medians: Medians) -> float | None:
        return medians[measure][name][figure] * scale if name in medians.get(measure, {}) else None

    return value


def _at_most(text: str, bound: float, unit: str, value: Callable[[Medians], float | None]) -> Target:
    return Target(text, bound, unit, value, at_least=False)


_OURS, _SHARED, _UNSEEN = peers.OURS, peers.OURS_SHARED, peers.OURS_UNSEEN
FASTER, TIMES = "× as fast", "× the time"  # noqa: RUF001 - the text contains a multiplication sign

TARGETS = (
    Target(
        "Row, local hit, compared with cacheops' `local_get`", 4, FASTER, _ratio("row", _OURS, peers.CACHEOPS_LOCAL)
    ),
    Target("Row, local hit, compared with LocMem", 6, FASTER, _ratio("row", _OURS, peers.LOCMEM)),
    Target(
        "Plain value, local hit, compared with warm cache-manager",
        1,
        FASTER,
        _ratio("value", _OURS, peers.CACHE_MANAGER),
    ),
    _at_most("Row, shared hit, compared with MGET of the same keys", 1.3, TIMES, _cost("row", _SHARED, peers.MGET)),
    _at_most("… of a row never seen by this process", 1.3, TIMES, _cost("row", _UNSEEN, peers.MGET)),
    Target("Row, shared hit, compared with cacheops", 2, FASTER, _ratio("row", _SHARED, peers.CACHEOPS)),
    Target("… of a row never seen by this process", 2, FASTER, _ratio("row", _UNSEEN, peers.CACHEOPS)),
    Target("Row, shared hit, compared with cachalot", 3, FASTER, _ratio("row", _SHARED, peers.CACHALOT)),
    Target("… of a row never seen by this process", 3, FASTER, _ratio("row", _UNSEEN, peers.CACHALOT)),
    Target("List of 50, local hit, compared with the fastest peer", 8, FASTER, _fastest("page", _OURS, Tier.LOCAL)),
    Target("List of 50, shared hit, compared with the fastest peer", 3, FASTER, _fastest("page", _SHARED, Tier.SHARED)),
    Target("… of rows never seen by this process", 3, FASTER, _fastest("page", _UNSEEN, Tier.SHARED)),
    _at_most("One `save()`, compared with Django without a cache", 1.5, TIMES, _cost("save", _OURS, peers.ORM)),
    _at_most("One conversation, 1000 reads", 9, "ms", _figure("seed", _OURS, "seconds", 1e3)),
    Target("One conversation, many reads: hit rate", 99.7, "%", _figure("seed", _OURS, "hits", 100)),
    Target(
        "One conversation, many reads: keys handled correctly by clear()",
        100,
        "%",
        _figure("seed", _OURS, "cleared", 100),
    ),
)
