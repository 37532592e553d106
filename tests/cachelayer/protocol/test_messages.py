"""What a process believes of a message that anybody with access to the Redis server can publish."""

import pytest

from cachelayer.protocol.messages import LOST, MAX_BYTES, MAX_PATTERN_CHARS, PATTERN, decode, encode
from cachelayer.protocol.tags import GLOBAL_TAG

TAGS = [f"message:{number}" for number in range(1000)]


@pytest.mark.parametrize(
    "words",
    [
        pytest.param([], id="nothing"),
        pytest.param(TAGS, id="tags"),
        pytest.param([*TAGS, f"{LOST}12"], id="tags and lost intents"),
        pytest.param([f"{PATTERN}conversations:instance:7*"], id="a pattern"),
    ],
)
def test_what_processes_send_is_understood(words: list[str]) -> None:
    assert decode(encode("sender", words).encode()) == words


@pytest.mark.parametrize(
    "words",
    [
        pytest.param([PATTERN + "[" * (MAX_PATTERN_CHARS + 1)], id="a pattern that takes minutes to compile"),
        pytest.param([f"{PATTERN}*a"] * 2, id="many patterns, each compared with all entries"),
        pytest.param([f"{LOST}1"] * 2, id="many lines in the log"),
        pytest.param([LOST + "9" * 30], id="a number that no counter can hold"),
        pytest.param([f"{LOST}-1"], id="a negative number"),
        pytest.param(["m"] * MAX_BYTES, id="more tags than a process should remember"),
    ],
)
def test_what_no_process_sends_touches_everything(words: list[str]) -> None:
    """A pattern of 30,000 brackets kept the lock of the local cache for minutes, and all requests waited for it."""
    assert decode(encode("sender", words).encode()) == [GLOBAL_TAG]
