from typing import Any

from conversations.evolution.business import MAX_CHOICES
from conversations.evolution.content import parse_content


class CountedSection(dict[str, Any]):
    """A section that counts how many sections were read."""

    reads = 0

    def get(self, name: str, default: Any = None) -> Any:
        """Count a section when its title is read."""
        CountedSection.reads += name == "title"
        return super().get(name, default)


def test_no_more_sections_are_read_than_are_stored() -> None:
    sections = [CountedSection(title="a", rows=[{"title": "b"}]) for _ in range(MAX_CHOICES)]
    frame: dict[str, Any] = {"sections": sections}
    for _ in range(5):
        frame = {"sections": sections, "interactive": frame}
    details = parse_content({"listMessage": frame}).details
    assert details["sections"][0] == {"title": "a", "rows": [{"title": "b"}]}
    assert CountedSection.reads == MAX_CHOICES
