"""A scene played in a chat: lines become turns, with speakers, times, words, ids, and the bubbles they refer to."""

from conversations.demo import script
from conversations.demo.chat_plan import Chat, ChatAction
from conversations.demo.demo_clock import SECOND
from conversations.demo.people import Person
from conversations.demo.rng import Random, hexadecimal
from conversations.demo.script import Script, ScriptLine
from conversations.demo.template_values import TemplateValues

_PHONE_SHARE = 0.3  # of the scenes are answered on the phone itself, the others through the API
_QUICKEST, _QUICK, _SLOW = 4, 30, 90  # seconds between lines; what is done to a bubble is done quickly


class ConversationBuilder:
    """One scene in one chat; who answers, and on what, stays the same throughout.

    Args:
        chat: where it is played.
        scene: what is played.
        chance: where everything that varies comes from.
        start: when it begins.
    """

    def __init__(self, chat: Chat, scene: Script, chance: Random, start: int) -> None:
        self._chat = chat
        self._scene = scene
        self._chance = chance
        self._at = start // SECOND * SECOND
        self._props = TemplateValues(chance, scene.language, chance.choice(chat.channel.agents), chat.people, start)
        self._by_phone = not chat.channel.is_cloud_api and chance.random() < _PHONE_SHARE
        self._turns: list[ChatAction] = []

    def build(self) -> list[ChatAction]:
        """Return the scene's turns."""
        for line in self._scene.lines:
            slowest = _QUICK if line.kind in script.ACTIONS else _SLOW
            self._at += line.pause + self._chance.randrange(_QUICKEST, slowest) * SECOND
            self._turns.append(self._turn(line))
        return self._turns

    def _turn(self, line: ScriptLine) -> ChatAction:
        who = self._speaker(line)
        by_phone = who is None and self._by_phone and line.kind != "fails"
        return ChatAction(
            at=self._at,
            who=who,
            kind=line.kind,
            argument=self._props.render(line.argument, self._at),
            text=self._props.render(line.text, self._at),
            key_id=self._key_id(who, by_phone=by_phone),
            about=self._about(line, who),
            by_phone=by_phone,
        )

    def _speaker(self, line: ScriptLine) -> Person | None:
        if line.who == "a":
            return None
        return self._chat.people[0 if line.who == "c" else int(line.who) - 1]

    def _about(self, line: ScriptLine, who: Person | None) -> ChatAction | None:
        """Return the bubble that a line quotes, or does something to."""
        bubbles = [turn for turn in reversed(self._turns) if turn.is_bubble]
        if line.kind == "vote":
            bubbles = [turn for turn in bubbles if turn.kind == "poll"]
        elif line.kind in ("edit", "delete"):
            bubbles = [turn for turn in bubbles if turn.who is who]
        elif line.kind in ("react", "unreact") or line.quotes:
            bubbles = [turn for turn in bubbles if turn.who is not who]
        else:
            return None
        return next(iter(bubbles), None)

    def _key_id(self, who: Person | None, *, by_phone: bool) -> str:
        """Return an id in the form that the author's client gives it."""
        if self._chat.channel.is_cloud_api:
            return f"wamid.HBgM{hexadecimal(self._chance, 32)}A="
        if by_phone or (who and who.source == "ios"):
            return f"3A{hexadecimal(self._chance, 18)}"
        return f"AC{hexadecimal(self._chance, 30)}" if who else f"3EB0{hexadecimal(self._chance, 18)}"
