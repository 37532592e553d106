"""Runs of combining marks are divided, and all other texts stay as they are."""

import sys
import tracemalloc
from unicodedata import combining, normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.evolution.combining_marks import DIVIDER, MAX_RUN, limit_runs

ACUTE, DOT_BELOW = "\u0301", "\u0323"
# Characters whose normal forms begin with a combining mark; the last four are not marks themselves.
MARKS = [ACUTE, DOT_BELOW, "\u0651", "\u3099", "\U0001d165", "\u0344", "\u0f73", "\u0f81", "\uff9e", "\uff9f"]


def longest_run(text: str) -> int:
    longest = length = 0
    for character in normalize("NFKD", text):
        length = length + 1 if combining(character) else 0
        longest = max(longest, length)
    return longest


def test_a_divider_follows_each_thirty_marks() -> None:
    assert limit_runs(f"a{ACUTE * 30}") == f"a{ACUTE * 30}"
    assert limit_runs(f"a{ACUTE * 61}b") == f"a{ACUTE * 30}{DIVIDER}{ACUTE * 30}{DIVIDER}{ACUTE}b"


@given(st.text([*MARKS, "a", "á", "\u200d", " ", "👍"], max_size=100), st.integers(0, 99))
def test_runs_are_short_after_normalization_and_a_second_call_changes_nothing(text: str, at: int) -> None:
    divided = limit_runs(text[:at] + "".join(MARKS * 7) + text[at:])
    assert longest_run(divided) <= 2 * MAX_RUN  # one character may become two marks
    assert limit_runs(divided) == divided


@given(st.text(st.characters(codec="utf-8"), max_size=MAX_RUN))
def test_only_dividers_are_added(text: str) -> None:
    assert limit_runs(text) == text
    assert limit_runs(text * 9).replace(DIVIDER, "") == (text * 9).replace(DIVIDER, "")


@pytest.mark.parametrize(
    "text",
    [
        "Olá João, a reunião será amanhã às 10h? ",
        "Jo\u0061\u0303o, a\u0327\u0303o ",
        "👩🏽‍❤️‍💋‍👨🏿",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f🇧🇷1\ufe0f\u20e3",
        "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334\u0319\u0324",
        "בְּרֵאשִׁית בָּרָא אֱלֹהִים",
        "ٱلسَّلَامُ عَلَيْكُمْ",
        "नमस्ते क्षत्रिय",
        "สวัสดีครับที่นี่",
        "བོད་ཡིག་ཧཱུྃ",
        "Tiếng Việt, がぎぐ, ｶﾞｷﾞｸﾞ, 한국어, 中文",
        "-" * 50 + " " * 50 + "…" * 50 + "❤️" * 50,
    ],
)
def test_ordinary_texts_stay_as_they_are(text: str) -> None:
    assert limit_runs(text * 40) == text * 40


def test_a_long_run_takes_little_memory() -> None:
    text = ("😀" * 999 + ACUTE) * 100
    tracemalloc.start()
    try:
        limit_runs(text)
        assert tracemalloc.get_traced_memory()[1] < 4 * sys.getsizeof(text)
    finally:
        tracemalloc.stop()
