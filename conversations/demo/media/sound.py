"""Writes a voice message: a quiet melody in a WAV file, because Python has no codec for speech."""

import math
import wave
from io import BytesIO

RATE = 4000  # samples a second, of one byte each
NOTES = (262, 330, 392, 330, 440, 392, 349, 294)  # hertz
_SECONDS_PER_NOTE = 0.5
_LOUDNESS = 40  # of 127


def melody(seconds: int, first: int) -> bytes:
    """Return a WAV file of some seconds, whose melody begins with the note number `first`."""
    file = BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(1)
        sound.setframerate(RATE)
        sound.writeframes(bytes(_sample(place / RATE, first) for place in range(seconds * RATE)))
    return file.getvalue()


def _sample(at: float, first: int) -> int:
    number, place = divmod(at, _SECONDS_PER_NOTE)
    hertz = NOTES[(int(number) + first) % len(NOTES)]
    fade = math.exp(-4 * place)
    return 128 + round(_LOUDNESS * fade * math.sin(2 * math.pi * hertz * at))
