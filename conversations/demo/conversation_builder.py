"""Turns a script (a written dialogue) into the actions of one chat, with authors, times, texts and message ids."""

from conversations.demo import script
from conversations.demo.chat_plan import Chat, ChatAction
from conversations.demo.demo_clock import SECOND
from conversations.demo.people import Person
from conversations.demo.rng import Random, hexadecimal
from conversations.demo.script import Script, ScriptLine
from conversations.demo.template_values import TemplateValues

_PHONE_SHARE = 0.3  # fraction of scripts in which the instance's owner answers on the phone and not through the API
_MIN_DELAY, _MAX_ACTION_DELAY, _MAX_MESSAGE_DELAY = 4, 30, 90  # limits of the seconds between two lines of a script


class ConversationBuilder:
    """Builds the actions of one script in one chat. The same person answers for the instance in the complete script.

    Args:
        chat: the chat that the actions belong to.
        dialogue: the script to replay.
        rng: random generator that draws delays, ids and texts.
        start: time when the script begins.
    """

    def __init__(self, chat: Chat, dialogue: Script, rng: Random, start: int) -> None:
        self._chat = chat
        self._lines = dialogue.lines
        self._rng = rng
        self._at = start // SECOND * SECOND
        self._values = TemplateValues(rng, dialogue.language, rng.choice(chat.instance.agents), chat.people, start)
        self._answers_on_phone = not chat.instance.is_cloud_api and rng.random() < _PHONE_SHARE
        self._actions: list[ChatAction] = []

    def build(self) -> list[ChatAction]:
        """Return the actions that the lines of the script describe."""
        for line in self._lines:
            max_delay = _MAX_ACTION_DELAY if line.kind in script.ACTION_KINDS else _MAX_MESSAGE_DELAY
            self._at += line.pause + self._rng.randrange(_MIN_DELAY, max_delay) * SECOND
            self._actions.append(self._action(line))
        return self._actions

    def _action(self, line: ScriptLine) -> ChatAction:
        author = self._author(line)
        is_from_phone = author is None and self._answers_on_phone and line.kind != "fails"
        return ChatAction(
            at=self._at,
            author=author,
            kind=line.kind,
            argument=self._values.render(line.argument, self._at),
            text=self._values.render(line.text, self._at),
            key_id=self._key_id(author, is_from_phone=is_from_phone),
            target=self._target(line, author),
            is_from_phone=is_from_phone,
        )

    def _author(self, line: ScriptLine) -> Person | None:
        if line.speaker == "a":
            return None
        return self._chat.people[0 if line.speaker == "c" else int(line.speaker) - 1]

    def _target(self, line: ScriptLine, author: Person | None) -> ChatAction | None:
        """Return the latest earlier message that a line of the script quotes or changes, or None."""
        messages = [action for action in reversed(self._actions) if action.is_message]
        if line.kind == "vote":
            messages = [action for action in messages if action.kind == "poll"]
        elif line.kind in ("edit", "delete"):
            messages = [action for action in messages if action.author is author]
        elif line.kind in ("react", "unreact") or line.quotes:
            messages = [action for action in messages if action.author is not author]
        else:
            return None
        return next(iter(messages), None)

    def _key_id(self, author: Person | None, *, is_from_phone: bool) -> str:
        """Return a WhatsApp message id in the format of the author's app."""
        if self._chat.instance.is_cloud_api:
            return f"wamid.HBgM{hexadecimal(self._rng, 32)}A="
        if is_from_phone or (author and author.source == "ios"):
            return f"3A{hexadecimal(self._rng, 18)}"
        return f"AC{hexadecimal(self._rng, 30)}" if author else f"3EB0{hexadecimal(self._rng, 18)}"
