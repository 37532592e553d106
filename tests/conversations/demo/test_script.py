import pytest

from conversations.demo import script
from conversations.demo.chat_plan import Chat
from conversations.demo.chats import GROUP_MEMBERS
from conversations.demo.conversation_builder import ConversationBuilder
from conversations.demo.demo_clock import CONNECTED, DAY, HOUR
from conversations.demo.demo_instances import INSTANCES, SUPPORT_RJ
from conversations.demo.people import generate_people
from conversations.demo.rng import rng_for
from conversations.demo.script import Script, ScriptError, ScriptLine

TOPICS = sorted(
    {(instance.topic, language) for instance in INSTANCES for language, _ in instance.languages}
    | {(name, "pt") for instance in INSTANCES for _, name in instance.groups}
)
SCRIPTS = [each for name, language in TOPICS for each in script.scripts_for(name, language)]


def test_a_script_is_parsed_line_by_line() -> None:
    text = "# a comment\n== sale\nc: Oi!\n~ 2h\na^: [image 10x20 300] veja\n1: [react 👍]\n"
    assert script.parse(text, "pt") == [
        Script(
            "sale",
            "pt",
            (
                ScriptLine("c", "text", "", "Oi!", quotes=False, pause=0),
                ScriptLine("a", "image", "10x20 300", "veja", quotes=True, pause=2 * HOUR),
                ScriptLine("1", "react", "👍", "", quotes=False, pause=0),
            ),
        )
    ]


def test_actions_do_not_count_as_messages() -> None:
    assert script.parse("== s\nc: a\na: b\nc: [react 👍]\na: [edit] c\n", "pt")[0].message_count == 2


@pytest.mark.parametrize("row", ["c: [hologram] oi", "b: oi", "~ soon", "oi"])
def test_an_invalid_line_is_an_error_with_its_number(row: str) -> None:
    with pytest.raises(ScriptError, match=r"sale\.pt\.txt, line 2"):
        script.parse(f"== sale\n{row}\n", "pt", "sale.pt.txt")


def test_a_line_before_the_first_title_is_an_error() -> None:
    with pytest.raises(ScriptError, match="line 1"):
        script.parse("c: oi\n", "pt")


@pytest.mark.parametrize(("name", "language"), TOPICS)
def test_every_topic_has_enough_scripts(name: str, language: str) -> None:
    assert len(script.scripts_for(name, language)) >= (2 if name in ("social", "field", "deliveries") else 5)


@pytest.mark.parametrize("dialogue", SCRIPTS, ids=lambda dialogue: f"{dialogue.topic}: {dialogue.lines[0].text[:30]}")
def test_every_script_can_be_built(dialogue: Script) -> None:
    people = generate_people(rng_for("test"), "pt", "rio")
    chat = Chat(1, SUPPORT_RJ, 0, tuple(next(people) for _ in range(GROUP_MEMBERS)))
    actions = ConversationBuilder(chat, dialogue, rng_for("scene"), CONNECTED).build()
    assert [action.at for action in actions] == sorted({action.at for action in actions})
    assert actions[-1].at < CONNECTED + 2 * DAY
    for line, action in zip(dialogue.lines, actions, strict=True):
        assert not set("{}|") & set(action.text)
        if line.quotes or line.kind in script.ACTION_KINDS - {"call"}:
            assert action.target is not None
            assert action.target.at < action.at
        if line.kind in ("edit", "delete"):
            assert action.target is not None
            assert action.target.kind == "text"
        if line.kind == "vote":
            assert action.target is not None
            assert action.argument in action.target.argument.split("|")[1:]
