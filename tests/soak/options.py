"""What can be said on the command line."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

SABOTAGES = ("begin", "holders", "strange", "late")


@dataclass(frozen=True)
class Options:
    """One soak's; see the help of each below."""

    duration: float = 60
    pace: float = 5
    partition: bool = False
    sabotage: str = ""
    only: str = ""
    log: bool = False

    @classmethod
    def read(cls, arguments: Sequence[str], description: str | None) -> "Options":
        """Read the command line; ends the process where it says what is not understood."""
        parser = argparse.ArgumentParser(
            "python -m tests.soak", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        add = parser.add_argument
        add("--duration", type=float, default=cls.duration, help="seconds (default 60)")
        add("--pace", type=float, default=cls.pace, help="the protocol's slow clocks, times as fast (default 5)")
        add("--partition", action="store_true", help="let Valkey be slow to one writer alone, too")
        add(
            "--sabotage",
            choices=SABOTAGES,
            default=cls.sabotage,
            help="leave out a step of the protocol, under the faults that it is for",
        )
        add("--only", default=cls.only, help="inject only faults whose name has this in it; - for none")
        add("--log", action="store_true", help="show what the cache logs")
        return cls(**vars(parser.parse_args(arguments)))
