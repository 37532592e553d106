"""Reads the texts that people see on an HTML page: what stands in elements, and in attributes such as `title`."""

from html.parser import HTMLParser

BEGIN, END = "⟦", "⟧"  # a pseudo-translation puts each translated text in these
_SEEN = {"title", "aria-label", "placeholder", "alt", "label"}  # attributes
_UNSEEN = {"script", "style", "code", "pre", "kbd", "bdi"}  # elements: not shown, or not in a language


class PageTexts(HTMLParser):
    """Collects the texts outside of all marks, which nobody has translated."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._open: list[str] = []
        self._depth = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Read the attributes."""
        values = dict(attrs)
        is_button = tag == "input" and values.get("type") in {"submit", "button", "reset"}
        for name, value in attrs:
            if value and (name in _SEEN or (is_button and name == "value")):
                self.found.append(outside(value)[0])
        if tag in _UNSEEN:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Leave an element whose content is not read."""
        if self._open and self._open[-1] == tag:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        """Read the text of an element; a mark may end in another element than that in which it begins."""
        text, self._depth = outside(data, self._depth)
        if not self._open:
            self.found.append(text)


def outside(text: str, depth: int = 0) -> tuple[str, int]:
    """Return what stands outside of all marks, and how many are open at the end, if `depth` are at the beginning."""
    found = []
    for char in text:
        depth += (char == BEGIN) - (char == END)
        found.append(" " if depth or char == END else char)
    return "".join(found), depth
