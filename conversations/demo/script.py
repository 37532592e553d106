"""Scenes as people write them, in plain text files, read into lines.

    == sale                                 a scene of the repertoire "sale"
    c: {Oi|Olá}! Vocês têm {item}?          the customer; one of two words, and a prop (`props.py`)
    a^: Temos sim                           the instance, quoting the last bubble of somebody else
    1: [image 1200x1600 165432] entregue    a group's first member, with a picture and its caption
    ~ 2h                                    a pause

In brackets stand a kind and its argument. Most kinds are bubbles; those in `ACTIONS` do something to an earlier one.
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from conversations.demo.demo_clock import DAY, HOUR, MINUTE

ACTIONS = frozenset({"react", "unreact", "edit", "delete", "vote", "call"})
BUBBLES = frozenset(
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
        "button",  # an answer by a button
    }
)

_LINE = re.compile(r"(?P<who>[ac\d])(?P<quotes>\^?):\s*(?:\[(?P<kind>\w+)\s*(?P<argument>[^\]]*)\])?\s*(?P<text>.*)")
_PAUSE = re.compile(r"~\s*(\d+)([mhd])")
_UNITS = {"m": MINUTE, "h": HOUR, "d": DAY}


@dataclass(frozen=True)
class ScriptLine:
    """One line of a scene: who does what, after which pause (ms; 0 for the usual one)."""

    who: str
    kind: str
    argument: str
    text: str
    quotes: bool
    pause: int


@dataclass(frozen=True)
class Script:
    """One scene; its repertoire says who plays it."""

    repertoire: str
    language: str
    lines: tuple[ScriptLine, ...]

    @property
    def bubbles(self) -> int:
        """How many messages it leaves in a chat."""
        return sum(line.kind in BUBBLES for line in self.lines)


class ScreenplayError(ValueError):
    """A scene's text cannot be read; the message says where."""


@cache
def scripts_for(name: str, language: str) -> tuple[Script, ...]:
    """Return the scenes of a repertoire in one language, in the order of the files' names."""
    return tuple(scene for scene in _all_scenes() if (scene.repertoire, scene.language) == (name, language))


@cache
def _all_scenes() -> tuple[Script, ...]:
    folder = files("conversations.demo") / "scenes"
    texts = sorted((file.name, file.read_text("utf-8")) for file in folder.iterdir() if file.name.endswith(".txt"))
    return tuple(scene for name, text in texts for scene in read(text, name.split(".")[1], name))


def read(text: str, language: str, source: str = "the text") -> list[Script]:
    """Read the scenes of one file.

    Raises:
        ScreenplayError: a line is neither a scene's title, nor somebody's line, nor a pause, nor a remark.
    """
    scenes: list[tuple[str, list[ScriptLine]]] = []
    pause = 0
    for number, row in enumerate(text.splitlines(), 1):
        if not row.strip() or row.startswith("#"):
            continue
        if row.startswith("=="):
            scenes.append((row.strip("= "), []))
        elif match := _PAUSE.fullmatch(row):
            pause = int(match[1]) * _UNITS[match[2]]
        elif (match := _LINE.fullmatch(row)) and scenes and (match["kind"] or "text") in BUBBLES | ACTIONS:
            kind, argument = match["kind"] or "text", (match["argument"] or "").strip()
            scenes[-1][1].append(ScriptLine(match["who"], kind, argument, match["text"], bool(match["quotes"]), pause))
            pause = 0
        else:
            raise ScreenplayError(f"{source}, line {number}: {row}")
    return [Script(name, language, tuple(lines)) for name, lines in scenes]
