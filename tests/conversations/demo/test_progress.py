import io

from conversations.demo.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_without_a_terminal_there_are_few_plain_lines() -> None:
    out = io.StringIO()
    with Progress("Posted", 1000, out) as progress:
        for _ in range(1000):
            progress.advance()
    lines = out.getvalue().splitlines()
    assert (lines[0], lines[1], lines[-1]) == ("Posted: 0 of 1000", "Posted: 100 of 1000", "Posted: 1000 of 1000")
    assert len(lines) == 11


def test_a_terminal_shows_a_bar() -> None:
    out = Terminal()
    with Progress("Posted", 2, out) as progress:
        progress.advance(2)
    assert "Posted: 100%" in out.getvalue()


def test_nothing_to_do_is_one_line() -> None:
    out = io.StringIO()
    with Progress("Posted", 0, out) as progress:
        progress.advance(0)
    assert out.getvalue() == "Posted: 0 of 0\n"


def test_no_stream_shows_nothing() -> None:
    with Progress("Posted", 1, None) as progress:
        progress.advance()
