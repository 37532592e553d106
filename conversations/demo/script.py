"""Reads scripts: short written dialogues that the demo replays, in text files per topic and language under `scripts/`.

    == sale                                 begins a script with the topic "sale"
    c: {Oi|Olá}! Vocês têm {item}?          the customer writes a random word and a slot (see `template_values.py`)
    a^: Temos sim                           the instance writes and quotes the last message of another author
    1: [image 1200x1600 165432] entregue    the first member of a group sends an image with a caption
    ~ 2h                                    two hours pass before the next line
    # text                                  a comment is not replayed

Square brackets contain the kind of a line and its argument. A line with one of `MESSAGE_KINDS` is a message; a line
with one of `ACTION_KINDS` changes an earlier message or is a call.
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from conversations.demo.demo_clock import DAY, HOUR, MINUTE

ACTION_KINDS = frozenset({"react", "unreact", "edit", "delete", "vote", "call"})
MESSAGE_KINDS = frozenset(
    {
        "text",
        "fails",  # a text message that cannot be delivered
        "image",
        "video",
        "note",  # a round video message
        "voice",
        "document",
        "sticker",
        "location",
        "contact",
        "poll",
        "button",  # an answer to a message with buttons
    }
)

_LINE = re.compile(
    r"(?P<speaker>[ac\d])(?P<quotes>\^?):\s*(?:\[(?P<kind>\w+)\s*(?P<argument>[^\]]*)\])?\s*(?P<text>.*)"
)
_PAUSE = re.compile(r"~\s*(\d+)([mhd])")
_UNITS = {"m": MINUTE, "h": HOUR, "d": DAY}


@dataclass(frozen=True)
class ScriptLine:
    """One line of a script.

    Attributes:
        speaker: "a" for the instance, "c" for the customer, a digit for a group's member.
        kind: one of `MESSAGE_KINDS` or `ACTION_KINDS`.
        argument: the text after the kind of the line, inside the square brackets.
        text: the text or caption of the message.
        quotes: whether the message quotes an earlier message.
        pause: milliseconds that are added to the usual time before the line.
    """

    speaker: str
    kind: str
    argument: str
    text: str
    quotes: bool
    pause: int


@dataclass(frozen=True)
class Script:
    """One written dialogue, which the demo replays in chats."""

    topic: str
    language: str
    lines: tuple[ScriptLine, ...]

    @property
    def message_count(self) -> int:
        """The number of messages that the script adds to a chat."""
        return sum(line.kind in MESSAGE_KINDS for line in self.lines)


class ScriptError(ValueError):
    """The text of a script is invalid; the error text contains the file name and the line."""


@cache
def scripts_for(topic: str, language: str) -> tuple[Script, ...]:
    """Return the scripts of one topic in one language, sorted by file name."""
    return tuple(script for script in _all_scripts() if (script.topic, script.language) == (topic, language))


@cache
def _all_scripts() -> tuple[Script, ...]:
    folder = files("conversations.demo") / "scripts"
    texts = sorted((file.name, file.read_text("utf-8")) for file in folder.iterdir() if file.name.endswith(".txt"))
    return tuple(script for name, text in texts for script in parse(text, name.split(".")[1], name))


def parse(text: str, language: str, source: str = "the text") -> list[Script]:
    """Parse the text of one file into scripts.

    Raises:
        ScriptError: a line has none of the permitted forms, or comes before the first script title (`== topic`).
    """
    scripts: list[tuple[str, list[ScriptLine]]] = []
    pause = 0
    for number, row in enumerate(text.splitlines(), 1):
        if not row.strip() or row.startswith("#"):
            continue
        if row.startswith("=="):
            scripts.append((row.strip("= "), []))
        elif match := _PAUSE.fullmatch(row):
            pause = int(match[1]) * _UNITS[match[2]]
        elif (match := _LINE.fullmatch(row)) and scripts and (match["kind"] or "text") in MESSAGE_KINDS | ACTION_KINDS:
            kind, argument = match["kind"] or "text", (match["argument"] or "").strip()
            line = ScriptLine(match["speaker"], kind, argument, match["text"], bool(match["quotes"]), pause)
            scripts[-1][1].append(line)
            pause = 0
        else:
            raise ScriptError(f"{source}, line {number}: {row}")
    return [Script(topic, language, tuple(lines)) for topic, lines in scripts]
