"""What the cache is meant to reach. Ratios are of one run, for machines differ; two are the seed's own figures."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.benchmarks import peers
from tests.benchmarks.peers import BY_NAME, Tier

Medians = Mapping[str, Mapping[str, Mapping[str, float]]]  # measure → peer → figure → its median


@dataclass(frozen=True)
class Target:
    """One thing to reach.

    Attributes:
        text: says it, without the bound.
        bound: the number to reach; in `unit`.
        unit: of the bound.
        reached: takes the medians and returns the number, None when a peer is missing.
        at_least: whether more is better.
    """

    text: str
    bound: float
    unit: str
    reached: Callable[[Medians], float | None]
    at_least: bool = True

    @property
    def wanted(self) -> str:
        """What is to be reached."""
        return f"{'≥' if self.at_least else '≤'} {self.bound:g} {self.unit}"

    def verdict(self, medians: Medians) -> str:
        """Return what is, and whether it is enough; nothing where it was not measured."""
        reached = self.reached(medians)
        if reached is None:
            return ""
        met = reached >= self.bound if self.at_least else reached <= self.bound
        return f"{reached:.3g} {self.unit}: {'met' if met else '**not met**'}"


def _ratio(measure: str, ours: str, theirs: str) -> Callable[[Medians], float | None]:
    """How many times our time theirs is."""

    def reached(medians: Medians) -> float | None:
        seconds = {name: figures["seconds"] for name, figures in medians.get(measure, {}).items()}
        return seconds[theirs] / seconds[ours] if ours in seconds and theirs in seconds else None

    return reached


def _fastest(measure: str, ours: str, tier: Tier) -> Callable[[Medians], float | None]:
    """How many times our time the fastest peer's of that tier is."""

    def reached(medians: Medians) -> float | None:
        seconds = {name: figures["seconds"] for name, figures in medians.get(measure, {}).items()}
        rivals = [one for name, one in seconds.items() if _is_rival(name, tier)]
        return min(rivals) / seconds[ours] if rivals and ours in seconds else None

    return reached


def _is_rival(name: str, tier: Tier) -> bool:
    peer = BY_NAME[name]
    return peer.tier is tier and not peer.is_floor and name not in peers.ALL_OURS


def _cost(measure: str, ours: str, theirs: str) -> Callable[[Medians], float | None]:
    """How many times their time ours is."""
    return _ratio(measure, theirs, ours)


def _figure(measure: str, name: str, figure: str, scale: float) -> Callable[[Medians], float | None]:
    def reached(medians: Medians) -> float | None:
        return medians[measure][name][figure] * scale if name in medians.get(measure, {}) else None

    return reached


def _at_most(text: str, bound: float, unit: str, reached: Callable[[Medians], float | None]) -> Target:
    return Target(text, bound, unit, reached, at_least=False)


_OURS, _SHARED, _UNSEEN = peers.OURS, peers.OURS_SHARED, peers.OURS_UNSEEN
FASTER, TIMES = "× as fast", "× the time"  # noqa: RUF001 - the sign is meant

TARGETS = (
    Target("A row, local hit, against cacheops' `local_get`", 4, FASTER, _ratio("row", _OURS, peers.CACHEOPS_LOCAL)),
    Target("A row, local hit, against LocMem", 6, FASTER, _ratio("row", _OURS, peers.LOCMEM)),
    Target("Any value, local hit, against warm cache-manager", 1, FASTER, _ratio("value", _OURS, peers.CACHE_MANAGER)),
    _at_most("A row, shared hit, against MGET of the same keys", 1.3, TIMES, _cost("row", _SHARED, peers.MGET)),
    _at_most("… never seen by this process", 1.3, TIMES, _cost("row", _UNSEEN, peers.MGET)),
    Target("A row, shared hit, against cacheops", 2, FASTER, _ratio("row", _SHARED, peers.CACHEOPS)),
    Target("… never seen by this process", 2, FASTER, _ratio("row", _UNSEEN, peers.CACHEOPS)),
    Target("A row, shared hit, against cachalot", 3, FASTER, _ratio("row", _SHARED, peers.CACHALOT)),
    Target("… never seen by this process", 3, FASTER, _ratio("row", _UNSEEN, peers.CACHALOT)),
    Target("A list of 50, local hit, against the fastest peer's", 8, FASTER, _fastest("page", _OURS, Tier.LOCAL)),
    Target("A list of 50, shared hit, against the fastest peer's", 3, FASTER, _fastest("page", _SHARED, Tier.SHARED)),
    Target("… of rows never seen by this process", 3, FASTER, _fastest("page", _UNSEEN, Tier.SHARED)),
    _at_most("One `save()`, against Django's without a cache", 1.5, TIMES, _cost("save", _OURS, peers.ORM)),
    _at_most("The seed's test: 1000 reads of one conversation", 9, "ms", _figure("seed", _OURS, "seconds", 1e3)),
    Target("The seed's test: hits", 99.7, "%", _figure("seed", _OURS, "hits", 100)),
    Target("The seed's test: clearing by pattern does what it says", 100, "%", _figure("seed", _OURS, "cleared", 100)),
)
