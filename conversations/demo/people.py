"""Who appears: invented names and numbers.

Brazilian numbers are 55, an area code, 9 and 0000-xxxx, a range that no operator has; the others come from the ranges
that the United States (555-01xx) and the United Kingdom (07700 900xxx) keep for fiction.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from conversations.demo.rng import Random, digits

_FEMININE = {
    "pt": "Mariana Beatriz Camila Larissa Fernanda Juliana Patrícia Aline Renata Tatiane Luana Bruna Débora Simone "
    "Cláudia Sônia Vanessa Priscila Letícia Gabriela Helena Alice Isabela Marina Rosângela",
    "en": "Emma Olivia Grace Hannah Sophie Chloe Megan Laura Amy Rachel Alice Ruth Nora Ellen Zoe",
}
_MASCULINE = {
    "pt": "Rafael Lucas Thiago Felipe Gustavo Rodrigo Bruno Diego Eduardo Marcelo Vinícius Leandro André Caio Henrique "
    "Matheus Otávio Sérgio Paulo Murilo Danilo Fábio Igor Jonas Nelson",
    "en": "James Oliver Thomas Jack Daniel Samuel Harry Ryan Adam Luke Peter Owen Noah Ethan Simon",
}
_SURNAMES = {
    "pt": "Couto Almeida Barbosa Cardoso Dias Esteves Ferreira Gomes Lacerda Macedo Nogueira Oliveira Peixoto Queiroz "
    "Ribeiro Sampaio Teixeira Vasconcelos Xavier Zanetti Moura Pacheco Siqueira Tavares Brandão Farias",
    "en": "Baker Carter Hughes Mitchell Turner Walsh Bennett Foster Reid Palmer Shaw Murphy Ellis Grant Lawson Price",
}
_AREAS = {"pt": ("11", "19", "13", "12"), "rio": ("21", "22", "24", "21")}
_PUSH_MARKS = ("☕", "🌻", "⚽", "🎸", "✨", "🐾")
_NUMBERS_AN_AREA = 10_000
_BRITISH = 2_000


@dataclass(frozen=True)
class Person:
    """Somebody at the other end: the name in the address book, the one they gave themselves, and their addresses."""

    name: str
    push_name: str
    is_feminine: bool
    language: str
    phone: str
    lid: str
    source: str
    has_picture: bool
    is_saved: bool

    @property
    def first(self) -> str:
        """The first name."""
        return self.name.split()[0]

    @property
    def jid(self) -> str:
        """The address by the phone number."""
        return f"{self.phone}@s.whatsapp.net"

    @property
    def lid_jid(self) -> str:
        """The address that keeps the number to itself."""
        return f"{self.lid}@lid"

    @property
    def picture(self) -> str | None:
        """Where WhatsApp would have the picture."""
        if not self.has_picture:
            return None
        return f"https://pps.whatsapp.net/v/t61.24694-24/{self.lid[-9:]}_n.jpg?ccb=11-4&oh=01_Q5Aa&oe=6B000000"


def generate_people(chance: Random, language: str, region: str) -> Iterator[Person]:
    """Yield people without end, no two with one number; names repeat only after thousands.

    Args:
        chance: the stream that shuffles the names and draws the rest.
        language: "pt" or "en".
        region: whose numbers: "pt" São Paulo's, "rio", or "en".
    """
    firsts = [(name, True) for name in _FEMININE[language].split()]
    firsts += [(name, False) for name in _MASCULINE[language].split()]
    surnames = _SURNAMES[language].split()
    chance.shuffle(firsts)
    chance.shuffle(surnames)
    index = 0
    while True:
        first, is_feminine = firsts[index % len(firsts)]
        surname = surnames[(index + index // len(firsts)) % len(surnames)]
        yield Person(
            name=f"{first} {surname}",
            push_name=_push_name(chance, first, surname),
            is_feminine=is_feminine,
            language=language,
            phone=_phone(region, language, index),
            lid=f"{digits(chance, 3)}{index:05d}{digits(chance, 7)}",
            source=chance.choices(("android", "ios"), (7, 3))[0],
            has_picture=chance.random() < 0.7,  # noqa: PLR2004 - as in any address book
            is_saved=chance.random() < 0.75,  # noqa: PLR2004 - likewise
        )
        index += 1


def _push_name(chance: Random, first: str, surname: str) -> str:
    forms = (f"{first} {surname}", first, f"{first} {surname[0]}.", f"{first} {chance.choice(_PUSH_MARKS)}")
    return chance.choices(forms, (6, 2, 1, 1))[0]


def _phone(region: str, language: str, index: int) -> str:
    if region == "en":
        british = index % 2 == 0 and index < _BRITISH
        return f"447700900{index // 2:03d}" if british else f"1{212 + index // 100}55501{index % 100:02d}"
    # English speakers in Rio have numbers of their own, from the top of the range.
    number = index if language == "pt" else _NUMBERS_AN_AREA - 1 - index
    areas = _AREAS[region]
    return f"55{areas[number % len(areas)]}90000{number % _NUMBERS_AN_AREA:04d}"
