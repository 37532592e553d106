import pytest

from conversations.demo import script
from conversations.demo.chat_plan import Chat
from conversations.demo.conversation_builder import ConversationBuilder
from conversations.demo.conversations import MEMBERS
from conversations.demo.demo_clock import CONNECTED, DAY, HOUR
from conversations.demo.demo_instances import CHANNELS, SUPORTE
from conversations.demo.people import generate_people
from conversations.demo.rng import rng_for
from conversations.demo.script import ScreenplayError, Script, ScriptLine

REPERTOIRES = sorted(
    {(channel.repertoire, language) for channel in CHANNELS for language, _ in channel.languages}
    | {(name, "pt") for channel in CHANNELS for _, name in channel.groups}
)
SCENES = [scene for name, language in REPERTOIRES for scene in script.scripts_for(name, language)]


def test_a_scene_is_read_line_by_line() -> None:
    text = "# a remark\n== sale\nc: Oi!\n~ 2h\na^: [image 10x20 300] veja\n1: [react 👍]\n"
    assert script.read(text, "pt") == [
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


def test_a_scene_counts_its_bubbles_and_not_what_is_done_to_them() -> None:
    assert script.read("== s\nc: a\na: b\nc: [react 👍]\na: [edit] c\n", "pt")[0].bubbles == 2


@pytest.mark.parametrize("row", ["c: [hologram] oi", "b: oi", "~ soon", "oi"])
def test_what_cannot_be_read_is_shown_with_its_line(row: str) -> None:
    with pytest.raises(ScreenplayError, match=r"sale\.pt\.txt, line 2"):
        script.read(f"== sale\n{row}\n", "pt", "sale.pt.txt")


def test_a_line_before_any_scene_is_an_error() -> None:
    with pytest.raises(ScreenplayError, match="line 1"):
        script.read("c: oi\n", "pt")


@pytest.mark.parametrize(("name", "language"), REPERTOIRES)
def test_every_repertoire_has_a_scene_for_now_and_others_for_before(name: str, language: str) -> None:
    assert len(script.scripts_for(name, language)) >= (2 if name in ("social", "field", "deliveries") else 5)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: f"{scene.repertoire}: {scene.lines[0].text[:30]}")
def test_every_scene_can_be_played(scene: Script) -> None:
    people = generate_people(rng_for("test"), "pt", "rio")
    chat = Chat(1, SUPORTE, 0, tuple(next(people) for _ in range(MEMBERS)))
    turns = ConversationBuilder(chat, scene, rng_for("scene"), CONNECTED).build()
    assert [turn.at for turn in turns] == sorted({turn.at for turn in turns})
    assert turns[-1].at < CONNECTED + 2 * DAY
    for line, turn in zip(scene.lines, turns, strict=True):
        assert not set("{}|") & set(turn.text)
        if line.quotes or line.kind in script.ACTIONS - {"call"}:
            assert turn.about is not None
            assert turn.about.at < turn.at
        if line.kind in ("edit", "delete"):
            assert turn.about is not None
            assert turn.about.kind == "text"
        if line.kind == "vote":
            assert turn.about is not None
            assert turn.argument in turn.about.argument.split("|")[1:]
