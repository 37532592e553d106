"""The options of the soak test's command line."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.command_line import create_parser, positive

SABOTAGES = ("begin", "holders", "strange", "late", "wait")


@dataclass(frozen=True)
class Options:
    """The options of one run of the soak test.

    Attributes:
        duration: how many seconds the soak test runs.
        pace: the factor by which the long intervals of the cache protocol are shortened; see `pace.py`.
        partition: whether to inject a fault in which only one writer cannot reach the store.
        sabotage: the step of the cache protocol to disable (see `sabotage.py`), or "" to disable no step.
        only: if not empty, inject only faults whose name contains this text.
        log: whether to print the log lines of the cache.
    """

    duration: float = 60
    pace: float = 5
    partition: bool = False
    sabotage: str = ""
    only: str = ""
    log: bool = False

    @classmethod
    def parse(cls, arguments: Sequence[str], description: str | None = None) -> "Options":
        """Parse the command line; print an error and exit if it is not valid."""
        parser = create_parser("tests.soak", description)
        add = parser.add_argument
        add("--duration", type=positive, default=cls.duration, help="seconds (default 60)")
        add("--pace", type=positive, default=cls.pace, help="shorten the protocol's long intervals (default 5 times)")
        add("--partition", action="store_true", help="also make Valkey slow for one writer only")
        add(
            "--sabotage",
            choices=SABOTAGES,
            default=cls.sabotage,
            help="disable a step of the protocol and inject the faults that it protects against",
        )
        add("--only", default=cls.only, help="inject only faults whose name contains this text; - for no faults")
        add("--log", action="store_true", help="print the cache's log")
        return cls(**vars(parser.parse_args(arguments)))
