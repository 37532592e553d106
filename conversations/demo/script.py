"""Reads scripts: short dialogues in plain text files under `scripts/`, one file per topic and language.

    == sale                                 begins a script of the topic "sale"
    c: {Oi|Olá}! Vocês têm {item}?          the customer; a random choice and a slot (see `template_values.py`)
    a^: Temos sim                           the instance, quoting the last message of another author
    1: [image 1200x1600 165432] entregue    a group's first member sends an image with a caption
    ~ 2h                                    a pause before the next line
    # text                                  a comment

Brackets contain a kind and its argument. `MESSAGE_KINDS` are messages; `ACTION_KINDS` act on an earlier message.
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
        "fails",  # a text that cannot be delivered
        "image",
        "video",
        "note",  # a round video
        "voice",
        "document",
        "sticker",
        "location",
        "contact",
        "poll",
        "button",  # the answer to a message with buttons
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
        argument: the text after the kind, inside the brackets.
        text: the text or caption.
        quotes: whether the message is a reply.
        pause: milliseconds in addition to the usual time between two lines.
    """

    speaker: str
    kind: str
    argument: str
    text: str
    quotes: bool
    pause: int


@dataclass(frozen=True)
class Script:
    """One dialogue."""

    topic: str
    language: str
    lines: tuple[ScriptLine, ...]

    @property
    def message_count(self) -> int:
        """The number of messages that it adds to a chat."""
        return sum(line.kind in MESSAGE_KINDS for line in self.lines)


class ScriptError(ValueError):
    """A script's text is invalid; the error names the file and the line."""


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
    """Parse the scripts of one file.

    Raises:
        ScriptError: a line has none of the forms above, or comes before the first title.
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
