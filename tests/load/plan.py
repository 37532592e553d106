"""The shape of the load: rate, duration, repetitions and disorder."""

from dataclasses import dataclass

MAX_DELAY = 5.0  # the longest delay of a request, in seconds


@dataclass(frozen=True)
class Plan:
    """The shape of the load in one run of the load test.

    Attributes:
        rate: requests a second, including repetitions, but without the requests of `storm` and `copies`.
        seconds: how long the load lasts.
        instances: number of instances that post events.
        duplicates: fraction of the requests that repeat another request.
        disorder: fraction of the requests that are delayed, each by at most `max_delay` seconds.
        seed: the seed of the random generator; the same seed generates the same bodies in the same order.
        storm: whether every instance also posts 65 connection states a second.
        copies: how many copies of one chat message are posted, each with another timestamp.
        messages_only: whether to post nothing but new chat messages and connection states.
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
        """The number of requests, without the requests of `storm` and `copies`."""
        return max(1, round(self.rate * self.seconds))

    @property
    def repetitions(self) -> int:
        """The number of requests that repeat another request."""
        return min(round(self.posts * self.duplicates), self.posts - 1)

    @property
    def max_delay(self) -> float:
        """The longest delay of a request, in seconds: a quarter of the run, but at most `MAX_DELAY`."""
        return min(MAX_DELAY, self.seconds / 4)
