"""What is asked for: how much, how fast, how badly ordered."""

from dataclasses import dataclass

LONGEST_DELAY = 5.0  # seconds by which a post may come after its time


@dataclass(frozen=True)
class Plan:
    """One run.

    Attributes:
        rate: posts a second, repetitions included, the storm and the copies not.
        seconds: how long.
        instances: numbers that post.
        duplicates: part of the posts that repeat another one.
        disorder: part of the posts that come late, by up to `LONGEST_DELAY` or a quarter of the run.
        seed: the same one makes the same bodies in the same order.
        storm: whether every instance posts 65 connection states a second beside it.
        copies: how often one message is told, each time with another timestamp.
        messages_only: whether only new messages are posted, without all that comes along with them.
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
        """How many posts come at the rate."""
        return max(1, round(self.rate * self.seconds))

    @property
    def repetitions(self) -> int:
        """How many of them repeat another one."""
        return min(round(self.posts * self.duplicates), self.posts - 1)

    @property
    def longest_delay(self) -> float:
        """The seconds by which one may come late."""
        return min(LONGEST_DELAY, self.seconds / 4)
