"""Decides from a file's first bytes which type a browser is told, and under which name the file is saved.

What the sender claims about a file decides nothing, because a browser that trusts it could run a script. Only types in
`SIGNATURES` may be shown inside a page. All other content, such as HTML, SVG and office documents, is downloaded.
"""

import mimetypes
import unicodedata
from dataclasses import dataclass

HEAD_BYTES = 64  # how many bytes of a file decide its type
MAX_NAME_CHARS = 150


@dataclass(frozen=True)
class FileType:
    """A type of content.

    Attributes:
        mimetype: the value of `Content-Type`.
        extensions: the usual extensions of file names; the first one is given to a name without one of them.
        is_inline: whether a page may show the content.
    """

    mimetype: str
    extensions: tuple[str, ...] = ()
    is_inline: bool = True

    @property
    def is_picture(self) -> bool:
        """Whether the content is a picture."""
        return self.mimetype.startswith("image/")


OTHER = FileType("application/octet-stream", is_inline=False)
JPEG = FileType("image/jpeg", (".jpg", ".jpeg", ".jfif"))
PNG = FileType("image/png", (".png",))
MPEG = FileType("audio/mpeg", (".mp3",))
AAC = FileType("audio/aac", (".aac",))
MP4 = FileType("video/mp4", (".mp4", ".m4v"))

# (offset of the bytes, the bytes, the type); the first that matches counts
SIGNATURES = (
    (0, b"\xff\xd8\xff", JPEG),
    (0, b"\x89PNG\r\n\x1a\n", PNG),
    (0, b"GIF87a", FileType("image/gif", (".gif",))),
    (0, b"GIF89a", FileType("image/gif", (".gif",))),
    (0, b"OggS", FileType("audio/ogg", (".ogg", ".oga", ".opus"))),
    (0, b"ID3", MPEG),
    (0, b"\xff\xfb", MPEG),
    (0, b"\xff\xf3", MPEG),
    (0, b"\xff\xf2", MPEG),
    (0, b"\xff\xf1", AAC),
    (0, b"\xff\xf9", AAC),
    (0, b"fLaC", FileType("audio/flac", (".flac",))),
    (0, b"#!AMR", FileType("audio/amr", (".amr",))),
    (0, b"\x1aE\xdf\xa3", FileType("video/webm", (".webm", ".mkv"))),
    (0, b"%PDF-", FileType("application/pdf", (".pdf",))),
    (4, b"ftypM4A", FileType("audio/mp4", (".m4a",))),
    (4, b"ftypavif", FileType("image/avif", (".avif",))),
    (4, b"ftyphei", FileType("image/heic", (".heic", ".heif"))),
    (4, b"ftyp3g", FileType("video/3gpp", (".3gp",))),
    (4, b"ftypqt", FileType("video/quicktime", (".mov",))),
    (4, b"ftyp", MP4),
)
# the form of a RIFF file, in its bytes 8 to 11 → the type
RIFF_FORMS = {b"WEBP": FileType("image/webp", (".webp",)), b"WAVE": FileType("audio/wav", (".wav",))}


def detect(head: bytes) -> FileType:
    """Return the type of a file that begins with some bytes; `OTHER` if the type is not in the list of safe ones."""
    if head.startswith(b"RIFF"):
        return RIFF_FORMS.get(head[8:12], OTHER)
    return next((found for at, mark, found in SIGNATURES if head.startswith(mark, at)), OTHER)


def download_name(claimed: str, fallback: str, found: FileType, mimetype: str = "") -> str:
    """Return the name under which a file is saved, with the extension of its type.

    Args:
        claimed: the name that the sender gave, or "".
        fallback: the name of a file without one, without extension.
        found: the type of the content.
        mimetype: the type that the sender claimed; it decides the extension of a nameless file of another type.

    >>> download_name("relatório", "image-7", PNG), download_name("foto.PNG", "image-7", PNG)
    ('relatório.png', 'foto.PNG')
    """
    name = clean_name(claimed)
    if found.extensions:
        has_extension = name.lower().endswith(found.extensions)
        return name if has_extension else f"{name or fallback}{found.extensions[0]}"
    return name or fallback + (mimetypes.guess_extension(mimetype.partition(";")[0].strip()) or ".bin")


def clean_name(name: str) -> str:
    """Return a file name without folders and characters that are invisible or change the direction of writing."""
    base = name.replace("\\", "/").rpartition("/")[2]
    visible = "".join(" " if unicodedata.category(char)[0] == "C" else char for char in base)
    stem, dot, extension = " ".join(visible.split()).strip(". ").rpartition(".")
    if not stem or len(extension) >= MAX_NAME_CHARS:
        return (stem + dot + extension)[:MAX_NAME_CHARS]
    return stem[: MAX_NAME_CHARS - len(dot + extension)] + dot + extension
