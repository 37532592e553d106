"""The shape of the load: rate, duration, repetitions and disorder."""

from dataclasses import dataclass

MAX_DELAY = 5.0  # seconds


@dataclass(frozen=True)
class Plan:
    """One run.

    Attributes:
        rate: requests a second, including repetitions; the storm and the copies come on top.
        seconds: duration of the load.
        instances: number of instances that post.
        duplicates: fraction of the requests that repeat another one.
        disorder: fraction of the requests that are delayed, by at most `max_delay`.
        seed: the same seed generates the same bodies in the same order.
        storm: whether every instance also posts 65 connection states a second.
        copies: how many copies of one message are posted, each with another timestamp.
        messages_only: whether message events are limited to new messages.
    """

    rate: float = 100.0
    seconds: float = 10.0
    instances: int = 20
    duplicates: float = 0.3
    disorder: float = 0.2
    seed: int = 7
    storm: bool = False
    copies: int = 0
    messages_only: bool = False

    @property
    def posts(self) -> int:
        """The number of requests at the given rate."""
        return max(1, round(self.rate * self.seconds))

    @property
    def repetitions(self) -> int:
        """The number of these requests that repeat another one."""
        return min(round(self.posts * self.duplicates), self.posts - 1)

    @property
    def max_delay(self) -> float:
        """The longest delay of a request, in seconds: `MAX_DELAY`, or a quarter of a shorter run."""
        return min(MAX_DELAY, self.seconds / 4)
