"""Writes a PDF document with some lines of text on each page (ISO 32000-1, section 7.5)."""

from collections.abc import Iterator, Sequence

_PAGE = "<</Type/Page/Parent 2 0 R/MediaBox[0 0 420 595]/Contents {} 0 R/Resources<</Font<</F 3 0 R>>>>>>"
_FONT = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>"
_FIRST_PAGE = 4  # the number of the object of the first page; its content has the next number
_TITLE_SIZE, _TEXT_SIZE = 20, 11
_ESCAPES = str.maketrans({"\\": r"\\", "(": r"\(", ")": r"\)"})


def pdf(pages: Sequence[Sequence[str]]) -> bytes:
    """Return a PDF file; the first line of each page is its title. Characters outside of Windows-1252 become "?"."""
    kids = " ".join(f"{_FIRST_PAGE + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Kids[{kids}]/Count {len(pages)}>>",
        _FONT,
        *(text for number, lines in enumerate(pages) for text in _page(lines, _FIRST_PAGE + 2 * number)),
    ]
    file, places = b"%PDF-1.4\n", []
    for number, text in enumerate(objects, 1):
        places.append(len(file))
        file += f"{number} 0 obj\n{text}\nendobj\n".encode("cp1252", "replace")
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    count = len(objects) + 1
    end = f"xref\n0 {count}\n0000000000 65535 f \n{table}trailer\n<</Size {count}/Root 1 0 R>>\n"
    return file + f"{end}startxref\n{len(file)}\n%%EOF\n".encode()


def _page(lines: Sequence[str], number: int) -> Iterator[str]:
    """Yield the objects of a page: the page itself, which has this number, and its content."""
    yield _PAGE.format(number + 1)
    title, *others = (line.translate(_ESCAPES) for line in lines)
    rest = "".join(f"0 -24 Td ({line}) Tj\n" for line in others)
    content = f"BT\n/F {_TITLE_SIZE} Tf\n40 530 Td ({title}) Tj\n/F {_TEXT_SIZE} Tf\n0 -16 Td\n{rest}ET"
    length = len(content.encode("cp1252", "replace"))
    yield f"<</Length {length}>>\nstream\n{content}\nendstream"
