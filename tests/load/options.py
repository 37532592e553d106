"""The options of the load test's command line."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from urllib.parse import urlsplit

from tests.command_line import create_parser, fraction, positive
from tests.load.plan import Plan

ORDERS = Path(__file__).resolve().parents[2] / "var" / "stack" / "orders"


@dataclass(frozen=True)
class Options:
    """The options of one run of the load test.

    Attributes:
        plan: rate, duration, repetitions and disorder of the requests.
        host: the host name or IP address of the site.
        port: the TCP port of the site.
        chaos: whether processes of `make stack` are killed and restarted during the run.
        orders: the path of the named pipe from which the supervisor of `make stack` reads commands.
        retry_scale: a factor for Evolution's time-out and for its delays between attempts.
        patience: how many seconds to wait for the workers, and for one chat message to appear in the API.
        expect_p99_answer: a limit in ms for the response time; the report states whether the 99th percentile meets it.
        expect_p99_lag: a limit in ms for the time from the webhook's response until the API shows the chat message.
        expect_p99_stream: a limit in ms for the time from the webhook until the chat message arrives in a stream.
        followers: how many clients keep a copy by long poll, as many by stream, a quarter as many by webhook.
    """

    plan: Plan
    host: str
    port: int
    chaos: bool
    orders: Path
    retry_scale: float
    patience: float
    expect_p99_answer: float | None
    expect_p99_lag: float | None
    expect_p99_stream: float | None
    followers: int

    @classmethod
    def parse(cls, arguments: Sequence[str], description: str | None = None) -> "Options":
        """Parse the command line; print an error and exit if it is not valid."""
        parser = create_parser("tests.load", description)
        add = parser.add_argument
        add(
            "--url", default="http://127.0.0.1:8000", help="URL of the site, which must use this database (%(default)s)"
        )
        add("--rate", type=positive, default=Plan.rate, help="requests a second (%(default)s)")
        add("--seconds", type=positive, default=Plan.seconds, help="duration of the load (%(default)s)")
        add("--instances", type=int, default=Plan.instances, help="number of instances that post (%(default)s)")
        add("--duplicates", type=fraction, default=Plan.duplicates, help="fraction of repeated requests (%(default)s)")
        add("--disorder", type=fraction, default=Plan.disorder, help="fraction of delayed requests (%(default)s)")
        add("--seed", type=int, default=Plan.seed, help="the same seed generates the same requests (%(default)s)")
        add("--storm", action="store_true", help="add 65 connection states a second from each instance")
        add("--copies", type=int, default=0, help="add so many copies of one message, with different timestamps")
        add("--messages-only", action="store_true", help="post new messages and connection states only")
        add("--chaos", action="store_true", help="kill and restart processes of `make stack` during the run")
        add("--orders", type=Path, default=ORDERS, help="the stack's command pipe (%(default)s)")
        add("--retry-scale", type=positive, default=0.1, help="factor for Evolution's retry delays (%(default)s)")
        add("--patience", type=positive, default=60.0, help="seconds to wait for the workers (%(default)s)")
        add("--expect-p99-answer", type=positive, help="limit for the response time in ms; the report compares it")
        add("--expect-p99-lag", type=positive, help="limit in ms from the response to the API; the report compares it")
        add(
            "--expect-p99-stream",
            type=positive,
            help="limit in ms from the webhook to a stream; the report compares it",
        )
        add("--followers", type=int, default=20, help="clients of each kind that keep a copy of the rows (%(default)s)")
        values = vars(parser.parse_args(arguments))
        plan = Plan(**{field.name: values.pop(field.name) for field in fields(Plan)})
        if plan.instances < 1:
            parser.exit(1, "tests.load: needs at least one instance\n")
        try:
            host, port = split_address(values.pop("url"))
        except ValueError as error:
            parser.exit(1, f"tests.load: --url {error}\n")
        return cls(plan=plan, host=host, port=port, **values)


def split_address(url: str) -> tuple[str, int]:
    """Return the host and the port of a URL.

    Raises:
        ValueError: the URL has no host, or its scheme is not http.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError("must be an address such as http://127.0.0.1:8000")
    return parts.hostname, parts.port or 80
