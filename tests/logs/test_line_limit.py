"""Lines that outsiders cause are logged at a bounded rate, with the number of lines that were left out."""

from pathlib import Path

import pytest

from logs import token_buckets
from logs.line_limit import BURST_SECONDS, LINES_PER_SECOND, MAX_LINE_CHARS, LineLimit, shorten
from tests.logs.conftest import MakeHandler, lines, logger, messages, throw
from tests.waiting import StoppedClock

BURST = int(BURST_SECONDS * LINES_PER_SECOND)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> StoppedClock:
    stopped = StoppedClock()
    monkeypatch.setattr(token_buckets, "monotonic", stopped)
    return stopped


def test_lines_beyond_the_burst_are_counted_in_the_next_line(clock: StoppedClock) -> None:
    limit = LineLimit()
    assert [limit.admit("a") for _ in range(BURST + 7)] == [{}] * BURST + [None] * 7
    assert limit.admit("b") == {}, "a flood of one kind hides no line of another kind"
    clock.now += 1 / LINES_PER_SECOND
    assert limit.admit("a") == {"left_out": 7}
    assert limit.admit("a") is None
    clock.now += BURST_SECONDS
    assert [limit.admit("a") for _ in range(2)] == [{"left_out": 1}, {}]


def test_a_day_of_a_flood_fits_into_one_log_file(clock: StoppedClock) -> None:
    limit, lines = LineLimit(), 0
    for _ in range(24 * 360):
        clock.now += 10
        lines += sum(limit.admit("a") is not None for _ in range(5))
    assert lines * 500 < 10_000_000 / 5


def test_a_flood_of_bad_requests_leaves_room_for_other_lines(make_handler: MakeHandler, directory: Path) -> None:
    handler = make_handler()
    security = logger(handler, "django.security.DisallowedHost")
    for number in range(500):
        security.error("Invalid HTTP_HOST header: '%s'", "n" * number)
    security.info("an information is no sign of an outsider")
    logger(handler, "whatsai.webhook").error("an error of our own")
    handler.flush()
    assert len(messages(directory, "api.log")) == BURST + 1
    assert messages(directory, "webhook.log") == ["an error of our own"]


def test_a_header_quoted_in_a_record_is_cut_and_the_stack_frames_stay(
    make_handler: MakeHandler, directory: Path
) -> None:
    handler = make_handler()
    for name in ("gunicorn.error", "whatsai.api"):
        try:
            throw(ValueError(f"bad host: {'ab ' * 3000}"))
        except ValueError as error:
            logger(handler, name).exception(str(error))
    handler.flush()
    (cut,), (whole,) = lines(directory, "general.log"), lines(directory, "api.log")
    assert cut["message"].startswith("bad host: ab ab")
    assert cut["message"].endswith("… (9010 characters)")
    assert len(cut["message"]) < 2 * MAX_LINE_CHARS
    assert "throw(ValueError" in cut["exc_info"]
    assert "ValueError: bad host: ab ab" in cut["exc_info"]
    assert cut["exc_info"].endswith(" characters)")
    assert len(whole["message"]) > 9000
    assert "ab ab ab" in whole["exc_info"][-100:]


def test_a_request_that_django_refuses_is_no_error_of_the_server(make_handler: MakeHandler, directory: Path) -> None:
    handler = make_handler()
    try:
        throw(ValueError("bad host"))
    except ValueError:
        logger(handler, "django.security.DisallowedHost").exception("bad host")
    handler.flush()
    (line,) = lines(directory, "api.log")
    assert (line["level"], line["message"]) == ("WARN", "bad host")
    assert "exc_info" not in line
    assert not (directory / "errors.log").exists() or not lines(directory, "errors.log")


def test_long_texts_are_cut() -> None:
    assert shorten("n" * 64) == "n" * 64
    assert shorten("n" * 4000) == f"{'n' * 64}… (4000 characters)"
