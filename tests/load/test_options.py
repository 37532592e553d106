import pytest

from tests.load.options import Options
from tests.load.plan import Plan


def test_the_defaults_are_those_of_the_plan_and_a_local_site() -> None:
    options = Options.parse([])
    assert options.plan == Plan()
    assert (options.host, options.port) == ("127.0.0.1", 8000)
    assert not options.chaos
    assert (options.retry_scale, options.patience) == (0.1, 60)


def test_options_of_the_plan_are_passed_to_it() -> None:
    options = Options.parse(["--url", "http://localhost:81/x", "--rate", "7", "--copies", "3", "--messages-only"])
    assert options.plan == Plan(rate=7, copies=3, messages_only=True)
    assert (options.host, options.port) == ("localhost", 81)


@pytest.mark.parametrize(
    ("argument", "message"),
    [("--url=ftp://example.com", "--url must be an address"), ("--instances=0", "needs at least one instance")],
)
def test_an_unusable_target_is_a_one_line_error(
    argument: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        Options.parse([argument])
    assert exit_.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


@pytest.mark.parametrize("argument", ["--rate=0", "--seconds=-1", "--duplicates=1", "--disorder=-0.1", "--copies=x"])
def test_a_value_outside_of_its_range_is_a_usage_error(argument: str) -> None:
    with pytest.raises(SystemExit) as exit_:
        Options.parse([argument])
    assert exit_.value.code == 2
