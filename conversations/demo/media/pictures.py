"""Draws the pictures of the demo: photos as simple scenes, screenshots of payments and speed tests, and stickers.

A scene draws on a canvas whose coordinates go from 0 to 1 in both directions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

from PIL import Image, ImageDraw, ImageFont

Size = tuple[int, int]
Colour = str | tuple[int, int, int]

WIDTH = 360  # pixels of a picture; phones send larger ones
THUMBNAIL_WIDTH = 72
STICKER_SIDE = 256
_SMOOTHING = 2  # each picture is drawn larger by this factor, which makes edges smooth

# (background, foreground, accent); pictures of one scene differ in their colours
TINTS: tuple[tuple[str, str, str], ...] = (
    ("#e8dccb", "#7a4a2b", "#c9772f"),
    ("#cfe3e8", "#28536b", "#e0a458"),
    ("#dfe8d0", "#4f6d3a", "#bc4b51"),
    ("#eadfea", "#5b4a7d", "#3d9a8b"),
)


@dataclass(frozen=True)
class Canvas:
    """A picture that is being drawn; `phase` from 0 to 1 moves what moves in a video."""

    image: Image.Image
    tint: int
    phase: float = 0.0

    @property
    def colours(self) -> tuple[str, str, str]:
        """Background, foreground and accent."""
        return TINTS[self.tint % len(TINTS)]

    def box(self, *corners: float, colour: Colour, radius: float = 0.0) -> None:
        """Draw a filled rectangle, whose corners may be round."""
        self._draw.rounded_rectangle(self._scale(*corners), self._length(radius), fill=colour)

    def disc(self, x: float, y: float, radius: float, colour: Colour, *, width: float = 0.0) -> None:
        """Draw a disc, or a ring if `width` is given; lengths are relative to the width of the picture."""
        (centre_x, centre_y), length = self._scale(x, y), self._length(radius)
        corners = (centre_x - length, centre_y - length, centre_x + length, centre_y + length)
        style: dict[str, Any] = {"outline": colour, "width": self._length(width)} if width else {"fill": colour}
        self._draw.ellipse(corners, **style)

    def shape(self, *points: float, colour: Colour) -> None:
        """Draw a filled polygon."""
        self._draw.polygon(self._scale(*points), fill=colour)

    def line(self, *points: float, colour: Colour, width: float) -> None:
        """Draw a line through points."""
        self._draw.line(self._scale(*points), fill=colour, width=self._length(width), joint="curve")

    def text(self, x: float, y: float, text: str, colour: Colour, size: float) -> None:
        """Write a text around a point."""
        font = ImageFont.load_default(self._length(size))
        self._draw.text((x * self.image.width, y * self.image.height), text, fill=colour, font=font, anchor="mm")

    @property
    def _draw(self) -> ImageDraw.ImageDraw:
        return ImageDraw.Draw(self.image)

    def _scale(self, *coordinates: float) -> tuple[float, ...]:
        return tuple(value * self.image.size[place % 2] for place, value in enumerate(coordinates))

    def _length(self, share: float) -> int:
        return round(share * self.image.width)


def _cup(canvas: Canvas) -> None:
    background, wood, accent = canvas.colours
    canvas.box(0, 0.62, 1, 1, colour=wood)
    canvas.disc(0.2, 0.2, 0.13, accent)
    canvas.disc(0.72, 0.52, 0.11, "#fffaf0", width=0.035)
    canvas.box(0.3, 0.4, 0.7, 0.7, colour="#fffaf0", radius=0.06)
    canvas.box(0.22, 0.69, 0.78, 0.73, colour="#f3e9da", radius=0.02)
    canvas.line(0.4, 0.44, 0.44, 0.52, 0.41, 0.57, 0.46, 0.66, colour=wood, width=0.008)
    for place in (0.42, 0.5, 0.58):
        sway = 0.03 * (1 - 2 * abs(canvas.phase - 0.5))
        canvas.line(place, 0.36, place + sway, 0.3, place, 0.24, colour=background, width=0.02)


def _router(canvas: Canvas) -> None:
    _, wall, accent = canvas.colours
    canvas.box(0, 0.68, 1, 1, colour=wall)
    for antenna in (0.24, 0.76):
        canvas.line(antenna, 0.58, antenna + (antenna - 0.5) / 5, 0.26, colour="#20262b", width=0.03)
    canvas.box(0.14, 0.55, 0.86, 0.74, colour="#20262b", radius=0.04)
    for place in range(5):
        is_lit = place != 3 or canvas.phase < 0.5  # noqa: PLR2004 - the fourth light blinks once in a video
        canvas.disc(0.26 + 0.12 * place, 0.645, 0.022, "#62d26f" if is_lit and place != 3 else accent)  # noqa: PLR2004 - as above
        if not is_lit:
            canvas.disc(0.26 + 0.12 * place, 0.645, 0.022, "#5a2b2b")


def _mountains(canvas: Canvas) -> None:
    _, ground, accent = canvas.colours
    canvas.disc(0.75 - canvas.phase / 10, 0.22, 0.09, "#ffe08a")
    canvas.shape(0, 0.7, 0.3, 0.3, 0.62, 0.7, colour="#8b98a5")
    canvas.shape(0.35, 0.7, 0.68, 0.38, 1, 0.7, colour="#6d7b88")
    canvas.box(0, 0.68, 1, 1, colour=ground)
    canvas.shape(0.2, 0.86, 0.5, 0.5, 0.8, 0.86, colour=accent)
    canvas.shape(0.42, 0.86, 0.5, 0.64, 0.58, 0.86, colour="#3a2f2a")


def _parcel(canvas: Canvas) -> None:
    _, floor, accent = canvas.colours
    canvas.box(0, 0.7, 1, 1, colour=floor)
    canvas.box(0.62, 0.1, 0.92, 0.7, colour="#8d9aa3", radius=0.01)
    canvas.disc(0.66, 0.42, 0.015, "#4c565d")
    canvas.box(0.16, 0.46, 0.66, 0.84, colour="#c49a6c", radius=0.01)
    canvas.box(0.37, 0.46, 0.45, 0.84, colour="#a87f53")
    canvas.box(0.48, 0.68, 0.62, 0.78, colour="#fffdf6")
    canvas.box(0.5, 0.72, 0.5 + 0.1 * (1 - canvas.phase / 2), 0.735, colour=accent)


def _payment(canvas: Canvas) -> None:
    _, dark, _ = canvas.colours
    canvas.box(0, 0, 1, 0.2, colour=dark)
    canvas.text(0.5, 0.12, "Comprovante Pix", "#ffffff", 0.075)
    canvas.disc(0.5, 0.32, 0.11, "#2e9e6b")
    canvas.line(0.44, 0.32, 0.49, 0.34, 0.57, 0.295, colour="#ffffff", width=0.03)
    canvas.text(0.5, 0.43, f"R$ {139 + 61 * canvas.tint},90", "#1d2529", 0.11)
    for place, (name, value) in enumerate((("Para", "Loja"), ("Banco", "0001"), ("Conta", "***23-4"))):
        row = 0.54 + 0.09 * place
        canvas.box(0.08, row + 0.045, 0.92, row + 0.047, colour="#d5d9dc")
        canvas.text(0.2, row, name, "#6b757b", 0.05)
        canvas.text(0.76, row, value, "#1d2529", 0.05)


def _speed(canvas: Canvas) -> None:
    canvas.box(0, 0, 1, 1, colour="#121a2b")
    canvas.disc(0.5, 0.4, 0.36, "#24334f", width=0.05)
    for place in range(10 + canvas.tint * 2):
        angle = place / 20
        canvas.disc(0.16 + 0.68 * angle, 0.4 - 0.6 * angle * (1 - angle), 0.026, "#39d0c6")
    canvas.text(0.5, 0.4, str(287 + 96 * canvas.tint), "#ffffff", 0.2)
    canvas.text(0.5, 0.48, "Mbps", "#8fa3c4", 0.07)
    canvas.text(0.5, 0.74, "ping 6 ms", "#8fa3c4", 0.06)


def _sticker(canvas: Canvas) -> None:
    _, dark, accent = canvas.colours
    canvas.disc(0.5, 0.5, 0.48, "#ffffff")
    canvas.disc(0.5, 0.5, 0.44, accent)
    for eye in (0.36, 0.64):
        canvas.disc(eye, 0.42, 0.05, dark)
    canvas.line(0.32, 0.6, 0.37, 0.66, 0.44, 0.695, 0.56, 0.695, 0.63, 0.66, 0.68, 0.6, colour=dark, width=0.045)


SCENES: Mapping[str, Callable[[Canvas], None]] = {
    "cup": _cup,
    "router": _router,
    "mountains": _mountains,
    "parcel": _parcel,
    "payment": _payment,
    "speed": _speed,
    "sticker": _sticker,
}


def draw(scene: str, size: Size, tint: int, phase: float = 0.0) -> Image.Image:
    """Return the picture of a scene.

    Args:
        scene: a key of `SCENES`.
        size: width and height in pixels.
        tint: chooses the colours and numbers in the picture.
        phase: the moment of a video, from 0 to 1.
    """
    large = (size[0] * _SMOOTHING, size[1] * _SMOOTHING)
    canvas = Canvas(Image.new("RGB", large), tint % len(TINTS), phase)
    canvas.box(0, 0, 1, 1, colour="#ffffff" if scene == "payment" else canvas.colours[0])
    SCENES[scene](canvas)
    return canvas.image.resize(size, Image.Resampling.LANCZOS)


def scaled(size: Size, width: int = WIDTH) -> Size:
    """Return a size with this width and the same proportions; both are even, as codecs of videos need it."""
    return width // 2 * 2, round(size[1] * width / size[0]) // 2 * 2


def jpeg(image: Image.Image, quality: int = 80) -> bytes:
    """Return a picture as a JPEG file."""
    return _saved(image, "JPEG", quality=quality)


def webp(image: Image.Image, quality: int = 60) -> bytes:
    """Return a picture as a WebP file that contains one frame of VP8."""
    return _saved(image, "WEBP", quality=quality)


def thumbnail(image: Image.Image) -> bytes:
    """Return the small JPEG that WhatsApp sends along with a picture."""
    return jpeg(image.resize(scaled(image.size, THUMBNAIL_WIDTH)), quality=60)


def sticker(tint: int) -> bytes:
    """Return a sticker: a WebP file with a transparent background."""
    size = (STICKER_SIDE, STICKER_SIDE)
    image = draw("sticker", size, tint)
    mask = Image.new("L", size)
    replace(Canvas(mask, 0)).disc(0.5, 0.5, 0.48, 255)  # type: ignore[arg-type]
    image.putalpha(mask)
    return _saved(image, "WEBP", quality=70)


def _saved(image: Image.Image, file_format: str, **options: int) -> bytes:
    file = BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()
