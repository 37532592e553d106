"""Pictures for tests."""

from io import BytesIO
from typing import Any

from PIL import Image


def a_picture(
    form: str = "PNG", size: tuple[int, int] = (40, 30), color: Any = "red", mode: str = "RGB", **how: Any
) -> bytes:
    """Return a picture of one color as a file."""
    file = BytesIO()
    Image.new(mode, size, color).save(file, form, **how)
    return file.getvalue()
